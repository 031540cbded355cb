--- Requests in specs: bounded waiting, whole answers.

local core = require("epoch.core")
local await = require("epoch.await")

local M = {}

local LIMIT = 120 -- seconds after which a test is taken to hang; under valgrind on a busy machine 64 MiB take 30

--- Steps the loop until `done()` or for so many seconds; whether it was done.
---@param loop userdata
---@param seconds number
---@param done fun(): boolean?
---@return boolean
function M.step(loop, seconds, done)
  local timer = loop:timer(seconds)
  local finished = false
  while not finished and not timer:wait() do
    assert(loop:poll(0.05))
    finished = done ~= nil and done() or false
  end
  timer:close()
  return finished
end

--- As epoch.await, but an error for what hangs.
function M.await(loop, object, method, ...)
  local timer = loop:timer(LIMIT)
  local wait = await.by(function()
    if timer:wait() then
      error("hangs: " .. method, 0)
    end
    return loop:poll(1)
  end)
  local a, b, c = wait(loop, object, method, ...)
  timer:close()
  return a, b, c
end

--- The answer, with its body as a string in `body`; `max` bytes of it at most.
---@param loop userdata
---@param opts table of loop:request
---@param max integer?
function M.fetch(loop, opts, max)
  local req, message, code = loop:request(opts)
  if not req then
    return nil, message, code
  end
  local response
  response, message, code = M.await(loop, req, "response")
  if not response then
    req:close()
    return nil, message, code
  end
  local sink = core.collect(max or 4 * 1024 * 1024)
  local flow = loop:flow { source = req:body(), sink = sink }
  local result
  result, message, code = M.await(loop, flow, "result")
  response.body = result and sink:bytes()
  response.sent = req:sent()
  flow:close()
  sink:close()
  req:close()
  if not result then
    return nil, message, code
  end
  return response
end

--- Size and sha256 of what an answer brings: {size=, digest=}.
function M.digest(loop, opts)
  local req = assert(loop:request(opts))
  local response, message, code = M.await(loop, req, "response")
  local result
  if response then
    local flow = loop:flow { source = req:body(), hash = "sha256" }
    result, message, code = M.await(loop, flow, "result")
    flow:close()
  end
  req:close()
  return result, message, code
end

--- The memory this process has in use, in bytes.
function M.resident()
  local f = assert(io.open("/proc/self/status"))
  local kib = f:read("*a"):match("VmRSS:%s+(%d+)")
  f:close()
  return tonumber(kib) * 1024
end

return M
