--- Whole numbers, the same on every Lua: 5.4 has integers and floats, the 5.1 family only
-- floats. What is whole and at most 2^53 in size is exact in both.
local M = {}

--- The largest size and count this project works with: 2^53.
M.MAX = 2 ^ 53

-- 5.4 only: makes 1024.0 the integer 1024, which prints without a fraction
local tointeger = math.tointeger or function(v) return v end -- luacheck: ignore 143

--- The number as an integer, or nil when it is not a whole number of at most 2^53 in size.
-- Strings are not numbers here, whatever Lua's arithmetic thinks of "5".
---@param v any
---@return number?
function M.from(v)
  if type(v) == "number" and v >= -M.MAX and v <= M.MAX and v == math.floor(v) then
    return tointeger(v)
  end
  return nil
end

--- The digits of a whole number. Raises for anything else.
---@param v number
---@return string
function M.format(v)
  local n = M.from(v)
  if not n then
    error("not a whole number of at most 2^53: " .. tostring(v), 2)
  end
  if n == 0 then
    return "0" -- also for -0
  end
  return ("%.0f"):format(n)
end

return M
