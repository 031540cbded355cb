--- UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
-- (The 5.1 family has no utf8 library, and that of 5.4 knows no positions of errors.)
local M = {}

local byte, find = string.byte, string.find

local function continuation(b)
  return b and b >= 0x80 and b <= 0xBF
end

--- The code point that begins at byte `i` and the number of its bytes, or nil.
---@param s string
---@param i integer
---@return integer? codepoint
---@return integer? length
function M.codepoint(s, i)
  local a, b, c, d = byte(s, i, i + 3)
  if not a then
    return nil
  elseif a < 0x80 then
    return a, 1
  elseif a >= 0xC2 and a <= 0xDF then
    if continuation(b) then
      return (a - 0xC0) * 0x40 + (b - 0x80), 2
    end
  elseif a >= 0xE0 and a <= 0xEF then
    if continuation(b) and continuation(c) then
      local cp = (a - 0xE0) * 0x1000 + (b - 0x80) * 0x40 + (c - 0x80)
      if cp >= 0x800 and (cp < 0xD800 or cp > 0xDFFF) then
        return cp, 3
      end
    end
  elseif a >= 0xF0 and a <= 0xF4 then
    if continuation(b) and continuation(c) and continuation(d) then
      local cp = (a - 0xF0) * 0x40000 + (b - 0x80) * 0x1000 + (c - 0x80) * 0x40 + (d - 0x80)
      if cp >= 0x10000 and cp <= 0x10FFFF then
        return cp, 4
      end
    end
  end
  return nil
end

--- True, or false and the position of the first byte that is no UTF-8.
---@param s string
---@return boolean ok
---@return integer? position
function M.valid(s)
  local i = find(s, "[\128-\255]")
  while i do
    local cp, n = M.codepoint(s, i)
    if not cp then
      return false, i
    end
    i = find(s, "[\128-\255]", i + n)
  end
  return true
end

return M
