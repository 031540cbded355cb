--- Whether the gateway is there: GET /v2/ and the two questions of those who look after it.
local errors = require "epoch.errors"
local ngx = require "ngx"
local reply = require "epoch.gateway.reply"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"

local M = {}

local FRESH = 2 -- seconds for which an answer of the store is good
local WAIT = 3 -- seconds that a request waits for one
local TURN = 30 -- seconds until another asks, when the one who did has not come back

function M.ping()
  reply.header("Docker-Distribution-Api-Version", "registry/2.0")
  return reply.bytes(200, "{}", "application/json")
end

--- The process answers.
function M.healthz()
  return reply.bytes(200, "ok\n", "text/plain")
end

local function not_ready(why)
  return errors.fail("unavailable", "not ready: " .. why)
end

--- The store answers: asked by one request at a time, all others hear what that one was told.
function M.readyz()
  local dict = ngx.shared.epoch
  local at = dict:get("ready:at") or 0
  local old = ngx.now() - at >= FRESH
  if old and dict:add("ready:turn", true, TURN) then
    local asked, err = threads.call_for(WAIT, "store", "status", "ask", store.spec())
    if not asked then
      if err.kind ~= "timeout" then -- nobody is asking
        dict:delete("ready:turn")
      end
      return not_ready(tostring(err))
    end
  elseif ngx.now() - at >= FRESH + WAIT then
    return not_ready("the store has not answered yet")
  end
  local why = dict:get("ready:why")
  if why then
    return not_ready(why)
  end
  return reply.bytes(200, "ok\n", "text/plain")
end

return M
