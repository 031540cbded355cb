--- Manifests that are stored under their tags only, as generation 1 stored them: found by their
-- digest all the same. For epoch.registry.
--
-- Today a manifest is put by its digest before it gets a tag. So only tags that are older than
-- anything there is by digest have to be read.
local core = require "epoch.core"
local early = require "epoch.manifest.early"
local manifests = require "epoch.objectstore.manifests"
local objectstore = require "epoch.objectstore"

local M = {}

local SEVERAL = 8 -- read at once

-- The keys of tags that may have no copy by digest.
local function candidates(store, directory)
  local tags, err = objectstore.list_all(store, directory, "/")
  local copies
  if tags then
    copies, err = objectstore.list_all(store, directory .. "_digests/")
  end
  if not copies then
    return nil, err
  end
  local oldest, keys = math.huge, {}
  for _, one in ipairs(copies.keys) do
    oldest = math.min(oldest, one.modified)
  end
  for _, one in ipairs(tags.keys) do
    if one.modified <= oldest and one.size <= manifests.MAX then
      keys[#keys + 1] = one.key
    end
  end
  return keys
end

-- Others have a copy by digest, or are not what was stored.
local function is_first(bytes)
  local members = manifests.read(bytes)
  return members ~= nil and early.is_first(members)
end

--- The bytes of a manifest; false when no tag has it.
---@param self { task: epoch.task, store: table }
---@param directory string where the tags are
---@param digest epoch.digest
---@return string|false|nil
---@return epoch.Error?
function M.find(self, directory, digest)
  local keys, err = candidates(self.store, directory)
  if not keys then
    return nil, err
  end
  local algorithm, found = digest:match("^[^:]+"), false
  local ok
  ok, err = self.task:each(keys, SEVERAL, function(key)
    local bytes, why = nil, nil
    if not found then
      bytes, why = self.store:read(key, manifests.MAX)
    end
    if bytes and core.digest(bytes, algorithm) == digest and is_first(bytes) then
      found = bytes
    end
    return bytes and true or why == nil or why.kind == "not_found", why
  end)
  if not ok then
    return nil, err
  end
  return found
end

return M
