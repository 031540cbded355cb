--- Tables for people: columns side by side, whatever strangers have put into them.
local text = require "epoch.text"
local width = require "epoch.cli.width"

local M = {}

-- The longest piece of foreign text in a cell.
local CELL = 128

local function cell(value)
  return value ~= nil and value ~= "" and text.printable(tostring(value), CELL) or "-"
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
      cells[i][column] = cell(row[column])
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
