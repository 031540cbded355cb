--- Every manifest of an image layout: those in its index, and those that these list.
local blobs = require "epoch.objectstore.blobs"
local core = require "epoch.core"
local manifests = require "epoch.objectstore.manifests"
local media = require "epoch.media"
local reference = require "epoch.reference"

local M = {}

-- Reads a manifest. One that is not there, or not what its digest says, is a blob that is broken and
-- nothing more.
local function read(self, one)
  local bytes, err = self.store:read(blobs.key(one.blob), manifests.MAX)
  if not bytes then
    if err.kind == "too_large" then
      one.err = err
    elseif err.kind ~= "not_found" then
      return nil, err
    end
  elseif core.digest(bytes, one.blob:match("^[^:]+")) == one.blob then
    one.bytes = bytes
    one.members, err = manifests.read(bytes)
    one.err = not one.members and err or nil
  end
  return true
end

-- The manifests that an index lists, where it is one.
local function listed(one, use)
  local list = one.members and one.members.manifests
  for _, child in ipairs(type(list) == "table" and list or {}) do
    if type(child) == "table" and reference.check_digest(child.digest) and media.is_manifest(child.mediaType) then
      use { name = one.name, digest = child.digest, blob = child.digest }
    end
  end
end

--- Tells `use` of each: records as those of epoch.registry.stored, whose `blob` is the digest under
--- which its bytes are.
---@param self { task: epoch.task, store: table }
---@param entries epoch.layout.Entry[]
---@param own_name string of entries without a name
---@param use fun(one: table)
---@return true?
---@return epoch.Error?
function M.each(self, entries, own_name, use)
  local queue, seen = {}, {}
  for _, entry in ipairs(entries) do
    if entry.digest then
      queue[#queue + 1] = { name = entry.name or own_name, tag = entry.tag, blob = entry.digest,
                            digest = not entry.tag and entry.digest or nil }
    end
  end
  for _, one in ipairs(queue) do -- which grows
    local ok, err = self.task:sleep(0) -- where nothing else waits, a signal is seen here
    if ok then
      ok, err = read(self, one)
    end
    if not ok then
      return nil, err
    end
    use(one)
    listed(one, function(child)
      local node = child.name .. "@" .. child.digest
      queue[#queue + 1] = not seen[node] and child or nil
      seen[node] = true
    end)
  end
  return true
end

return M
