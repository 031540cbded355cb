--- Times as others write them, as seconds since 1970.
local M = {}

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

--- "1994-11-06T08:49:37Z", with a fraction (dropped) or an offset; nil for anything else.
---@param text string?
---@return integer?
function M.rfc3339(text)
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

--- Is it a time that also strict readers take, cocoon among them: nothing left out, a day that there
--- is, of any year?
---@param text string
---@return boolean
function M.is_strict(text)
  local y, mo, d, h, mi, s, fraction, zone =
    text:match("^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)([.%d]*)([Z+-].*)$")
  y, mo, d, h, mi, s = tonumber(y), tonumber(mo), tonumber(d), tonumber(h), tonumber(mi), tonumber(s)
  if not y or not in_range(mo, d, h, mi, s) or s == 60 or days(y, mo, d) >= days(y, mo + 1, 1) then
    return false
  end
  local zh, zm = zone:match("^[+-](%d%d):(%d%d)$")
  return (fraction == "" or fraction:find("^%.%d+$") ~= nil)
    and (zone == "Z" or zh ~= nil and tonumber(zh) <= 23 and tonumber(zm) <= 59)
end

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9,
  Oct = 10, Nov = 11, Dec = 12 }

--- "Sun, 06 Nov 1994 08:49:37 GMT", as HTTP has it; nil for anything else.
---@param text string?
---@return integer?
function M.http(text)
  local d, name, y, h, mi, s =
    (text or ""):match("^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  local mo = MONTHS[name or ""]
  y, d, h, mi, s = tonumber(y), tonumber(d), tonumber(h), tonumber(mi), tonumber(s)
  if not mo or not in_range(mo, d, h, mi, s) then
    return nil
  end
  return days(y, mo, d) * 86400 + h * 3600 + mi * 60 + s
end

return M
