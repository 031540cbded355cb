--- How many columns of a terminal a text takes. Terminals differ about the newest characters,
-- so the answer is rather too large than too small: what is cut with it fits.
local utf8 = require "epoch.utf8"

local M = {}

-- First and last code point of what stands on the character before it.
local ZERO = {
  { 0x0300, 0x036F }, { 0x0483, 0x0489 }, { 0x0591, 0x05BD }, { 0x0610, 0x061A },
  { 0x064B, 0x065F }, { 0x0E34, 0x0E3A }, { 0x0E47, 0x0E4E }, { 0x1AB0, 0x1ACE },
  { 0x1DC0, 0x1DFF }, { 0x20D0, 0x20F0 }, { 0x3099, 0x309A }, { 0xFE20, 0xFE2F },
}

-- East Asian wide and full-width characters, emoji, and whole blocks that have some of them.
local WIDE = {
  { 0x1100, 0x115F }, { 0x231A, 0x23FF }, { 0x25FD, 0x27BF }, { 0x2B1B, 0x2B55 },
  { 0x2E80, 0xA4CF }, { 0xA960, 0xA97F }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF },
  { 0xFE10, 0xFE19 }, { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 },
  { 0x16FE0, 0x18DFF }, { 0x1AFF0, 0x1B2FF }, { 0x1F000, 0x1FAFF }, { 0x20000, 0x3FFFD },
}

local function within(ranges, cp)
  for _, range in ipairs(ranges) do
    if cp <= range[2] then
      return cp >= range[1]
    end
  end
  return false
end

local function of_codepoint(cp)
  if cp < ZERO[1][1] then
    return 1
  elseif within(ZERO, cp) then
    return 0
  end
  return within(WIDE, cp) and 2 or 1
end

--- The columns of a printable text (see epoch.text.printable).
---@param s string
---@return integer
function M.of(s)
  if not s:find("[\128-\255]") then
    return #s
  end
  local columns, i = 0, 1
  while i <= #s do
    local cp, n = utf8.codepoint(s, i)
    columns = columns + of_codepoint(cp)
    i = i + n
  end
  return columns
end

-- The longest beginning that takes no more than `columns`.
local function head(s, columns)
  local used, i = 0, 1
  while i <= #s do
    local cp, n = utf8.codepoint(s, i)
    used = used + of_codepoint(cp)
    if used > columns then
      break
    end
    i = i + n
  end
  return s:sub(1, i - 1)
end

--- A printable text that takes at most `columns`; what is cut ends in `mark`, where that fits.
---@param s string
---@param columns integer
---@param mark string
---@return string
function M.cut(s, columns, mark)
  if M.of(s) <= columns then
    return s
  end
  local room = columns - M.of(mark)
  if room < 1 then
    return head(s, columns)
  end
  return head(s, room) .. mark
end

--- Cut, or filled up with spaces: exactly `columns`.
---@param s string
---@param columns integer
---@param mark string
---@return string
function M.fit(s, columns, mark)
  s = M.cut(s, columns, mark)
  return s .. (" "):rep(columns - M.of(s))
end

return M
