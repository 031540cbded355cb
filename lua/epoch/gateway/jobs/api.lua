--- Answers of the API, as JSON. For epoch.gateway.thread.
--
-- An `id` is made of the name it stands for: the same each time and in every gateway, without a
-- database that gives out numbers.
local catalog = require "epoch.catalog"
local collection = require "epoch.gateway.api.collection"
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local ports = require "epoch.ports"
local summaries = require "epoch.gateway.api.summary"

local M = {}

--- The largest config that is shown with its tag.
M.MAX_CONFIG = 4 * 1024 * 1024

-- 52 bits: a whole number for every reader of JSON.
local function id_of(name)
  return tonumber(core.digest(name):match(":" .. ("%x"):rep(13)):sub(2), 16)
end

-- What is left out where there is none.
local function text(value)
  return value ~= "" and value or nil
end

local function repository(one)
  local size, seen = 0, {}
  for _, tag in ipairs(one.tags) do
    size = size + (seen[tag.digest] and 0 or tag.size)
    seen[tag.digest] = true
  end
  return json.object {
    { "id", id_of(one.name) },
    { "name", one.name },
    { "tagCount", #one.tags },
    { "totalSize", size },
    { "artifactType", text(one.tags[1].artifact_type) },
    { "kind", one.tags[1].kind },
    { "createdAt", catalog.time(one.oldest) },
    { "updatedAt", catalog.time(one.youngest) },
  }
end

local function tag_in_list(tag)
  return json.object {
    { "id", id_of(tag.repository .. ":" .. tag.name) },
    { "repoName", tag.repository },
    { "name", tag.name },
    { "digest", tag.digest },
    { "artifactType", text(tag.artifact_type) },
    { "kind", tag.kind },
    { "totalSize", tag.size },
    { "layerCount", tag.layers },
    { "pushedAt", catalog.time(tag.created) },
    { "syncedAt", catalog.time(tag.modified) },
  }
end

--- How much there is of everything: in all repositories, or in those with these names.
---@param home table
---@param names table<string, true>?
---@return string?
---@return epoch.Error?
function M.stats(home, names)
  local all, err = collection.all(home, names)
  if not all then
    return nil, err
  end
  local tags, size, blobs, known = 0, 0, 0, {}
  for _, one in ipairs(all) do
    tags = tags + #one.tags
    for _, tag in ipairs(one.tags) do
      if not known[tag.digest] then
        known[tag.digest] = true
        size = size + tag.size
      end
      for _, blob in ipairs(tag.blobs) do
        blobs = blobs + (known[blob] and 0 or 1)
        known[blob] = true
      end
    end
  end
  return json.encode(json.object {
    { "repositoryCount", #all }, { "tagCount", tags }, { "blobCount", blobs }, { "totalSize", size },
  })
end

--- Every repository: { name =, json = } each.
function M.repositories(home)
  local all, err = collection.all(home)
  for i, one in ipairs(all or {}) do
    all[i] = { name = one.name, json = json.encode(repository(one)) }
  end
  return all, err
end

function M.repository(home, name)
  local one, err = collection.one(home, name)
  return one and json.encode(repository(one)), err
end

function M.tags(home, name)
  local one, err = collection.one(home, name)
  local list = {}
  for i, tag in ipairs(one and one.tags or list) do
    list[i] = tag_in_list(tag)
  end
  return one and json.encode(json.array(list)), err
end

-- The config of a snapshot as it is stored; nil where it cannot be shown.
local function config_of(home, name, m)
  local descriptor = m.config
  if not descriptor or descriptor.media_type ~= media.SNAPSHOT_CONFIG or descriptor.size > M.MAX_CONFIG then
    return nil
  end
  local blob = home:get_blob(name, descriptor.digest)
  local sink = core.collect(M.MAX_CONFIG)
  local moved = blob and ports.flow(home.task, blob, {
    sink = sink, size = descriptor.size, digest = descriptor.digest, what = "snapshot config",
  })
  local bytes = moved and sink:bytes()
  sink:close()
  return bytes and json.check(bytes) and json.raw(bytes) or nil
end

-- The manifest under a tag, and when it came.
local function stored(home, name, tag)
  local key, err = home:manifest_key(name, tag)
  local info, found
  if key then
    info, err = home.store:head(key)
  end
  if info then
    found, err = home:get_manifest(name, tag)
  end
  if found then
    return found, info.modified
  elseif err.kind == "not_found" then
    return errors.fail("not_found", "tag not found")
  elseif not errors.retryable(err.kind) then -- no fault of who asks
    err = errors.new("broken", tostring(err))
  end
  return nil, err
end

--- One tag: its manifest, and the config of a snapshot.
function M.tag(home, name, tag)
  local found, modified = stored(home, name, tag)
  if not found then
    return nil, modified
  end
  local summary = summaries.of(home, name, found)
  local m = manifest.parse(found.bytes, found.media_type)
  return json.encode(json.object {
    { "artifactType", text(summary.artifact_type) },
    { "digest", summary.digest },
    { "kind", summary.kind },
    { "layerCount", summary.layers },
    { "manifest", json.raw(found.bytes) },
    { "platformSizes", summary.platforms ~= "" and json.raw(summary.platforms) or nil },
    { "pushedAt", catalog.time(summary.created or modified) },
    { "repoName", name },
    { "snapshotConfig", summary.kind == "snapshot" and config_of(home, name, m) or nil },
    { "syncedAt", catalog.time(modified) },
    { "tag", tag },
    { "totalSize", summary.size },
  })
end

--- Takes a tag away.
function M.delete(home, name, tag)
  local key, err = home:manifest_key(name, tag)
  local info
  if key then
    info, err = home.store:head(key)
  end
  if info then
    return home:delete_manifest(name, tag)
  elseif err.kind == "not_found" then
    return errors.fail("not_found", "tag not found")
  end
  return nil, err
end

return M
