--- Tables for people: columns side by side, whatever strangers have put into them.
local text = require "epoch.text"
local width = require "epoch.cli.width"

local M = {}

-- The longest text of a cell, of the last one in a row: names and digests fit.
local CELL, LAST = 256, 2048

local function cell(value, max)
  return value ~= nil and value ~= "" and text.printable(tostring(value), max) or "-"
end

--- Rows of `n` columns as lines, each with `before` in front of it. What is nil or empty is
--- "-"; nothing follows the last column.
---@param n integer
---@param rows any[][]
---@param before string?
---@return string
function M.format(n, rows, before)
  local widths, cells, lines = {}, {}, {}
  for i, row in ipairs(rows) do
    cells[i] = {}
    for column = 1, n do
      cells[i][column] = cell(row[column], column < n and CELL or LAST)
      widths[column] = math.max(widths[column] or 0, width.of(cells[i][column]))
    end
  end
  for i, row in ipairs(cells) do
    for column = 1, n - 1 do
      row[column] = row[column] .. (" "):rep(widths[column] - width.of(row[column]))
    end
    lines[i] = (before or "") .. table.concat(row, "  ") .. "\n"
  end
  return table.concat(lines)
end

return M
