--- Repositories that have nothing but generation 1 stay as that generation has them. For epoch.registry.
--
-- A manifest is put by its digest before its tag, so that a gc finds it. Programs of generation 1 take
-- what stands there for a tag, and know no digests: once the tag is there, the other goes. Who asks by
-- digest gets the tag's (epoch.registry.untold), as with what those programs have pushed.
local early = require "epoch.manifest.early"
local manifests = require "epoch.objectstore.manifests"
local objectstore = require "epoch.objectstore"
local removal = require "epoch.registry.removal"
local tags_of = require "epoch.registry.tags"

local M = {}

-- Is any of these copies by digest, besides that one, of another generation? Who puts there finds them.
local function is_mixed(self, copies, own)
  for _, one in ipairs(copies) do
    local bytes, err
    if one.key ~= own then
      bytes, err = self.store:read(one.key, manifests.MAX)
      if not bytes and err.kind ~= "not_found" then
        return nil, err
      end
    end
    local members = bytes and manifests.read(bytes)
    if bytes and not (members and early.is_first(members)) then
      return true
    end
  end
  return false
end

--- Takes away a manifest by its digest that has its tag now, unless there are others by digest.
---@param self { task: epoch.task, store: table, manifest_key: function }
---@param name string
---@param digest epoch.digest
---@param needed { digest: epoch.digest, size: integer }[] its blobs
---@return true?
---@return epoch.Error?
function M.leave_as_it_was(self, name, digest, needed)
  local own = self:manifest_key(name, digest)
  local copies, err = objectstore.list_all(self.store, tags_of.directory_of(name) .. "_digests/")
  local mixed
  if copies then
    mixed, err = is_mixed(self, copies.keys, own)
  end
  if mixed ~= false then
    return mixed, err
  end
  -- a gc that has not seen the tag has announced what it removes, and still finds the manifest here
  local settled
  settled, err = removal.settle(self, needed)
  if not settled then
    return nil, err
  end
  return self.store:delete(own)
end

return M
