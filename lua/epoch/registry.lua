--- A registry in an object store: the object layout, as a home.
--
--     catalog.json                             names and tags, to be had quickly
--     manifests/NAME/TAG.json                  manifests by tag, as pushed
--     manifests/NAME/_digests/sha256-HEX.json  the same by digest
--     manifests/NAME/_referrers/…, _types/…    what refers to what, and what came as what (registry.referrers,
--                                              registry.media_type)
--     blobs/sha256/HEX
--     gc.json                                  blobs that are being removed (registry.removal)
--
-- The keys are the truth. A manifest is stored by digest, then by tag, then the catalog
-- follows; tags are taken away in the same order, so that whatever is cut short can be done
-- again.
local core = require "epoch.core"
local blobs = require "epoch.objectstore.blobs"
local errors = require "epoch.errors"
local files = require "epoch.registry.files"
local manifests = require "epoch.objectstore.manifests"
local media_types = require "epoch.registry.media_type"
local options = require "epoch.options"
local reference = require "epoch.reference"
local referrers = require "epoch.registry.referrers"
local removal = require "epoch.registry.removal"
local stored = require "epoch.registry.stored"
local tags_of = require "epoch.registry.tags"

local Registry = {
  __name = "epoch.registry",
  blob_size = blobs.blob_size, blob_exists = blobs.blob_exists, get_blob = blobs.get_blob,
  put_blob = blobs.put_blob, mount_blob = blobs.mount_blob, delete_blob = blobs.delete_blob,
  push_blob = files.push_blob, pull_blob = files.pull_blob,
  referrers = referrers.list,
  each_manifest = stored.each, announce_removal = removal.announce, end_removal = removal.withdraw,
}
Registry.__index = Registry

local M = {}

local BOOLEAN = { type = "boolean" }
local PUT = { sparse = BOOLEAN, children = BOOLEAN, listed = BOOLEAN }

--- The registry in a store, which it closes in the end. `notice` of it is what whoever uses it
--- should be told after a change, or nil.
---@param task epoch.task
---@param store table
---@return table home
function M.new(task, store)
  return setmetatable({ task = task, store = store }, Registry)
end

-- The key of a manifest, "tag" or "digest"; or nil and the error.
local function key_of(name, given)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  local kind
  kind, err = reference.tag_or_digest(given)
  if not kind then
    return nil, err
  elseif kind == "tag" then
    return tags_of.key(name, given), kind
  end
  return tags_of.directory_of(name) .. "_digests/" .. given:gsub(":", "-") .. ".json", kind
end

--- The key of a manifest, "tag" or "digest".
---@param name string
---@param given string
---@return string?
---@return "tag"|"digest"|epoch.Error
function Registry.manifest_key(_, name, given)
  return key_of(name, given)
end

--- What the catalog says. It follows the keys: tags and repositories ask those, too.
---@return epoch.Catalog?
---@return epoch.Error?
function Registry:get_catalog()
  return tags_of.catalog(self)
end

--- Makes the catalog anew from the keys.
---@return true?
---@return epoch.Error?
function Registry:rebuild_catalog()
  return tags_of.rebuild(self)
end

local function read_manifest(self, key, shown)
  local bytes, info = self.store:read(key, manifests.MAX)
  if not bytes and info.kind == "not_found" then
    return errors.fail("not_found", ("%s is not in %s"):format(shown, self:describe()))
  end
  return bytes, info
end

function Registry:get_manifest(name, given)
  local key, kind = key_of(name, given)
  if not key then
    return nil, kind
  end
  local shown = name .. (kind == "tag" and ":" or "@") .. given
  local bytes, err = read_manifest(self, key, shown)
  if not bytes then
    return nil, err
  end
  local digest = core.digest(bytes, kind == "digest" and given:match("^[^:]+") or nil)
  if kind == "digest" and digest ~= given then
    return errors.fail("digest_mismatch", ("%s in %s has become %s; store it again"):format(
      shown, self:describe(), digest))
  end
  local members, media_type = manifests.read(bytes)
  if not members then
    return nil, errors.wrap(media_type, "read " .. shown)
  elseif type(members.mediaType) ~= "string" then
    media_type, err = media_types.recall(self, name, digest, media_type)
    if not media_type then
      return nil, err
    end
  end
  return { bytes = bytes, media_type = media_type, digest = digest }
end

-- Stores a manifest by its digest, with what goes with it. Its blobs have been there, and are there
-- still: from now on no gc removes them.
local function hold(self, name, digest, bytes, media_type, members, given)
  local ok, err = true, nil
  if not given.listed then
    ok, err = referrers.add(self, name, members, { digest = digest, size = #bytes, media_type = media_type })
  end
  if ok and type(members.mediaType) ~= "string" then
    ok, err = media_types.keep(self, name, digest, bytes, media_type)
  end
  if ok then
    ok, err = self.store:put((key_of(name, digest)), #bytes, bytes, { digest = digest })
  end
  local needed = not given.sparse and manifests.blobs(members) or {}
  if ok and #needed > 0 then
    ok, err = removal.settle(self, needed)
    if ok then
      ok, err = manifests.check_blobs(self, name, needed)
    end
  end
  return ok, err
end

-- Are the manifests there that an index names?
local function check_children(self, name, members)
  for _, child in ipairs(type(members.manifests) == "table" and members.manifests or {}) do
    local ok, err = reference.check_digest(type(child) == "table" and child.digest or nil)
    if not ok then
      return errors.fail("invalid", "manifest: its manifests: " .. err.message)
    end
    ok, err = self.store:head((key_of(name, child.digest)))
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
--- `children`, an index's manifests must be there, too; `listed`, its subject's list has it already.
---@param name string
---@param given string tag or digest
---@param bytes string
---@param media_type string? what it came as
---@param how { sparse: boolean?, children: boolean?, listed: boolean? }?
---@return epoch.digest?
---@return epoch.Error?
function Registry:put_manifest(name, given, bytes, media_type, how)
  how = options.check("put_manifest", PUT, how)
  local key, kind = key_of(name, given)
  if not key then
    return nil, kind
  end
  local digest, is, members = manifests.check(self, name, given, bytes, media_type, how.sparse)
  if not digest then
    return nil, is
  end
  local etag, err = true, nil
  if how.children and not how.sparse then
    etag, err = check_children(self, name, members)
  end
  if etag then
    etag, err = hold(self, name, digest, bytes, is, members, how)
  end
  if etag and kind == "tag" then
    etag, err = self.store:put(key, #bytes, bytes, { digest = digest })
    if etag then
      etag, err = tags_of.refresh(self, name)
    end
  end
  return etag and digest, err
end

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
function Registry:delete_manifest(name, given)
  local key, kind = key_of(name, given)
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

function Registry:tags(name)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  local tags, any = tags_of.stored(self, name)
  if not tags then
    return nil, any
  elseif not any then
    return errors.fail("not_found", ("%s is not in %s"):format(name, self:describe()))
  end
  local list = {}
  for tag in pairs(tags) do
    list[#list + 1] = tag
  end
  table.sort(list)
  return list
end

function Registry:repositories()
  return tags_of.names(self)
end

function Registry:describe()
  return self.store:describe()
end

function Registry:close()
  return self.store:close()
end

return M
