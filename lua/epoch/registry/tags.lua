--- Names and tags of a registry in an object store: what the keys say, and the catalog that
-- follows them. The catalog's entry of a name is always made from the keys and put in place
-- by compare-and-swap, so nobody's entry is lost, and a lost catalog is only a slow one.
local catalog = require "epoch.catalog"
local errors = require "epoch.errors"
local objectstore = require "epoch.objectstore"
local reference = require "epoch.reference"

local M = {}

M.CATALOG = "catalog.json"
local TRIES = 200

function M.directory_of(name)
  return "manifests/" .. name .. "/"
end

function M.key(name, tag)
  return M.directory_of(name) .. tag .. ".json"
end

-- Name and tag of a key by tag, or nil. Generation 1 took any name that a snapshot has in cocoon:
-- "Demo", "a..b". Nothing here leads to those, and nothing here may lose them.
local function tag_of(key)
  local name, tag = key:match("^manifests/(.+)/([^/]+)%.json$")
  if name and not name:find("/_") then -- _digests and the like are ours
    return name, tag
  end
end

--- Tags with their keys as the keys have them, whether there is anything of the repository at all,
--- and the tags that no reference has.
---@param self { store: table }
---@param name string
---@return table<string, string>?
---@return boolean|epoch.Error any
---@return table<string, string>? others
function M.stored(self, name)
  local found, err = objectstore.list_all(self.store, M.directory_of(name), "/")
  if not found then
    return nil, err
  end
  local tags, others, any = {}, nil, false
  for _, one in ipairs(found.keys) do
    local of, tag = tag_of(one.key)
    if of == name then
      if reference.check_tag(tag) then
        tags[tag], any = one.key, true
      else
        others = others or {}
        others[tag] = one.key
      end
    end
  end
  for _, prefix in ipairs(found.prefixes) do
    any = any or prefix == M.directory_of(name) .. "_digests/"
  end
  return tags, any, others
end

--- All repositories, as epoch.catalog has them.
---@param self { store: table }
---@return epoch.Catalog?
---@return epoch.Error?
function M.all(self)
  local found, err = objectstore.list_all(self.store, "manifests/")
  if not found then
    return nil, err
  end
  local all, youngest = { repositories = {}, others = {} }, {}
  for _, one in ipairs(found.keys) do
    local name, tag = tag_of(one.key)
    if name then
      local into = reference.check_name(name) and all.repositories or all.others
      local entry = into[name] or { tags = {} }
      local kind = reference.check_tag(tag) and "tags" or "others"
      entry[kind] = entry[kind] or {}
      into[name], entry[kind][tag] = entry, one.key
      youngest[name] = math.max(youngest[name] or 0, one.modified)
      entry.updated_at = catalog.time(youngest[name])
    end
  end
  return all
end

--- The catalog as it stands, which may be behind the keys; made of them where there is none.
---@param self { store: table }
---@return epoch.Catalog?
---@return epoch.Error?
function M.catalog(self)
  local bytes, info = self.store:read(M.CATALOG, catalog.MAX)
  if bytes then
    local read, err = catalog.parse(bytes)
    return read, err and errors.new(err.kind, ("%s/%s is broken: %s; rebuild_catalog makes it anew, as does the next "
      .. "change of a tag"):format(self.store:describe(), M.CATALOG, err.message), { cause = err })
  elseif info.kind ~= "not_found" then
    return nil, info
  end
  local all, err = M.all(self)
  if all then
    all.updated_at = catalog.time(os.time())
  end
  return all, err
end

-- For a store that cannot compare before it puts: the catalog as the keys are now. Whoever
-- does the same at this moment may be missing from it until its next change.
local function write_anew(self)
  local all, err = M.all(self)
  local text, etag
  if all then
    all.updated_at = catalog.time(os.time())
    text, err = catalog.encode(all)
  end
  if text then
    etag, err = self.store:put(M.CATALOG, #text, text)
  end
  self.notice = ("%s cannot put objects under conditions; its catalog is made anew from a listing at each change")
    :format(self.store:describe())
  return etag and true, err
end

-- Changes the catalog, as often as it takes to do so between others' changes. `change` gets
-- what there is (nil: nothing that can be read as a catalog) and answers what shall be, or nil, err.
local function update_catalog(self, change)
  local err
  for try = 1, TRIES do
    local bytes, info = self.store:read(M.CATALOG, catalog.MAX)
    if not bytes and info.kind ~= "not_found" then
      return nil, info
    end
    local known = bytes and catalog.parse(bytes)
    local all, text, etag, slept
    all, err = change(known and not known.is_hollow and known or nil)
    if all then
      all.updated_at = catalog.time(os.time())
      text, err = catalog.encode(all)
    end
    if not text then
      return nil, err
    end
    etag, err = self.store:put(M.CATALOG, #text, text, {
      if_match = bytes and info.etag or nil, if_none_match = not bytes and "*" or nil,
    })
    if etag then
      return true
    elseif err.kind == "unsupported" then
      return write_anew(self)
    elseif err.kind ~= "conflict" then
      return nil, err
    end
    slept, err = self.task:sleep(objectstore.backoff(try))
    if not slept then
      return nil, err
    end
  end
  return errors.fail("busy", ("%s/%s was changed by others %d times in a row; try again")
    :format(self.store:describe(), M.CATALOG, TRIES))
end

--- Makes the catalog's entry of a name what its keys are now.
---@param self { task: epoch.task, store: table }
---@param name string
---@return true?
---@return epoch.Error?
function M.refresh(self, name)
  return update_catalog(self, function(known)
    if not known then
      return M.all(self)
    end
    local tags, any, others = M.stored(self, name)
    if not tags then
      return nil, any
    end
    known.repositories[name] = (next(tags) or others)
      and { tags = tags, others = others, updated_at = catalog.time(os.time()) } or nil
    return known
  end)
end

--- Puts a manifest's bytes under tags, every one of which is looked at before the first is put.
---@param self { task: epoch.task, store: table }
---@param name string
---@param tags string[]
---@param bytes string
---@return true?
---@return epoch.Error?
function M.put(self, name, tags, bytes)
  local ok, err = true, nil
  for _, tag in ipairs(tags) do
    if ok then
      ok, err = reference.check_tag(tag)
    end
  end
  for _, tag in ipairs(tags) do
    if ok then
      ok, err = self.store:put(M.key(name, tag), #bytes, bytes)
    end
  end
  if not ok then
    return nil, err
  end
  return M.refresh(self, name)
end

--- Makes the whole catalog anew from the keys.
---@param self { task: epoch.task, store: table }
---@return true?
---@return epoch.Error?
function M.rebuild(self)
  return update_catalog(self, function()
    return M.all(self)
  end)
end

-- What no reference leads to, as NAME:TAG.
local function list_others(all)
  local list = {}
  for _, repositories in ipairs { all.repositories, all.others } do
    for name, entry in pairs(repositories) do
      for _, tags in ipairs { repositories == all.others and entry.tags or {}, entry.others or {} } do
        for tag in pairs(tags) do
          list[#list + 1] = name .. ":" .. tag
        end
      end
    end
  end
  table.sort(list)
  return list
end

--- The tags that no reference leads to, of names that only generation 1 took: NAME:TAG, sorted.
---@param self { store: table }
---@return string[]?
---@return epoch.Error?
function M.others(self)
  local all, err = M.all(self)
  return all and list_others(all), err
end

--- What the catalog and the keys have, together: names, sorted.
---@param self { store: table }
---@return string[]?
---@return epoch.Error?
function M.names(self)
  local bytes, info = self.store:read(M.CATALOG, catalog.MAX)
  if not bytes and info.kind ~= "not_found" then
    return nil, info
  end
  local all, err = M.all(self)
  if not all then
    return nil, err
  end
  local listed = bytes and catalog.parse(bytes)
  local known, list, others = {}, {}, list_others(all)
  for _, repositories in ipairs { all.repositories, listed and listed.repositories } do
    for name, entry in pairs(repositories) do
      if not known[name] and (next(entry.tags) or not entry.others) then
        known[name], list[#list + 1] = true, name
      end
    end
  end
  table.sort(list)
  if #others > 0 then
    self.notice = ("%s has %d tags that no reference leads to, for their names are none here (%s%s)"):format(
      self.store:describe(), #others, others[1], #others > 1 and " and others" or "")
  end
  return list
end

return M
