--- Progress on a terminal: a line with a bar for each layer that is under way, one for all of
-- them, and above these a line that stays for each layer that is done.
local rows = require "epoch.cli.progress.row"
local screens = require "epoch.cli.progress.screen"
local text = require "epoch.text"
local width = require "epoch.cli.width"
local words = require "epoch.cli.progress.words"

local Bar = {}
Bar.__index = Bar

local M = {}

local PAUSE = 0.1 -- seconds between two drawings

---@param given { out: table, terminal: function, tally: epoch.cli.progress.Tally, label: string, utf8: boolean }
function M.new(given)
  return setmetatable({
    screen = screens.new(given.out, given.terminal), tally = given.tally, label = given.label,
    style = given.utf8 and rows.UTF8 or rows.ASCII, ascii = not given.utf8, above = {}, names = 0,
  }, Bar)
end

-- Where the locale has no UTF-8, who knows how wide that would be.
local function shown(self, title)
  return self.ascii and title:gsub("[\194-\244][\128-\191]*", "?") or title
end

local function layer_row(self, layer, now)
  local title = (layer.phase and layer.phase .. " " or "") .. words.title(layer)
  local waits = layer.bytes == layer.total -- for its turn to be sent, or for an answer
  return { title = shown(self, title), bytes = layer.bytes, total = layer.total,
           speed = not waits and layer.rate:per_second(now) or nil }
end

local function sum_row(self, now)
  local tally, sum = self.tally, self.tally:sum(now)
  local count = tally.planned and ("%d/%d"):format(tally.finished, tally.planned.layers)
    or ("%d done"):format(tally.finished)
  return { title = shown(self, self.label), tail = (" (%s)"):format(count), bytes = sum.bytes,
           total = sum.total, done = words.past(sum.phase), speed = sum.rate:per_second(now) }
end

-- What there is room for: with the line below, where the cursor is, never more than the
-- terminal has.
local function choose(self, height, now)
  local active, out = self.tally.active, {}
  local room = height - 2
  local n = #active <= room and #active or math.max(room - 1, 0)
  for i = 1, n do
    out[i] = layer_row(self, active[i], now)
  end
  return out, room > 0 and #active - n or 0
end

local function lines(self, now)
  local columns, height = self.screen:size()
  if height < 2 then
    return {}
  end
  local list, more = choose(self, height, now)
  list[#list + 1] = sum_row(self, now)
  for _, row in ipairs(list) do -- columns that do not move while layers come and go
    self.names = math.max(self.names, rows.name_width(row))
  end
  for i, row in ipairs(list) do
    list[i] = rows.format(row, columns, self.names, self.style)
  end
  if more > 0 then
    table.insert(list, #list, width.cut(("and %d more"):format(more), columns - 1, ""))
  end
  return list
end

local function draw(self, now)
  self.screen:draw(self.above, lines(self, now))
  self.above, self.drawn = {}, now
end

function Bar:event(e, layer, now)
  if e.event == "done" then
    self.above[#self.above + 1] = words.done(layer, now)
  end
  if not self.drawn or now - self.drawn >= PAUSE then
    draw(self, now)
  end
end

function Bar:line(line, now)
  self.above[#self.above + 1] = text.printable(line)
  draw(self, now)
end

--- The bars go; what is done stays, and the last word on it.
function Bar:finish(summary)
  self.above[#self.above + 1] = summary
  self.screen:draw(self.above, {})
end

return M
