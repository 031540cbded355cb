--- An OCI image layout directory as a home: oci-layout, index.json, blobs/ALGORITHM/HEX.
--
-- A layout is one repository without a name: tags are the annotations
-- org.opencontainers.image.ref.name in index.json, as skopeo and oras have them, so that
-- `skopeo inspect oci:DIR:TAG` finds what was stored here as NAME:TAG. What others put there
-- is found under any name. What is stored here remembers its NAME (an annotation more), and
-- is found under that one only; a second NAME with the same TAG is refused, since other tools
-- could not tell them apart. A ref.name that is a whole reference (NAME:TAG) is read too.
--
-- index.json is replaced whole, by compare-and-swap, and keeps what others wrote into it.
local bodies = require "epoch.body"
local core = require "epoch.core"
local blobs = require "epoch.objectstore.blobs"
local directory = require "epoch.objectstore.directory"
local errors = require "epoch.errors"
local indexes = require "epoch.layout.index"
local json = require "epoch.json"
local manifests = require "epoch.objectstore.manifests"
local objectstore = require "epoch.objectstore"
local reference = require "epoch.reference"
local stored = require "epoch.layout.stored"

local MARK, MARK_BYTES = "oci-layout", '{"imageLayoutVersion":"1.0.0"}'
local TRIES = 200

local Layout = {
  __name = "epoch.layout",
  blob_size = blobs.blob_size, get_blob = blobs.get_blob, mount_blob = blobs.mount_blob,
}
Layout.__index = Layout

local M = {}

--- The layout in a directory; it is made when something is stored in it.
---@param task epoch.task
---@param path string
---@return table home
function M.open(task, path)
  return setmetatable({ task = task, path = path, store = directory.open(task, path) }, Layout)
end

-- The index and its ETag; with `make` an empty one where there is none.
local function read_index(self, make)
  local bytes, info = self.store:read("index.json", indexes.MAX)
  if bytes then
    local index, err = indexes.parse(bytes)
    if not index then
      return nil, errors.wrap(err, "read " .. self:describe())
    end
    return index, info.etag
  elseif info.kind ~= "not_found" then
    return nil, info
  elseif make then
    return indexes.new()
  end
  return errors.fail("not_found", self:describe() .. " is no OCI image layout: it has no index.json")
end

-- Makes it a layout, or checks that it is one of the kind that is known.
local function mark(self)
  local bytes, err = self.store:read(MARK, 4096)
  if bytes then
    local value = json.decode(bytes)
    local version = type(value) == "table" and value.imageLayoutVersion
    if version ~= "1.0.0" then
      return errors.fail("unsupported", ("%s is an image layout of another version than 1.0.0")
        :format(self:describe()))
    end
    return true
  elseif err.kind ~= "not_found" then
    return nil, err
  end
  local etag
  etag, err = self.store:put(MARK, #MARK_BYTES, MARK_BYTES)
  return etag and true, err
end

-- Changes the index between others' changes. `change(index)` answers true (store it), false
-- (leave it), or nil, err.
local function update_index(self, make, change)
  local err
  for try = 1, TRIES do
    local index, etag = read_index(self, make)
    if not index then
      return nil, etag
    end
    local changed, done, slept
    changed, err = change(index)
    if not changed then
      return changed == false or nil, err
    end
    local bytes = indexes.encode(index)
    if #bytes > indexes.MAX then
      return errors.fail("too_large", ("index.json of %s would have %d bytes, %d are allowed; "
        .. "use another directory"):format(self:describe(), #bytes, indexes.MAX))
    end
    done, err = self.store:put("index.json", #bytes, bytes,
      { if_match = etag, if_none_match = not etag and "*" or nil })
    if done then
      return true
    elseif err.kind ~= "conflict" then
      return nil, err
    end
    slept, err = self.task:sleep(objectstore.backoff(try))
    if not slept then
      return nil, err
    end
  end
  return errors.fail("busy", ("index.json of %s was changed by others %d times in a row; try again")
    :format(self:describe(), TRIES))
end

function Layout:put_blob(name, digest, size, body, on_progress)
  local ok, err = mark(self)
  if not ok then
    bodies.drop(body)
    return nil, err
  end
  return blobs.put_blob(self, name, digest, size, body, on_progress)
end

local function not_found(self, name, given)
  return errors.fail("not_found", ("%s%s%s is not in %s"):format(name,
    given:find(":", 1, true) and "@" or ":", given, self:describe()))
end

local function checked(name, given)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  return reference.tag_or_digest(given)
end

function Layout:get_manifest(name, given)
  local kind, err = checked(name, given)
  if not kind then
    return nil, err
  end
  local index
  index, err = read_index(self)
  if not index then
    return nil, err
  end
  local entry = kind == "tag" and indexes.find(index, name, given) or nil
  if kind == "tag" and not entry then
    return not_found(self, name, given)
  end
  local digest = entry and entry.digest or given
  local bytes
  bytes, err = self.store:read(blobs.key(digest), manifests.MAX)
  if not bytes then
    if err.kind == "not_found" then
      return not_found(self, name, digest)
    end
    return nil, err
  end
  local is = core.digest(bytes, digest:match("^[^:]+"))
  if is ~= digest then
    return errors.fail("digest_mismatch", ("%s in %s has become %s; store it again"):format(
      digest, self:describe(), is))
  end
  local members, media_type = manifests.read(bytes, entry and entry.media_type)
  if not members then
    return nil, errors.wrap(media_type, ("read %s of %s"):format(digest, self:describe()))
  end
  return { bytes = bytes, media_type = media_type, digest = digest }
end

function Layout:put_manifest(name, given, bytes, media_type)
  local kind, err = checked(name, given)
  if not kind then
    return nil, err
  end
  local digest, kept_type, members = manifests.check(self, name, given, bytes, media_type)
  if not digest then
    return nil, kept_type
  end
  local ok
  ok, err = mark(self)
  if ok then
    ok, err = self.store:put(blobs.key(digest), #bytes, bytes, { digest = digest })
  end
  if ok then
    ok, err = update_index(self, true, function(index)
      if kind == "digest" then -- only what has a tag is in the index; a new one is empty
        return #index.entries == 0
      end
      local _, other = indexes.find(index, name, given)
      if other then
        return errors.fail("conflict", ("%s has the tag %s already, of %s; an image layout is one "
          .. "repository: use another tag or another directory"):format(self:describe(), given,
          other.name))
      end
      indexes.remove(index, function(entry)
        return entry.tag == given
      end)
      return indexes.add(index, {
        digest = digest, size = #bytes, media_type = kept_type, name = name, tag = given,
        artifact_type = type(members.artifactType) == "string" and members.artifactType or nil,
      })
    end)
  end
  return ok and digest, err
end

--- A tag: its entry. A digest: all its entries, then the manifest. Other blobs stay.
function Layout:delete_manifest(name, given)
  local kind, err = checked(name, given)
  if not kind then
    return nil, err
  end
  local ok
  ok, err = update_index(self, false, function(index)
    local found = kind == "tag" and indexes.find(index, name, given) or nil
    return indexes.remove(index, function(entry)
      return entry == found or kind == "digest" and entry.digest == given
    end)
  end)
  if not ok then
    return err.kind == "not_found" or nil, err.kind ~= "not_found" and err or nil
  elseif kind == "digest" then
    return self.store:delete(blobs.key(given))
  end
  return true
end

function Layout:tags(name)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  local index
  index, err = read_index(self)
  if not index then
    return nil, err
  end
  local list, seen = {}, {}
  for _, entry in ipairs(index.entries) do
    if entry.tag and not seen[entry.tag] and (not entry.name or entry.name == name) then
      seen[entry.tag] = true
      list[#list + 1] = entry.tag
    end
  end
  if #list == 0 then
    return errors.fail("not_found", ("%s is not in %s"):format(name, self:describe()))
  end
  table.sort(list)
  return list
end

-- What the repository without a name is listed as: the directory's own name.
local function own_name(self)
  local last = (self.path:match("([^/]+)/*$") or ""):lower()
  return reference.check_name(last) and last or "image"
end

--- Tells `use` of every manifest, as a registry in an object store does; each is a blob.
---@param use fun(one: epoch.registry.Stored)
function Layout:each_manifest(_, use)
  local index, err = read_index(self)
  if not index then
    return nil, err
  end
  return stored.each(self, index.entries, own_name(self), use)
end

function Layout:repositories()
  local index, err = read_index(self)
  if not index then
    return nil, err
  end
  local seen, list = {}, {}
  for _, entry in ipairs(index.entries) do
    local name = entry.tag and (entry.name or own_name(self))
    if name and not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return list
end

function Layout:describe()
  return "oci:" .. self.path
end

function Layout:close()
  return self.store:close()
end

return M
