--- Errors: what the world did wrong, as a value. Functions that can fail return `nil, err`;
-- misuse raises instead. An error is a table with a `kind` for programs and a `message` for
-- people, and prints as one sentence:
--
--     local digest, err = registry:resolve(ref)
--     if not digest then
--       if err.kind == "not_found" then … end
--       return nil, errors.wrap(err, "pull " .. tostring(ref))
--     end
--
-- All text goes through epoch.text on its way in, so an error can always be printed and
-- always be encoded as JSON, wherever its words came from.
local text = require "epoch.text"
local nearest = require "epoch.nearest"

---@class epoch.Error
---@field kind string what programs compare: "not_found", "denied", "digest_mismatch", …
---@field message string what failed, on what, and what to do
---@field op? string what was being done: "pull demo:v1"
---@field status? integer the HTTP status, where there was one
---@field signal? integer the signal that ended the work (kind "cancelled")
---@field cause? any the error this one was made from

local M = {}

local Error = { __name = "epoch.error" }

function Error.__tostring(self)
  return self.op and self.op .. ": " .. self.message or self.message
end

local FIELDS = { op = "string", status = "number", signal = "number", cause = "any" }

local function fields_of(given)
  for key, value in pairs(given) do
    local want = FIELDS[key]
    if not want then
      error(("unknown error field %q%s"):format(tostring(key),
        nearest.hint(tostring(key), FIELDS)), 3)
    elseif want ~= "any" and type(value) ~= want then
      error(("error field %q must be a %s, not a %s"):format(key, want, type(value)), 3)
    end
  end
  return given
end

--- Makes an error.
---@param kind string
---@param message string
---@param fields? {op?: string, status?: integer, signal?: integer, cause?: any}
---@return epoch.Error
function M.new(kind, message, fields)
  if type(kind) ~= "string" or kind == "" then
    error("the kind of an error must be a word, not " .. tostring(kind), 2)
  elseif type(message) ~= "string" then
    error("the message of an error must be a string, not a " .. type(message), 2)
  end
  fields = fields_of(fields or {})
  return setmetatable({
    kind = text.printable(kind, 64),
    message = text.printable(message),
    op = fields.op and text.printable(fields.op, 512),
    status = fields.status,
    signal = fields.signal,
    cause = fields.cause,
  }, Error)
end

--- `nil, err`: the usual way to end a function that failed.
function M.fail(kind, message, fields)
  return nil, M.new(kind, message, fields)
end

---@return boolean
function M.is(value)
  return type(value) == "table" and getmetatable(value) == Error
end

--- Says what was being done when it failed. Kind, status and signal stay; the operations
-- line up from the outside in: "pull demo:v1: fetch the manifest: connection refused".
-- What is no error object (something raised a string) becomes one of kind "internal".
---@param err any
---@param op string
---@return epoch.Error
function M.wrap(err, op)
  if type(op) ~= "string" then
    error("the operation must be a string, not a " .. type(op), 2)
  end
  if not M.is(err) then
    return M.new("internal", tostring(err), { op = op, cause = err })
  end
  return M.new(err.kind, tostring(err),
    { op = op, status = err.status, signal = err.signal, cause = err })
end

--- What the core answers (`nil, message, code`) as an error. A code is a kind already.
--
--     local file, message, code = core.file(path)
--     if not file then return nil, errors.from_core(message, code, "open " .. path) end
---@param message string
---@param code? string
---@param op? string
---@return epoch.Error
function M.from_core(message, code, op)
  return M.new(code or "internal", tostring(message), { op = op })
end

local RETRYABLE = {
  unavailable = true,
  timeout = true,
  rate_limited = true,
  truncated = true, -- the connection went away in the middle
  busy = true,
}

--- May the same thing work when it is tried again, unchanged, a little later?
---@param kind string
---@return boolean
function M.retryable(kind)
  return RETRYABLE[kind] or false
end

-- The contract of the command line. "invalid" and "too_large" speak of what arrived: what
-- a person typed wrong is "usage" by the time it gets here.
local EXIT = {
  not_found = 2,
  unauthorized = 3,
  denied = 3,
  digest_mismatch = 4,
  size_mismatch = 4,
  truncated = 4,
  invalid = 4,
  too_large = 4,
  usage = 64,
}

--- The exit code for an error; 0 for none, 1 for what has no code of its own.
---@param err any
---@return integer
function M.exit_code(err)
  if err == nil then
    return 0
  elseif not M.is(err) then
    return 1
  elseif err.kind == "cancelled" and err.signal then
    return 128 + err.signal
  end
  return EXIT[err.kind] or 1
end

return M
