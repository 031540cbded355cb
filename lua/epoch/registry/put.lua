--- Putting manifests into a registry in an object store. For epoch.registry, which takes its methods
-- from here.
local early = require "epoch.manifest.early"
local errors = require "epoch.errors"
local generation1 = require "epoch.registry.generation1"
local manifests = require "epoch.objectstore.manifests"
local media_types = require "epoch.registry.media_type"
local options = require "epoch.options"
local reference = require "epoch.reference"
local referrers = require "epoch.registry.referrers"
local removal = require "epoch.registry.removal"
local tags_of = require "epoch.registry.tags"

local M = {}

local BOOLEAN = { type = "boolean" }
local PUT = { sparse = BOOLEAN, children = BOOLEAN }

-- Stores a manifest by its digest, with what goes with it. Its blobs, those that are needed, have been
-- there, and are there still: from now on no gc removes them.
local function hold(self, name, digest, bytes, media_type, members, needed)
  local ok, err = referrers.add(self, name, members, { digest = digest, size = #bytes, media_type = media_type })
  if ok and type(members.mediaType) ~= "string" then
    ok, err = media_types.keep(self, name, digest, bytes, media_type)
  end
  if ok then
    ok, err = self.store:put((self:manifest_key(name, digest)), #bytes, bytes, { digest = digest })
  end
  if ok and #needed > 0 then
    ok, err = removal.settle(self, needed)
    if ok then
      ok, err = manifests.check_blobs(self, name, needed)
    end
  end
  return ok, err
end

-- Are the manifests there that an index names? It may name one often.
local function check_children(self, name, members)
  local seen = {}
  for _, child in ipairs(type(members.manifests) == "table" and members.manifests or {}) do
    local ok, err = reference.check_digest(type(child) == "table" and child.digest or nil)
    if not ok then
      return errors.fail("invalid", "manifest: its manifests: " .. err.message)
    end
    ok, err = seen[child.digest], nil
    if not ok then
      ok, err = self.store:head((self:manifest_key(name, child.digest)))
      seen[child.digest] = ok
    end
    if not ok and err.kind == "not_found" then
      return errors.fail("blob_unknown", ("the index needs the manifest %s, which is not in %s in %s; it has to be "
        .. "stored first"):format(child.digest, name, self:describe()))
    elseif not ok then
      return nil, err
    end
  end
  return true
end

--- Stores a manifest whose blobs are all there: its digest. `options`: `sparse`, they need not be;
--- `children`, an index's manifests must be there, too.
---@param name string
---@param given string tag or digest
---@param bytes string
---@param media_type string? what it came as
---@param how { sparse: boolean?, children: boolean? }?
---@return epoch.digest?
---@return epoch.Error?
function M:put_manifest(name, given, bytes, media_type, how)
  how = options.check("put_manifest", PUT, how)
  local key, kind = self:manifest_key(name, given)
  if not key then
    return nil, kind
  end
  local digest, is, members = manifests.check(self, name, given, bytes, media_type, how.sparse)
  if not digest then
    return nil, is
  end
  local needed = not how.sparse and manifests.blobs(members) or {}
  local etag, err = true, nil
  if how.children and not how.sparse then
    etag, err = check_children(self, name, members)
  end
  if etag then
    etag, err = hold(self, name, digest, bytes, is, members, needed)
  end
  if etag and kind == "tag" then
    etag, err = tags_of.put(self, name, { given }, bytes)
  end
  if etag and kind == "tag" and early.is_first(members) then
    etag, err = generation1.leave_as_it_was(self, name, digest, needed)
  end
  return etag and digest, err
end

--- Gives tags to a manifest that is stored by its digest.
---@param name string
---@param digest epoch.digest
---@param tags string[]
---@return true?
---@return epoch.Error?
function M:tag_manifest(name, digest, tags)
  local found, err = self:get_manifest(name, digest)
  if not found then
    return nil, err
  end
  return tags_of.put(self, name, tags, found.bytes)
end

return M
