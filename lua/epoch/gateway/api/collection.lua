--- Repositories and tags of a store with what their manifests say. The store is listed each time,
-- so what is there is never out of date; a manifest is read only when its key says that it is
-- another one than before.
local errors = require "epoch.errors"
local memory = require "epoch.gateway.api.memory"
local objectstore = require "epoch.objectstore"
local reference = require "epoch.reference"
local summaries = require "epoch.gateway.api.summary"

local M = {}

local READ = 8 -- manifests that are read at once

---@class epoch.gateway.tag: epoch.gateway.summary
---@field name string
---@field repository string
---@field modified integer when it came to the store

---@class epoch.gateway.repository
---@field name string
---@field tags epoch.gateway.tag[] the youngest first
---@field oldest integer when the first of its manifests came
---@field youngest integer

-- Name, and tag or nil, of the key of a manifest.
local function place(key)
  local name, last = key:match("^manifests/(.+)/([^/]+)%.json$")
  local of = name and name:match("^(.+)/_digests$")
  if not name or not reference.check_name(of or name) then
    return nil
  elseif of then
    return of
  end
  return reference.check_tag(last) and name or nil, last
end

-- Sorts keys into repositories, by their names.
local function arrange(keys)
  local all = {}
  for _, one in ipairs(keys) do
    local name, tag = place(one.key)
    if name then
      local found = all[name] or { name = name, tags = {}, oldest = one.modified, youngest = one.modified }
      all[name] = found
      found.oldest, found.youngest = math.min(found.oldest, one.modified), math.max(found.youngest, one.modified)
      if tag then
        found.tags[#found.tags + 1] = { name = tag, repository = name, key = one }
      end
    end
  end
  return all
end

-- What a tag's manifest says: true; false when it is gone by now, or is none; nil and the error.
local function fill(home, tag)
  local key = tag.key
  local stamp = ("%s %.0f %.0f"):format(key.etag or "", key.size, key.modified)
  local known = memory.get(key.key, stamp)
  local summary, complete = known and summaries.decode(known), false
  if not known then
    local found, err = home:get_manifest(tag.repository, tag.name)
    if not found and errors.retryable(err.kind) then
      return nil, err
    elseif not found then
      return false
    end
    summary, complete = summaries.of(home, tag.repository, found)
  end
  if complete then
    memory.set(key.key, stamp, summaries.encode(summary))
  end
  for field, value in pairs(summary) do
    tag[field] = value
  end
  tag.modified, tag.created, tag.key = key.modified, tag.created or key.modified, nil
  return true
end

-- The youngest first, then by name.
local function by_age(field)
  return function(a, b)
    if a[field] ~= b[field] then
      return a[field] > b[field]
    end
    return a.name < b.name
  end
end

-- Those with tags, each with what the tags are, the youngest first.
local function complete(home, all)
  local tags, list = {}, {}
  for _, one in pairs(all) do
    for _, tag in ipairs(one.tags) do
      tags[#tags + 1] = tag
    end
    one.tags = {}
  end
  local ok, err = home.task:each(tags, READ, function(tag)
    local there, why = fill(home, tag)
    if there then
      local into = all[tag.repository].tags
      into[#into + 1] = tag
    end
    return there ~= nil or nil, why
  end)
  if not ok then
    return nil, err
  end
  for _, one in pairs(all) do
    if one.tags[1] then
      table.sort(one.tags, by_age("created"))
      list[#list + 1] = one
    end
  end
  table.sort(list, by_age("youngest"))
  return list
end

--- All repositories that have tags, or those of them with these names.
---@param home table
---@param names table<string, true>?
---@return epoch.gateway.repository[]?
---@return epoch.Error?
function M.all(home, names)
  local found, err = objectstore.list_all(home.store, "manifests/", nil, true)
  if not found then
    return nil, err
  end
  local all = arrange(found.keys)
  for name in pairs(names and all or {}) do
    all[name] = names[name] and all[name] or nil
  end
  return complete(home, all)
end

--- One of them; kind "not_found" when it has no tags.
---@param home table
---@param name string
---@return epoch.gateway.repository?
---@return epoch.Error?
function M.one(home, name)
  local keys = {}
  for _, place_of in ipairs { "", "_digests/" } do
    local found, err = objectstore.list_all(home.store, ("manifests/%s/%s"):format(name, place_of), "/", true)
    if not found then
      return nil, err
    end
    for _, one in ipairs(found.keys) do
      keys[#keys + 1] = one
    end
  end
  local list, err = complete(home, arrange(keys))
  if list and not list[1] then
    return errors.fail("not_found", "repository not found")
  end
  return list and list[1], err
end

return M
