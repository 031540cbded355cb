--- What refers to a manifest: those that name it as their subject, found without reading all.
--
--     manifests/NAME/_referrers/sha256-SUBJECT/sha256-HEX.json   the descriptor, as it is listed
--
-- The entry is put before the manifest and taken away after it, so one that is cut short leaves at most
-- an entry too many: an entry counts only while its manifest is there. The subject itself may be
-- missing; it may come later.
local descriptors = require "epoch.descriptor"
local errors = require "epoch.errors"
local json = require "epoch.json"
local manifests = require "epoch.objectstore.manifests"
local objectstore = require "epoch.objectstore"
local reference = require "epoch.reference"

local M = {}

local ASKED = 8 -- entries that are read at once
local MAX_PAGE = 3 * 1024 * 1024 -- bytes of descriptors in an answer

local function directory_of(name, subject)
  return ("manifests/%s/_referrers/%s/"):format(name, (subject:gsub(":", "-")))
end

local function key_of(name, subject, digest)
  return directory_of(name, subject) .. digest:gsub(":", "-") .. ".json"
end

--- The digest of the manifest that this one is about; nil when it is about none.
---@param members table of a manifest
---@return epoch.digest?
---@return epoch.Error?
function M.subject(members)
  local subject = members.subject
  if subject == nil or subject == json.null then
    return nil
  elseif type(subject) ~= "table" then
    return errors.fail("invalid", "manifest: its subject is no descriptor")
  end
  local ok, err = reference.check_digest(subject.digest)
  if not ok then
    return errors.fail("invalid", "manifest: its subject: " .. err.message)
  end
  return subject.digest
end

-- An image without a type of its own is of that of its config.
local function artifact_type(members)
  local own = members.artifactType
  if type(own) == "string" and own ~= "" then
    return own
  end
  local config = members.config
  return type(config) == "table" and type(config.mediaType) == "string" and config.mediaType or nil
end

local function annotations(members)
  local found, err = descriptors.annotations(members, "manifest")
  if not found then
    return nil, err
  end
  local names, list = {}, {}
  for name in pairs(found) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    list[i] = { name, found[name] }
  end
  return list[1] and json.object(list) or false
end

--- Lists a manifest with its subject, before it is put. Nothing to do for one without.
---@param self { store: table }
---@param name string
---@param members table
---@param about { digest: epoch.digest, size: integer, media_type: string }
---@return true?
---@return epoch.Error?
function M.add(self, name, members, about)
  local subject, err = M.subject(members)
  if not subject then
    return err == nil or nil, err
  end
  local notes, entry, etag
  notes, err = annotations(members)
  if notes ~= nil then
    entry, err = json.encode(json.object {
      { "mediaType", about.media_type }, { "digest", about.digest }, { "size", about.size },
      { "artifactType", artifact_type(members) }, { "annotations", notes or nil },
    })
  end
  if entry then
    etag, err = self.store:put(key_of(name, subject, about.digest), #entry, entry)
  end
  return etag and true, err
end

--- Takes a manifest off its subject's list, when it is gone.
---@param self { store: table }
---@param name string
---@param bytes string of the manifest
---@param digest epoch.digest
---@return true?
---@return epoch.Error?
function M.remove(self, name, bytes, digest)
  local members = manifests.read(bytes)
  local subject = members and M.subject(members)
  if not subject then
    return true
  end
  return self.store:delete(key_of(name, subject, digest))
end

-- The entry under a key, while its manifest is there: bytes; false when it is not.
local function read(self, name, key)
  local digest = key:match("([^/]+)%.json$"):gsub("-", ":", 1)
  local at = self:manifest_key(name, digest)
  if not at then
    return false -- somebody else's file
  end
  local there, err = self.store:head(at)
  local bytes
  if there then
    bytes, err = self.store:read(key, manifests.MAX)
  end
  if not bytes and err.kind == "not_found" then
    return false
  end
  return bytes, err
end

local function keys_of(self, name, digest, after)
  local found, err = objectstore.list_all(self.store, directory_of(name, digest), "/")
  if not found then
    return nil, err
  end
  local keys = {}
  for _, one in ipairs(found.keys) do
    if not after or one.key > key_of(name, digest, after) then
      keys[#keys + 1] = one.key
    end
  end
  return keys
end

-- Adds what is wanted of the entries to a page, in the order of their keys, as much as it takes.
local function choose(page, keys, entries, wanted)
  for _, key in ipairs(keys) do
    local entry = entries[key]
    local members = entry and json.decode(entry, manifests.MAX)
    if type(members) == "table" and (not wanted or members.artifactType == wanted) then
      page.size = page.size + #entry
      if page.size > MAX_PAGE and page.last then
        page.more = true
        return
      end
      page.list[#page.list + 1] = entry
      page.last = key:match("([^/]+)%.json$"):gsub("-", ":", 1)
    end
  end
end

-- Reads entries until the page is full: as many at once as are asked for at once, because one can be as
-- large as a manifest.
local function fill(self, name, keys, wanted)
  local page = { list = {}, more = false, size = 0 }
  for first = 1, #keys, ASKED do
    local some, entries = {}, {}
    for i = first, math.min(first + ASKED - 1, #keys) do
      some[#some + 1] = keys[i]
    end
    local ok, err = self.task:each(some, ASKED, function(key)
      local entry, why = read(self, name, key)
      entries[key] = entry
      return entry ~= nil or nil, why
    end)
    if not ok then
      return nil, err
    end
    choose(page, some, entries, wanted)
    if page.more then
      break
    end
  end
  return { list = page.list, more = page.more, last = page.last }
end

--- The descriptors of what refers to a manifest, as JSON, a page at a time: { list, more, last }.
---@param self table
---@param name string
---@param digest epoch.digest
---@param options { artifact_type: string?, after: epoch.digest? }?
---@return { list: string[], more: boolean, last: epoch.digest? }?
---@return epoch.Error?
function M.list(self, name, digest, options)
  options = options or {}
  local ok, err = reference.check_name(name)
  for _, one in ipairs { digest, options.after } do
    if ok then
      ok, err = reference.check_digest(one)
    end
  end
  local keys
  if ok then
    keys, err = keys_of(self, name, digest, options.after)
  end
  if not keys then
    return nil, err
  end
  return fill(self, name, keys, options.artifact_type)
end

return M
