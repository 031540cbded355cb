--- Who listens while layers move: `progress` gets lines for people, `on_event` a table for
-- whatever happens to a layer, for programs.
local manifest = require "epoch.manifest"
local text = require "epoch.text"

local Listeners = {}
Listeners.__index = Listeners

local M = {}

--- Those of a use case's options.
---@param op string "push", "pull", …
---@param options { progress: fun(line: string)?, on_event: fun(event: table)? }
function M.new(op, options)
  return setmetatable({ op = op, progress = options.progress, on_event = options.on_event }, Listeners)
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

---@param event "start"|"progress"|"done"
---@param layer { title: string?, digest: string?, size: integer }
---@param bytes integer so far
---@param transferred boolean? at the end: did its bytes have to move?
function Listeners:tell(event, layer, bytes, transferred)
  if self.on_event then
    self.on_event { event = event, op = self.op, title = layer.title, digest = layer.digest,
                    bytes = bytes, total = layer.size, transferred = transferred }
  end
end

--- What tells of a layer while it moves.
---@param layer { title: string?, digest: string?, size: integer }
---@return (fun(bytes: integer))?
function Listeners:progress_of(layer)
  return self.on_event and function(bytes)
    self:tell("progress", layer, bytes)
  end
end

return M
