--- What is under way and what is done, as the events tell it.
local rates = require "epoch.cli.progress.rate"

---@class epoch.cli.progress.Layer
---@field title string?
---@field digest string?
---@field phase string? "read", "send": where a layer is moved more than once
---@field bytes integer of this phase
---@field total integer? nil: not known
---@field began number when this phase did
---@field rate table
---@field transferred boolean?
---@field note string?

---@class epoch.cli.progress.Tally
---@field active epoch.cli.progress.Layer[] in the order in which they began
---@field finished integer how many layers are done
---@field size integer their bytes
---@field sent integer? bytes of those that were sent, where that is told
---@field planned { bytes: integer, layers: integer }? all there will be, where that is known
local Tally = {}
Tally.__index = Tally

local M = {}

function M.new()
  return setmetatable({ active = {}, finished = 0, size = 0, phases = {} }, Tally)
end

-- A push learns a digest only on the way: titles find what digests do not.
local function find(self, e)
  for i, layer in ipairs(self.active) do
    if e.digest and layer.digest == e.digest and layer.title == e.title then
      return i, layer
    end
  end
  for i, layer in ipairs(self.active) do
    if e.title == layer.title and not (e.digest and layer.digest) then
      return i, layer
    end
  end
end

-- All bytes of one phase.
local function phase_of(self, name, now)
  name = name or ""
  if not self.phases[name] then
    self.phases[name] = { bytes = 0, rate = rates.new(now) }
  end
  return self.phases[name]
end

local function begin(self, e, now)
  local layer = { title = e.title, digest = e.digest, total = e.total, phase = e.phase, bytes = 0,
                  began = now, rate = rates.new(now) }
  self.active[#self.active + 1] = layer
  return layer
end

local function move(self, layer, e, now)
  if e.phase and e.phase ~= layer.phase then
    layer.phase, layer.bytes, layer.began, layer.rate = e.phase, 0, now, rates.new(now)
  end
  local more = e.bytes - layer.bytes
  local phase = phase_of(self, layer.phase, now)
  phase.bytes = phase.bytes + more
  if e.transferred ~= false then -- what was there says nothing of speed
    phase.rate:add(more, now)
    layer.rate:add(more, now)
  end
  layer.bytes, layer.total, layer.digest = e.bytes, e.total or layer.total, e.digest or layer.digest
end

local function finish(self, layer, e)
  layer.transferred, layer.note = e.transferred, e.note
  self.finished, self.size = self.finished + 1, self.size + layer.bytes
  if e.transferred ~= nil then
    self.sent = (self.sent or 0) + (e.transferred and layer.bytes or 0)
  end
end

--- Takes an event in; answers the layer that it is about, nil for a plan.
---@param e table
---@param now number
---@return epoch.cli.progress.Layer?
function Tally:take(e, now)
  if e.event == "plan" then
    self.planned = { bytes = e.total, layers = e.layers }
    return nil
  end
  local i, layer = find(self, e)
  if not layer then
    i, layer = #self.active + 1, begin(self, e, now)
  end
  if e.event == "done" or e.event == "error" then
    table.remove(self.active, i)
  end
  if e.event ~= "error" then
    move(self, layer, e, now)
  end
  if e.event == "done" then
    finish(self, layer, e)
  end
  return layer
end

-- What goes on: a phase of the newest layer that is not at its end (a layer that has been read
-- and waits to be sent is), or what did so last.
local function current(self)
  for i = #self.active, 1, -1 do
    local layer = self.active[i]
    if not layer.total or layer.bytes < layer.total then
      return layer.phase
    end
  end
  return self.going
end

--- All layers as one: the bytes of what goes on, out of how many, and how quickly.
---@param now number
---@return { bytes: integer, total: integer?, phase: string?, rate: table }
function Tally:sum(now)
  self.going = current(self)
  local phase = phase_of(self, self.going, now)
  return { bytes = phase.bytes, total = self.planned and self.planned.bytes, phase = self.going,
           rate = phase.rate }
end

return M
