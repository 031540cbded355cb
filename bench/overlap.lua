--- Does reading the export wait for the registry, or the other way round? Both throttled so that
-- each alone takes about as long, the push of many files has to take less than their sum.

local registries = require "spec.support.registry_script"
local report = require "bench.report"
local standin = require "spec.support.standin"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local FILES, FILE = 24, 1024 * 1024
local SENDERS = 3 -- so many layers at once
local RATE = 12 * FILE -- bytes a second, of the export and of all uploads together
local MOST = 0.7

-- Repositories of a registry that takes a body no faster than that.
local function repository(rate)
  return ([[
    local method, rate = ngx.req.get_method(), %d
    if method == "HEAD" then
      return answer(404)
    elseif method == "POST" then
      return answer(202, "", { Location = "/v2/" .. repo .. "/blobs/uploads/1" })
    end
    local socket = tonumber(ngx.var.http_content_length) > 0 and ngx.req.socket()
    while socket do
      local piece, why, rest = socket:receive(65536)
      if rate > 0 then ngx.sleep(#(piece or rest) / rate) end
      if not piece then socket = nil end
    end
    answer(201)]]):format(rate)
end

local function export(dir)
  local pieces = { tar.file("snapshot.json", '{"version":1,"config":{"id":"ID","name":"vm"}}') }
  for i = 1, FILES do
    pieces[#pieces + 1] = tar.file(("%02d.raw"):format(i), ("%-16d"):format(i):rep(FILE / 16))
  end
  pieces[#pieces + 1] = tar.trailer
  work.write_file(dir .. "/export", table.concat(pieces))
end

return function(loop, dir)
  export(dir)
  local registry = registries.start { free = repository(0), slow = repository(RATE / SENDERS) }
  local function push(rate, name)
    return (report.time(loop, ("env -i PATH=\"$PATH\" HOME='%s' EPOCH_COCOON_BINARY='%s' COCOON_ROOT_DIR='%s' "
      .. "COCOON_FAKE_EXPORT='%s/export' COCOON_FAKE_RATE=%d %s epoch.lua push vm '%s/%s' --concurrency %d "
      .. "--progress none"):format(dir, standin.program, dir, dir, rate, report.LUA,
                                   registry.url:gsub("^http://", ""), name, SENDERS)))
  end
  local ok, err = pcall(function()
    local reading, sending, both = push(RATE, "free/vm:v1"), push(0, "slow/vm:v1"), push(RATE, "slow/vm:v1")
    report.at_most("slow export and slow registry : sum of both alone", both / (reading + sending), MOST, "%.2f",
                   ("%.2f s; %.2f + %.2f s"):format(both, reading, sending))
  end)
  registry:stop()
  if not ok then
    error(err, 0)
  end
end
