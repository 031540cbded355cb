--- Whether the gateway is there: GET /v2/ and the two questions of those who look after it.
local reply = require "epoch.gateway.reply"
local threads = require "epoch.gateway.threads"

local M = {}

function M.ping()
  reply.header("Docker-Distribution-Api-Version", "registry/2.0")
  return reply.bytes(200, "{}", "application/json")
end

--- The process answers.
function M.healthz()
  return reply.bytes(200, "ok\n", "text/plain")
end

--- The store answers.
function M.readyz()
  local ok, err = threads.call("store", "status", "ready")
  if not ok then
    return nil, err
  end
  return reply.bytes(200, "ok\n", "text/plain")
end

return M
