--- Times as they stand in artifacts: RFC 3339 in UTC, whole seconds when written here.
local calendar = require "epoch.calendar"
local errors = require "epoch.errors"

local M = {}

--- Seconds since 1970 of what is to be called now: those given, else SOURCE_DATE_EPOCH where it
-- is set, so that the same snapshot gives the same bytes.
---@param wanted? integer
---@return integer?
---@return epoch.Error?
function M.now(wanted)
  local given = os.getenv("SOURCE_DATE_EPOCH")
  if wanted then
    return wanted
  elseif given == nil or given == "" then
    return os.time()
  elseif not given:find("^%d+$") or #given > 11 then
    return errors.fail("usage", "SOURCE_DATE_EPOCH must be seconds since 1970 in digits")
  end
  return tonumber(given)
end

---@param seconds integer
---@return string
function M.format(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
end

--- Seconds since 1970 of an RFC 3339 time; nil for anything else.
M.parse = calendar.rfc3339

return M
