--- The media type that a manifest came as, kept where its bytes do not say it:
--
--     manifests/NAME/_types/sha256-HEX
local manifests = require "epoch.objectstore.manifests"

local M = {}

local function key_of(name, digest)
  return ("manifests/%s/_types/%s"):format(name, (digest:gsub(":", "-")))
end

--- Keeps the type of a manifest that is read as another one.
---@param self { store: table }
---@param name string
---@param digest epoch.digest
---@param bytes string
---@param media_type string
---@return true?
---@return epoch.Error?
function M.keep(self, name, digest, bytes, media_type)
  local _, read_as = manifests.read(bytes)
  if read_as == media_type then
    return true
  end
  local etag, err = self.store:put(key_of(name, digest), #media_type, media_type)
  return etag and true, err
end

--- The type of a manifest whose bytes do not say it: what it came as, else what it looks like.
---@param self { store: table }
---@param name string
---@param digest epoch.digest
---@param looks_like string
---@return string?
---@return epoch.Error?
function M.recall(self, name, digest, looks_like)
  local kept, err = self.store:read(key_of(name, digest), manifests.MAX_TYPE)
  if not kept and err.kind == "not_found" then
    return looks_like
  end
  return kept and kept:match("^[%w!#$&^_.+/-]+$") or kept and looks_like or nil, err
end

--- Forgets it, when the manifest is gone.
function M.forget(self, name, digest)
  return self.store:delete(key_of(name, digest))
end

return M
