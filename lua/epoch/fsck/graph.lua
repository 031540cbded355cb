--- What needs what in a store, and so what a thing that is broken breaks. A node is a blob's digest,
-- NAME@DIGEST of a manifest, or NAME:TAG.
local reference = require "epoch.reference"

local Graph = {}
Graph.__index = Graph

local M = {}

function M.new()
  return setmetatable({ needed_by = {}, tagged = {} }, Graph)
end

---@param node string
---@param by string another one, that is of no use without it
function Graph:need(node, by)
  self.needed_by[node] = self.needed_by[node] or {}
  table.insert(self.needed_by[node], by)
end

--- There is a tag for this manifest.
---@param node string NAME@DIGEST
function Graph:tag(node)
  self.tagged[node] = true
end

-- Is it told that this one is broken, too? A manifest by digest only where no tag and no index leads
-- to it.
local function is_told(self, node)
  if reference.check_digest(node) then
    return false
  end
  return not node:find("@", 1, true) or not self.needed_by[node] and not self.tagged[node]
end

--- What cannot be had any more without this node: references as they are typed, sorted.
---@param node string? nil: nothing needs it
---@return string[]
function Graph:breaks(node)
  local seen, queue, list = { [node or ""] = true }, { node }, {}
  for _, at in ipairs(queue) do -- which grows
    if is_told(self, at) or at == node and not reference.check_digest(at) then
      list[#list + 1] = at
    end
    for _, user in ipairs(self.needed_by[at] or {}) do
      if not seen[user] then
        seen[user] = true
        queue[#queue + 1] = user
      end
    end
  end
  table.sort(list)
  return list
end

return M
