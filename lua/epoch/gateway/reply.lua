--- Answers of the gateway: JSON, nothing, or what went wrong, as the OCI specification has it.
local json = require "epoch.json"
local ngx = require "ngx"
local store = require "epoch.gateway.store"

local M = {}

local STATUS = {
  blob_unknown = 400, busy = 503, cancelled = 503, conflict = 409, denied = 403, digest_mismatch = 400,
  exists = 409, invalid = 400, no_space = 507, not_found = 404, origin = 502, range = 416, rate_limited = 429,
  size_mismatch = 400, timeout = 504, too_large = 413, unauthorized = 401, unavailable = 503,
  unsupported = 405, usage = 400,
}

-- Codes of the OCI specification for kinds of errors, where the handler names none.
local CODE = {
  blob_unknown = "MANIFEST_BLOB_UNKNOWN", denied = "DENIED", digest_mismatch = "DIGEST_INVALID",
  range = "RANGE_INVALID", rate_limited = "TOOMANYREQUESTS", size_mismatch = "SIZE_INVALID", too_large = "SIZE_INVALID",
  unauthorized = "UNAUTHORIZED", unsupported = "UNSUPPORTED",
}

-- Kinds of 500 and above that are told to the client, too. What else is the store's business stands
-- in the log, for those who look after it.
local TOLD = { busy = true, cancelled = true, no_space = true, timeout = true }
local AGAIN = 5 -- seconds, after which what was busy may be asked again
local OWN = "the registry could not do it; its log says why"

--- The status for an error.
---@param err epoch.Error
---@return integer
function M.status_of(err)
  if err.status and err.status >= 400 and err.kind == "unsupported" then
    return err.status
  end
  return STATUS[err.kind] or 500
end

--- Sets a header of the answer.
---@param name string
---@param value string|string[]|nil
function M.header(name, value)
  ngx.header[name] = value
end

local function send(status, body, media_type)
  ngx.status = status
  ngx.header["Content-Type"] = media_type
  ngx.header["Content-Length"] = ("%d"):format(#body)
  if ngx.req.get_method() ~= "HEAD" then
    ngx.print(body)
  else
    ngx.send_headers()
  end
  return true
end

--- Answers bytes.
---@param status integer
---@param body string
---@param media_type string
---@return true
function M.bytes(status, body, media_type)
  return send(status, body, media_type)
end

--- Answers a value as JSON.
---@param status integer
---@param value any for epoch.json
---@return true?
---@return epoch.Error?
function M.json(status, value)
  local body, err = json.encode(value)
  return body and send(status, body, "application/json"), err
end

--- Answers with a status and nothing else.
---@param status integer
---@return true
function M.empty(status)
  ngx.status = status
  if status ~= 204 then
    ngx.header["Content-Length"] = "0"
  end
  ngx.send_headers()
  return true
end

-- The body for what went wrong. What shows the registry to people has a form of its own.
local function body_of(code, message)
  if ngx.var.uri:find("^/api/") then
    return json.object { { "error", message } }
  end
  return json.object { { "errors", json.array { json.object { { "code", code }, { "message", message } } } } }
end

--- Answers what went wrong: {"errors":[{"code","message"}]}, or below /api/ {"error"}.
---@param err epoch.Error
---@param code string? of the OCI specification, where the kind does not say it
---@return true
function M.fail(err, code)
  local status = M.status_of(err)
  local message = tostring(err)
  if status >= 500 then
    ngx.log(ngx.ERR, message)
    message = TOLD[err.kind] and message or OWN
  end
  message = store.conceal(message)
  if ngx.headers_sent then -- too late for anything but a visible end
    ngx.exit(444)
    return true
  end
  if status == 503 then
    ngx.header["Retry-After"] = AGAIN
  end
  return send(status, json.encode(body_of(code or CODE[err.kind] or "UNKNOWN", message)), "application/json")
end

--- A Link header to the next page of a listing.
---@param path string
---@param args table<string, string|integer>
function M.next_page(path, args)
  ngx.header["Link"] = ('<%s?%s>; rel="next"'):format(path, ngx.encode_args(args))
end

return M
