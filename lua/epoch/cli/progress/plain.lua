--- Progress for logs: a line for each layer that is done, and now and then one about a layer
-- that takes long.
local text = require "epoch.text"
local words = require "epoch.cli.progress.words"

local Plain = {}
Plain.__index = Plain

local M = {}

local PAUSE = 10 -- seconds without a line

---@param given { out: table, now: number }
function M.new(given)
  return setmetatable({ out = given.out, said = given.now }, Plain)
end

local function say(self, line, now)
  self.said = now
  self.out:write(line, "\n")
end

function Plain:event(e, layer, now)
  if e.event == "done" then
    say(self, words.done(layer, now), now)
  elseif e.event == "progress" and now - self.said >= PAUSE then
    say(self, words.under_way(layer, now), now)
  end
end

function Plain:line(line, now)
  say(self, text.printable(line), now)
end

function Plain:finish(summary, _, now)
  if summary then
    say(self, summary, now)
  end
end

return M
