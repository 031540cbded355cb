--- Times as they stand in artifacts: RFC 3339 in UTC, whole seconds when written here.
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

-- Days since 1970 of a date of the Gregorian calendar.
local function days(year, month, day)
  local y = month <= 2 and year - 1 or year
  local era = math.floor(y / 400)
  local of_era = y - era * 400
  local of_year = math.floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5) + day - 1
  return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100)
    + of_year - 719468
end

-- Years of four digits in UTC. Year 1 is how Go writes that it knows no time.
local FIRST, LAST = days(1000, 1, 1) * 86400, days(10000, 1, 1) * 86400 - 1

local function in_range(month, day, hour, minute, second)
  return month >= 1 and month <= 12 and day >= 1 and day <= 31 and hour <= 23 and minute <= 59
    and second <= 60
end

--- Seconds since 1970 of an RFC 3339 time, its fraction dropped; nil for anything else.
---@param text string?
---@return integer?
function M.parse(text)
  local y, mo, d, h, mi, s, zone = (text or ""):match(
    "^(%d%d%d%d)-(%d%d)-(%d%d)[Tt](%d%d):(%d%d):(%d%d)%.?%d*([Zz+-].*)$")
  y, mo, d, h, mi, s = tonumber(y), tonumber(mo), tonumber(d), tonumber(h), tonumber(mi), tonumber(s)
  if not y or not in_range(mo, d, h, mi, s) then
    return nil
  end
  local offset = 0
  if not zone:find("^[Zz]$") then
    local sign, zh, zm = zone:match("^([+-])(%d%d):(%d%d)$")
    if not sign then
      return nil
    end
    offset = (zh * 3600 + zm * 60) * (sign == "-" and -1 or 1)
  end
  local seconds = days(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - offset
  return seconds >= FIRST and seconds <= LAST and seconds or nil
end

return M
