--- Small requests at a steady rate, whatever becomes of those before: how long each took, counted from
-- when it was due. What blocks a server for a while shows in all that were due meanwhile.
--
--     local seen = probe.run(loop, g.url .. "/v2/", { rate = 100, seconds = 3 })
--     seen.p50, seen.p99, seen.slowest     -- seconds

local core = require "epoch.core"
local http = require "spec.support.http"

local M = {}

local PATIENCE = 20 -- seconds for what is due last

local function start(loop, url, due)
  local request = assert(loop:request { url = url, proxy = "", header_timeout = PATIENCE })
  return { request = request, due = due }
end

-- Has it been answered? Then it is closed, and its seconds are told.
local function take(one)
  local response, message, code = one.request:response()
  if not response then
    return code ~= "again" and error(message, 0) or nil
  end
  one.request:close()
  assert(response.status < 400, response.status)
  return core.now() - one.due
end

--- Asks `rate` times a second for so many `seconds`.
---@param loop userdata
---@param url string
---@param how { rate: number, seconds: number }
---@return { p50: number, p99: number, slowest: number, count: integer }
function M.run(loop, url, how)
  local began, sent, wanted, times, pending = core.now(), 0, how.rate * how.seconds, {}, {}
  local done = http.step(loop, how.seconds + PATIENCE, function()
    while sent < wanted and began + sent / how.rate <= core.now() do
      pending[#pending + 1] = start(loop, url, began + sent / how.rate)
      sent = sent + 1
    end
    for i = #pending, 1, -1 do
      local took = take(pending[i])
      if took then
        times[#times + 1] = took
        table.remove(pending, i)
      end
    end
    return sent == wanted and #pending == 0
  end)
  for _, one in ipairs(pending) do
    one.request:close()
  end
  assert(done, ("%d of %d requests have not been answered"):format(wanted - #times, wanted))
  table.sort(times)
  return { p50 = times[math.ceil(#times / 2)], p99 = times[math.ceil(#times * 0.99)], slowest = times[#times],
           count = #times }
end

return M
