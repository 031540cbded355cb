--- The lower end of a terminal: some lines that are drawn over and over, and above them lines
-- that stay. The cursor is never hidden and rests below all of them, so that whatever ends
-- the program leaves a terminal that can be used.
local width = require "epoch.cli.width"

local Screen = {}
Screen.__index = Screen

local M = {}

local COLUMNS, ROWS = 80, 24 -- of a terminal that does not say

---@param out { write: function }
---@param terminal fun(): integer?, integer? its columns and rows
function M.new(out, terminal)
  return setmetatable({ out = out, terminal = terminal, drawn = {} }, Screen)
end

--- As it is now: windows change.
---@return integer columns
---@return integer rows
function Screen:size()
  local columns, rows = self.terminal()
  columns, rows = columns or 0, rows or 0
  return columns > 0 and columns or COLUMNS, rows > 0 and rows or ROWS
end

-- How many lines up what was drawn begins. A window that has become narrower since has broken
-- its lines anew.
local function back(drawn, columns)
  local lines = 0
  for _, taken in ipairs(drawn) do
    lines = lines + math.max(math.ceil(taken / columns), 1)
  end
  return lines
end

--- Draws `lines` instead of those that are there, below the `above`, in one piece: there is
--- no moment at which half of it could be seen.
---@param above string[] lines of any length
---@param lines string[] none wider than the terminal
function Screen:draw(above, lines)
  local up = back(self.drawn, (self:size()))
  local out = { up > 0 and ("\27[%dA\r"):format(up) or "" }
  self.drawn = {}
  if #above > 0 then
    out[2] = (up > 0 and "\27[J" or "") .. table.concat(above, "\n") .. "\n"
  end
  if #lines > 0 then
    out[#out + 1] = "\27[?7l" -- a terminal that counts other widths cuts lines and breaks none
    for i, line in ipairs(lines) do
      out[#out + 1] = line .. "\27[K\n"
      self.drawn[i] = width.of(line)
    end
    out[#out + 1] = "\27[?7h"
  end
  if up > 0 then
    out[#out + 1] = "\27[J"
  end
  self.out:write(table.concat(out))
end

return M
