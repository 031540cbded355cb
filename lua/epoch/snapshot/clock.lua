--- Times as they stand in artifacts: RFC 3339 in UTC, whole seconds unless somebody has said more.
local calendar = require "epoch.calendar"
local errors = require "epoch.errors"

local M = {}

--- What is to be called now, in seconds since 1970: what is given, else SOURCE_DATE_EPOCH where it
-- is set, so that the same snapshot gives the same bytes.
---@param wanted? integer|string a text is a time already
---@return integer|string|nil
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

---@param time integer|string
---@return string
function M.format(time)
  return type(time) == "string" and time or os.date("!%Y-%m-%dT%H:%M:%SZ", time)
end

--- The same time in UTC, its fraction kept to the nanosecond; nil for none since 1970.
---@param text? string RFC 3339
---@return string?
function M.in_utc(text)
  local seconds = calendar.rfc3339(text)
  if not seconds or seconds < 0 then
    return nil
  end
  local fraction = text:match("%.(%d+)") or ""
  fraction = fraction:sub(1, 9):gsub("0+$", "")
  return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. (fraction ~= "" and "." .. fraction or "") .. "Z"
end

--- Seconds since 1970 of an RFC 3339 time; nil for anything else.
M.parse = calendar.rfc3339

return M
