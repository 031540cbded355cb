--- Who listens while layers move: `progress` gets lines for people, `on_event` a table for
-- whatever happens to a layer, for programs.
--
---@class epoch.event
---@field event "plan"|"start"|"progress"|"done" plan: before the first of a pull
---@field op string "push", "pull", "get", "copy"
---@field title string?
---@field digest epoch.digest? when a push starts it is not known yet
---@field bytes integer of this layer, in this phase
---@field total integer? all of its bytes; in a plan those of all layers
---@field layers integer? in a plan: how many there will be
---@field phase "read"|"send"|nil of a push: what is done with the bytes, each from 0 on
---@field transferred boolean? of a push or a copy, done: did its bytes have to move?
---@field note string? of a copy, done: why they had not to
local manifest = require "epoch.manifest"
local text = require "epoch.text"

local Listeners = {}
Listeners.__index = Listeners

local M = {}

local default

--- Who listens where nobody does: `listen(op)` answers an `on_event`, and an `on_end` that hears
--- that there is no more. For programs that run the scripts of others; nil: nobody.
---@param listen (fun(op: string): { on_event: function, on_end: function })?
function M.default(listen)
  default = listen
end

--- Those of a use case's options.
---@param op string "push", "pull", …
---@param options { progress: fun(line: string)?, on_event: fun(event: table)? }
function M.new(op, options)
  if default and not (options.progress or options.on_event) then
    options = default(op)
  end
  return setmetatable({ op = op, progress = options.progress, on_event = options.on_event,
                        on_end = options.on_end }, Listeners)
end

function Listeners:say(line)
  if self.progress then
    self.progress(line)
  end
end

--- A line about a layer: its name, its size, and the note if there is one.
---@param layer { title: string?, digest: string?, size: integer }
---@param note string?
function Listeners:mention(layer, note)
  self:say(("%s: %s%s"):format(text.printable(layer.title or layer.digest, 255),
    manifest.human_size(layer.size), note and ", " .. note or ""))
end

--- What there will be to tell of.
---@param layers { size: integer }[]
function Listeners:plan(layers)
  if self.on_event then
    local total = 0
    for _, layer in ipairs(layers) do
      total = total + layer.size
    end
    self.on_event { event = "plan", op = self.op, bytes = 0, total = total, layers = #layers }
  end
end

---@param event "start"|"progress"|"done"
---@param layer { title: string?, digest: string?, size: integer }
---@param bytes integer so far
---@param more { phase: string?, transferred: boolean?, note: string? }?
function Listeners:tell(event, layer, bytes, more)
  if self.on_event then
    more = more or {}
    self.on_event { event = event, op = self.op, title = layer.title, digest = layer.digest,
                    bytes = bytes, total = layer.size, phase = more.phase,
                    transferred = more.transferred, note = more.note }
  end
end

--- There is no more to tell, whether it went well or not.
function Listeners:finish()
  if self.on_end then
    self.on_end()
  end
end

--- What tells of a layer while it moves.
---@param layer { title: string?, digest: string?, size: integer }
---@param phase string?
---@return (fun(bytes: integer))?
function Listeners:progress_of(layer, phase)
  return self.on_event and function(bytes)
    self:tell("progress", layer, bytes, { phase = phase })
  end
end

return M
