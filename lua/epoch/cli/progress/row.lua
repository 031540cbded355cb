--- One line of the display: a name, a bar, how much, how quickly, how long still. The narrower
-- the terminal, the less of it.
local manifest = require "epoch.manifest"
local width = require "epoch.cli.width"
local words = require "epoch.cli.progress.words"

local M = {}

---@class epoch.cli.progress.Row
---@field title string
---@field tail string? of the title, never cut; ASCII
---@field bytes integer
---@field total integer? without it there is no bar
---@field done string? what was done with the bytes, where there is no total
---@field speed number? bytes a second

---@class epoch.cli.progress.Style
---@field parts string[] what a cell looks like that is partly full, the emptiest first

M.ASCII = { full = "=", parts = { ">" }, left = "[", right = "]", mark = "..." }
M.UTF8 = { full = "█", parts = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" }, left = "[", right = "]", mark = "…" }

local SIZES_FROM, SPEED_FROM = 40, 72 -- so many columns it takes for them to be shown
local BAR_MIN, BAR_MAX = 10, 40 -- cells
local TITLE_MIN = 10 -- columns of a name that leave room for a bar

local function bar(row, cells, style)
  local at = row.total > 0 and math.min(row.bytes / row.total, 1) * cells or cells
  local full = math.floor(at)
  local part = style.parts[math.floor((at - full) * (#style.parts + 1))]
  return style.left .. style.full:rep(full) .. (part or "") .. (" "):rep(cells - full - (part and 1 or 0))
    .. style.right
end

local function sizes(row)
  local bytes = manifest.human_size(row.bytes)
  if row.total then
    return bytes .. "/" .. manifest.human_size(row.total)
  end
  return row.done and bytes .. " " .. row.done or bytes
end

-- What stands right of the bar, always in the same columns.
local function figures(row, columns)
  local out = { row.total and ("%3d%%"):format(words.percent(row.bytes, row.total)) or "    " }
  if columns >= SIZES_FROM then
    out[#out + 1] = ("%15s"):format(sizes(row))
  end
  if columns >= SPEED_FROM then
    out[#out + 1] = ("%9s"):format(row.speed and words.speed(row.speed) or "")
    out[#out + 1] = ("%-11s"):format(row.total and words.eta(row.total - row.bytes, row.speed) or "")
  end
  return table.concat(out, "  ")
end

-- The name in so many columns. What is cut is its end, but not the tail.
local function name(row, columns, mark)
  local tail = row.tail or ""
  return width.fit(width.cut(row.title, math.max(columns - #tail, 0), mark) .. tail, columns, "")
end

--- How many columns a row's name would take.
function M.name_width(row)
  return width.of(row.title) + #(row.tail or "")
end

--- The line for a terminal with so many columns, of which one stays free: what fills a line
--- to its end behaves differently from one terminal to the next.
---@param row epoch.cli.progress.Row
---@param columns integer
---@param names integer columns of the longest name beside it
---@param style epoch.cli.progress.Style
---@return string
function M.format(row, columns, names, style)
  local right = figures(row, columns)
  local room = math.max(columns - 1 - #right - 2, 0)
  local left = room - BAR_MIN - 4 -- for names: two spaces and two brackets belong to the bar
  local cells = math.min(room - math.min(names, left) - 4, BAR_MAX)
  local line
  if left < TITLE_MIN then
    line = name(row, room, style.mark)
  elseif row.total then
    line = name(row, math.min(names, left), style.mark) .. "  " .. bar(row, cells, style)
  else
    line = name(row, math.min(names, left) + 4 + cells, style.mark)
  end
  return (width.cut(line .. "  " .. right, columns - 1, ""):gsub(" +$", ""))
end

return M
