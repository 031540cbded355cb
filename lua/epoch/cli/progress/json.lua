--- Progress for programs: an object on a line of its own for each event.
local json = require "epoch.json"
local text = require "epoch.text"
local utf8 = require "epoch.utf8"
local whole = require "epoch.whole"

local Json = {}
Json.__index = Json

local M = {}

local PAUSE = 0.2 -- seconds between two lines of progress of one layer

---@param given { out: table, op: string, tally: epoch.cli.progress.Tally }
function M.new(given)
  return setmetatable({ out = given.out, op = given.op, tally = given.tally, told = {} }, Json)
end

-- JSON is UTF-8; a title that is not has been escaped.
local function word(s)
  return s and (utf8.valid(s) and s or text.printable(s)) or json.null
end

-- A sum of sizes that a manifest claims can be more than a number of JSON carries.
local function size(n)
  return n and whole.from(n) or json.null
end

local function say(self, event, about)
  self.out:write(json.encode(json.object {
    { "event", event },
    { "op", self.op },
    { "title", word(about.title) },
    { "digest", word(about.digest) },
    { "bytes", size(about.bytes) },
    { "total", size(about.total) },
  }), "\n")
end

-- Not too often, and never fewer bytes than before: a layer that was read and is now sent
-- begins at 0 again, of which these members cannot tell.
local function is_news(told, layer, now)
  return not told or now - told.at >= PAUSE and layer.bytes > told.bytes
end

function Json:event(e, layer, now)
  if e.event == "plan" or e.event == "progress" and not is_news(self.told[layer], layer, now) then
    return
  end
  local goes_on = e.event == "start" or e.event == "progress"
  self.told[layer] = goes_on and { at = now, bytes = layer.bytes } or nil
  say(self, e.event, layer)
end

function Json.line() end

function Json:finish(_, err)
  if err then
    local planned = self.tally.planned
    say(self, "error", { bytes = self.tally.size, total = planned and planned.bytes })
  end
end

return M
