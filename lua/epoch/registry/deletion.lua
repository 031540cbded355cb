--- Taking manifests away from a registry in an object store. For epoch.registry, which takes its
-- method from here.
local core = require "epoch.core"
local manifests = require "epoch.objectstore.manifests"
local media_types = require "epoch.registry.media_type"
local referrers = require "epoch.registry.referrers"
local tags_of = require "epoch.registry.tags"

local M = {}

-- Takes away every tag whose manifest has this digest.
local function unlink_tags(self, name, digest)
  local tags, err = tags_of.stored(self, name)
  if not tags then
    return nil, err
  end
  local algorithm = digest:match("^[^:]+")
  for _, key in pairs(tags) do
    local bytes, info = self.store:read(key, manifests.MAX)
    if not bytes and info.kind ~= "not_found" and info.kind ~= "too_large" then
      return nil, info
    elseif bytes and core.digest(bytes, algorithm) == digest then
      local ok, why = self.store:delete(key)
      if not ok then
        return nil, why
      end
    end
  end
  return true
end

-- Removes a manifest that has no tag any more, with what went with it.
local function remove(self, name, digest, key)
  local bytes, info = self.store:read(key, manifests.MAX)
  if not bytes and info.kind == "not_found" then
    return true
  end
  local ok, err = self.store:delete(key)
  if ok then
    ok, err = media_types.forget(self, name, digest)
  end
  if ok and bytes then
    ok, err = referrers.remove(self, name, bytes, digest)
  end
  return ok, err
end

--- A tag: that tag. A digest: every tag of it, then the manifest. Blobs stay.
function M:delete_manifest(name, given)
  local key, kind = self:manifest_key(name, given)
  if not key then
    return nil, kind
  end
  local ok, err
  if kind == "digest" then
    ok, err = unlink_tags(self, name, given)
  else
    ok, err = self.store:delete(key)
  end
  if not ok then
    return nil, err
  end
  ok, err = self.store:head(tags_of.CATALOG)
  if ok then -- where there is none, there is nothing to take out of it
    ok, err = tags_of.refresh(self, name)
  end
  if not ok and err.kind ~= "not_found" then
    return nil, err
  elseif kind == "digest" then
    return remove(self, name, given, key)
  end
  return true
end

return M
