--- A registry in an object store: the object layout, as a home.
--
--     catalog.json                             names and tags, to be had quickly
--     manifests/NAME/TAG.json                  manifests by tag, as pushed
--     manifests/NAME/_digests/sha256-HEX.json  the same by digest (unless all of them are of generation 1)
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
local deletion = require "epoch.registry.deletion"
local errors = require "epoch.errors"
local files = require "epoch.registry.files"
local manifests = require "epoch.objectstore.manifests"
local media_types = require "epoch.registry.media_type"
local parsed = require "epoch.registry.parsed"
local puts = require "epoch.registry.put"
local reference = require "epoch.reference"
local referrers = require "epoch.registry.referrers"
local removal = require "epoch.registry.removal"
local settings = require "epoch.registry.settings"
local stored = require "epoch.registry.stored"
local tags_of = require "epoch.registry.tags"
local untold = require "epoch.registry.untold"

local Registry = {
  __name = "epoch.registry",
  blob_size = blobs.blob_size, blob_exists = blobs.blob_exists, get_blob = blobs.get_blob,
  put_blob = blobs.put_blob, mount_blob = blobs.mount_blob, delete_blob = blobs.delete_blob,
  push_blob = files.push_blob, pull_blob = files.pull_blob,
  put_manifest = puts.put_manifest, tag_manifest = puts.tag_manifest, delete_manifest = deletion.delete_manifest,
  referrers = referrers.list,
  push_manifest_json = puts.put_manifest, -- its name in generation 1
  stream_blob = blobs.get_blob, push_blob_from_stream = blobs.put_blob, -- their names in generation 1
  manifest_json = parsed.manifest_json, pull_manifest = parsed.pull_manifest, push_manifest = parsed.push_manifest,
  each_manifest = stored.each, announce_removal = removal.announce, end_removal = removal.withdraw,
}
Registry.__index = Registry

local M = {}

--- The registry in a store, which it closes in the end. `notice` of it is what whoever uses it
--- should be told after a change, or nil.
---@param task epoch.task
---@param store table
---@return table home
function M.new(task, store)
  return setmetatable({ task = task, store = store }, Registry)
end

--- What settings speak of a bucket: see epoch.registry.settings.
M.config_from_env, M.config_from_configmap = settings.config_from_env, settings.config_from_configmap

-- Loaded when they are needed: not every registry is in a bucket, or has to do with cocoon's files.
local S3, PUSH, PULL = "epoch.objectstore.s3", "epoch.registry.push", "epoch.registry.pull"

local function in_bucket(task, config, err)
  local store
  if config then
    store, err = require(S3).open(task, config.options)
  end
  return store and M.new(task, store), err
end

--- The registry in the bucket of the settings in force, of the environment among them.
---@param task epoch.task
---@return table? home
---@return epoch.Error?
function M.new_from_env(task)
  return in_bucket(task, M.config_from_env())
end

--- The registry in the bucket that a ConfigMap of Kubernetes names.
---@param task epoch.task
---@param namespace string
---@param configmap string
---@param given table? of epoch.kubernetes
---@return table? home
---@return epoch.Error?
function M.new_from_configmap(task, namespace, configmap, given)
  return in_bucket(task, M.config_from_configmap(task, namespace, configmap, given))
end

--- A snapshot of generation 1, out of cocoon's own directories into a store: its manifest.
---@param task epoch.task
---@param home table a registry in an object store
---@param here epoch.cocoon.paths
---@param given { name: string, tag: string? } and what else epoch.registry.push takes
---@return epoch.manifest.v1?
---@return epoch.Error?
function M.push(task, home, here, given)
  return require(PUSH).push(task, home, here, given)
end

--- A snapshot of generation 1, into cocoon's own directories: its manifest.
---@param task epoch.task
---@param home table
---@param here epoch.cocoon.paths
---@param given { name: string, tag: string? } and what else epoch.registry.pull takes
---@return epoch.manifest.v1?
---@return epoch.Error?
function M.pull(task, home, here, given)
  return require(PULL).pull(task, home, here, given)
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

-- By its digest, where it is there by a tag only; else `missing`.
local function read_untold(self, name, digest, missing)
  local bytes, err = untold.find(self, tags_of.directory_of(name), digest)
  return bytes or nil, bytes == false and missing or err
end

-- The digest that a tag's manifest goes by: the one it is stored under, which is sha256 unless it was
-- put by another one.
local function digest_of(self, name, bytes)
  local usual, other = core.digest(bytes), nil
  local info, err = self.store:head((key_of(name, usual)))
  if not info and err.kind == "not_found" then
    other = core.digest(bytes, "sha512")
    info, err = self.store:head((key_of(name, other)))
  end
  if not info and err.kind ~= "not_found" then
    return nil, err
  end
  return info and other or usual
end

function Registry:get_manifest(name, given)
  local key, kind = key_of(name, given)
  if not key then
    return nil, kind
  end
  local shown = name .. (kind == "tag" and ":" or "@") .. given
  local bytes, err = read_manifest(self, key, shown)
  if not bytes and err.kind == "not_found" and kind == "digest" then
    bytes, err = read_untold(self, name, given, err)
  end
  if not bytes then
    return nil, err
  end
  local digest
  if kind == "tag" then
    digest, err = digest_of(self, name, bytes)
  else
    digest = core.digest(bytes, given:match("^[^:]+"))
  end
  if not digest then
    return nil, err
  elseif kind == "digest" and digest ~= given then
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

Registry.list_tags = Registry.tags -- its name in generation 1

Registry.others = tags_of.others

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
