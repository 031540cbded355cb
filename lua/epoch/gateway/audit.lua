--- Who has written what: a line of JSON for each write and each refusal, when it has been answered.
--
--     {"time":"2026-01-02T03:04:05Z","event":"write","who":"ci","client":"192.0.2.7","action":"manifest_put",
--      "repository":"vms/demo","reference":"v1","digest":"sha256:…","status":201,"bytes":702,"seconds":0.012}
--
-- To stderr, which nginx leads to its error log, or to the end of a file that is opened each time, so
-- it can be renamed at any moment. Nothing in a line is a secret; of an actor it is the name.
local arrival = require "epoch.gateway.access.arrival"
local catalog = require "epoch.catalog"
local json = require "epoch.json"
local settings = require "epoch.gateway.settings"
local text = require "epoch.text"
local ngx = require "ngx"

local M = {}

local WRITES = { push = true, delete = true }

-- Who asks too often is counted, but does not fill the disk as well.
local COUNTED = "rate"

-- Steps of a write that its last one tells of: only when they fail.
local STEPS = { upload_append = true, upload_status = true, upload_start = true }
local CREATED = 201

-- Requests that write, by the connection's own number and which of its requests it is: what nginx
-- keeps of a request for Lua is lost where that is handed on inside of it.
local pending = {}

local function key_of()
  return ngx.var.connection .. ":" .. ngx.var.connection_requests
end

--- Remembers a request that writes until its end.
---@param request table
function M.begin(request)
  if WRITES[request.right] then
    request.audit_key = key_of()
    pending[request.audit_key] = request
  end
end

--- The request that is ending here.
---@return table?
function M.ending()
  local request = ngx.ctx.epoch
  if not request and next(pending) then
    request = pending[key_of()]
  end
  if request and request.audit_key then
    pending[request.audit_key] = nil
  end
  return request
end

-- What there is to say of a request, if anything.
local function event_of(request, status)
  if request.refused then
    return "refused"
  elseif not WRITES[request.right] or status == 401 then -- the question who it is has no meaning
    return nil
  elseif STEPS[request.action] and status < 400 and status ~= CREATED then
    return nil
  end
  return "write"
end

local function printable(value)
  return value and text.printable(value, 512) or nil
end

--- The line for a request.
---@param request table
---@param event string
---@param status integer
---@param seconds number
---@return string
function M.line(request, event, status, seconds)
  local actor = request.actor
  return (json.encode(json.object {
    { "time", catalog.time(ngx.time()) }, { "event", event }, { "reason", request.refused },
    { "who", actor and actor.name or "unknown" }, { "client", printable(arrival.client()) },
    { "action", request.action }, { "repository", printable(request.name) },
    { "reference", printable(request.reference) },
    { "digest", printable(request.digest or ngx.var.sent_http_docker_content_digest) },
    { "status", status }, { "bytes", request.bytes or tonumber(ngx.var.request_length) },
    { "seconds", json.raw(("%.3f"):format(seconds)) },
  }))
end

-- A line is one write: those of other workers go to the same place.
local function write(line)
  local to = settings.gateway().audit
  if type(to) ~= "string" then
    io.stderr:write(line .. "\n")
    return
  end
  local file, why = io.open(to, "ab")
  local ok = file
  if file then
    file:setvbuf("full")
    ok, why = file:write(line, "\n")
    local closed, reason = file:close()
    if ok and not closed then
      ok, why = nil, reason
    end
  end
  if not ok then
    ngx.log(ngx.ERR, "the audit cannot be written: ", why)
    io.stderr:write(line .. "\n")
  end
end

--- Tells of a request that has been answered; which event it was.
---@param request table
---@param status integer
---@param seconds number
---@return string? event
function M.tell(request, status, seconds)
  local event = event_of(request, status)
  if event and request.refused ~= COUNTED and settings.gateway().audit ~= false then
    write(M.line(request, event, status, seconds))
  end
  return event
end

return M
