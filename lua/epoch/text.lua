--- Making foreign text printable. What a server, a file name or a child process says may
-- hold escape sequences that a terminal obeys, text that runs backwards, or no text at all.
local utf8 = require "epoch.utf8"

local M = {}

--- Room for one piece of foreign text in a message, in bytes.
M.MAX = 8192

local NAMED = { [9] = "\\t", [10] = "\\n", [13] = "\\r" }

-- Characters that change how their neighbours are shown: C1 controls, zero widths and
-- joiners, line and paragraph separators, direction marks, the BOM, annotations, tags.
local function invisible(cp)
  return cp >= 0x80 and cp <= 0x9F or cp == 0xAD or cp == 0x61C
    or cp >= 0x200B and cp <= 0x200F or cp >= 0x2028 and cp <= 0x202E
    or cp >= 0x2060 and cp <= 0x206F or cp == 0xFEFF
    or cp >= 0xFFF9 and cp <= 0xFFFB or cp >= 0xE0000 and cp <= 0xE007F
end

-- What stands for the character (or the bad byte) at i, and how many bytes that was.
local function piece(s, i)
  local cp, n = utf8.codepoint(s, i)
  if not cp then
    return ("\\x%02x"):format(s:byte(i)), 1
  elseif cp < 0x20 or cp == 0x7F then
    return NAMED[cp] or ("\\x%02x"):format(cp), n
  elseif invisible(cp) then
    return ("\\u{%x}"):format(cp), n
  end
  return s:sub(i, i + n - 1), n
end

--- One line of valid UTF-8 without anything a terminal would obey, at most `max` bytes
-- long; "..." at its end says that there was more. What is printable stays as it is, so
-- doing it twice changes nothing.
---@param s string
---@param max? integer default 8192, at least 16
---@return string
function M.printable(s, max)
  max = math.max(max or M.MAX, 16)
  if #s <= max and not s:find("[%c\128-\255]") then
    return s
  end
  local out, length, i = {}, 0, 1
  local room, kept = max - 3, 0 -- what is kept when there is more than fits
  while i <= #s do
    local p, n, from, to
    if length < room then
      from, to = s:find("^[\32-\126]+", i)
    end
    if from then
      p = s:sub(from, math.min(to, from + room - length - 1))
      n = #p
    else
      p, n = piece(s, i)
    end
    length = length + #p
    if length > max then
      for j = #out, kept + 1, -1 do
        out[j] = nil
      end
      out[kept + 1] = "..."
      break
    end
    out[#out + 1] = p
    if length <= room then
      kept = #out
    end
    i = i + n
  end
  return table.concat(out)
end

--- The same in double quotes and short, to name a thing in a message.
---@param s string
---@param max? integer default 80
---@return string
function M.quote(s, max)
  return '"' .. M.printable(s, max or 80) .. '"'
end

--- A decoded JSON value, to be shown where another was expected. Numbers are shown alike
--- whether this Lua has floats only or not.
---@param v any
---@return string
function M.value(v)
  if type(v) == "string" then
    return M.quote(v, 40)
  elseif type(v) == "number" then
    return ("%.14g"):format(v)
  elseif type(v) == "table" then
    return "a list or an object"
  end
  return v == nil and "missing" or type(v) == "boolean" and tostring(v) or "null"
end

return M
