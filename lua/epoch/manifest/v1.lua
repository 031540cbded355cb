--- Manifests of generation 1: snapshots as they were stored before they became OCI artifacts.
--
--     local m = assert(v1.parse(bytes))
--     m.snapshot_id, m.layers[1].title, m.layers[1].digest  --> "W2JU…", "config.json", "sha256:…"
--     assert(v1.build { name = "demo", tag = "v1", snapshot_id = "W2JU…", layers = { … }, … })
--
-- What is parsed has the form of epoch.manifest, whose `parse` comes here by itself: layers are
-- descriptors, a file's name is its title, and bare hex digits are a digest like any other.
local core = require "epoch.core"
local descriptors = require "epoch.descriptor"
local early = require "epoch.manifest.early"
local errors = require "epoch.errors"
local json = require "epoch.json"
local options = require "epoch.options"
local reference = require "epoch.reference"
local text = require "epoch.text"

local M = {}

--- The index of all repositories, which both generations share.
M.catalog = require "epoch.catalog"

--- Media types of layers.
local OURS = "application/vnd.cocoon."
M.DISK_QCOW2 = OURS .. "disk.qcow2"
M.DISK_RAW = OURS .. "disk.raw"
M.MEMORY = OURS .. "memory"
M.CIDATA = OURS .. "cidata"
M.CONFIG = OURS .. "config+json"
M.STATE = OURS .. "state+json"
M.GENERIC = "application/octet-stream"

local BY_NAME = {
  ["config.json"] = M.CONFIG,
  ["state.json"] = M.STATE,
  ["memory-ranges"] = M.MEMORY,
  ["cidata.img"] = M.CIDATA,
  ["cow.raw"] = M.DISK_RAW,
}

--- The media type of a layer, by the file's name.
---@param name string
---@return string
function M.media_type_for_file(name)
  return BY_NAME[name] or name:find("%.qcow2$") and M.DISK_QCOW2 or M.GENERIC
end

--- Is a file of this name a disk, or a part of one? Media types do not tell: parts had none.
---@param name string
---@return boolean
function M.is_disk(name)
  for _, format in ipairs { "%.qcow2", "%.raw" } do
    if name:find(format .. "$") or name:find(format .. "%.part%..") then
      return true
    end
  end
  return false
end

---@class epoch.manifest.v1: epoch.Manifest
---@field generation 1
---@field name? string
---@field tag? string
---@field snapshot_id? string
---@field image? string
---@field image_blob_ids table<string, string> cocoon's id of a base image, and its key in the store
---@field cpu integer 0 where it is not known, as with those that follow
---@field memory integer bytes
---@field storage integer bytes
---@field nics integer
---@field base_images epoch.Descriptor[]
---@field total_size integer as it is written; manifest.total_size adds up
---@field created_at? string
---@field pushed_at? string

local function invalid(why)
  return errors.fail("invalid", "manifest: " .. why)
end

local function present(value)
  return value ~= nil and value ~= json.null
end

-- A blob has bare hex digits here; with sha256: before them they mean the same.
local function read_layer(value, where)
  if type(value) ~= "table" then
    return invalid(where .. ": must be an object")
  end
  local title, err = descriptors.text(value, "filename", "manifest: " .. where)
  if not title then
    return nil, err or errors.new("invalid", ("manifest: %s: filename is missing"):format(where))
  end
  local bare = type(value.digest) == "string" and not value.digest:find(":", 1, true)
  local media_type = present(value.mediaType) and value.mediaType or M.media_type_for_file(title)
  local digest, d = bare and "sha256:" .. value.digest or value.digest
  d, err = descriptors.read({ digest = digest, size = value.size, mediaType = media_type }, "manifest: " .. where)
  if d then
    d.title = title
  end
  return d, err
end

local function read_layers(object, name)
  local list, out = object[name], {}
  if not present(list) then
    return out
  elseif type(list) ~= "table" or next(list) ~= nil and list[1] == nil then
    return invalid(name .. ": must be a list")
  end
  for i, value in ipairs(list) do
    local layer, err = read_layer(value, ("%s[%d]"):format(name, i - 1))
    if not layer then
      return nil, err
    end
    out[i] = layer
  end
  return out
end

local function read_ids(object)
  local out = {}
  if not present(object.imageBlobIDs) then
    return out
  elseif type(object.imageBlobIDs) ~= "table" then
    return invalid "imageBlobIDs: must be an object"
  end
  for id, key in pairs(object.imageBlobIDs) do
    if type(id) ~= "string" or type(key) ~= "string" then
      return invalid "imageBlobIDs: must be an object of texts"
    end
    out[id] = key
  end
  return out
end

-- Member, what it is, and its name in Lua, in the order in which they are written.
local TEXT, ID, WHOLE, LAYERS, IDS = "text", "id", "whole", "layers", "ids"
local FIELDS = {
  { "name", TEXT, "name" },
  { "tag", TEXT, "tag" },
  { "snapshotId", ID, "snapshot_id" },
  { "image", TEXT, "image", optional = true },
  { "imageBlobIDs", IDS, "image_blob_ids", optional = true },
  { "cpu", WHOLE, "cpu", optional = true },
  { "memory", WHOLE, "memory", optional = true },
  { "storage", WHOLE, "storage", optional = true },
  { "nics", WHOLE, "nics", optional = true },
  { "layers", LAYERS, "layers" },
  { "baseImages", LAYERS, "base_images", optional = true },
  { "totalSize", WHOLE, "total_size" },
  { "createdAt", TEXT, "created_at" },
  { "pushedAt", TEXT, "pushed_at" },
}

local READ = {
  [TEXT] = function(object, name)
    return descriptors.text(object, name, "manifest")
  end,
  [ID] = function(object, name)
    return descriptors.text({ [name] = early.snapshot_id(object) }, name, "manifest")
  end,
  [WHOLE] = function(object, name)
    local n = present(object[name]) and object[name] or 0
    if not json.size(n) then
      return invalid(("%s must be a whole number from 0 to 2^53 - 1"):format(name))
    end
    return json.size(n)
  end,
  [LAYERS] = read_layers,
  [IDS] = read_ids,
}

--- A decoded manifest of this generation; `m` has its bytes and digest, and gets the rest.
---@param object table
---@param m table
---@return epoch.manifest.v1?
---@return epoch.Error?
function M.read(object, m)
  for _, name in ipairs { "mediaType", "artifactType", "config", "manifests", "subject" } do
    if present(object[name]) then
      return invalid(("it is ambiguous: it is of generation 1 and has the member %s of the other; "
        .. "two readers could take it for two things"):format(name))
    end
  end
  m.generation, m.annotations = 1, {}
  for _, field in ipairs(FIELDS) do
    local value, err = READ[field[2]](object, field[1])
    if not value and err then
      return nil, err
    end
    m[field[3]] = value
  end
  return m
end

--- Reads a manifest of this generation, and no other.
---@param bytes string
---@return epoch.manifest.v1?
---@return epoch.Error?
function M.parse(bytes)
  local object, err = json.decode(bytes)
  if err then
    return nil, errors.new(err.kind, "manifest: " .. err.message)
  elseif type(object) ~= "table" or not early.is_first(object) or present(object.fsLayers) then
    return errors.fail("unsupported", "manifest: it is not of generation 1")
  end
  return M.read(object, { bytes = bytes, digest = core.digest(bytes) })
end

--- What it is: images of disks were stored as their disks, and nothing else.
---@param m epoch.manifest.v1
---@return epoch.kind
function M.classify(m)
  local disks = 0
  for _, layer in ipairs(m.layers) do
    disks = disks + (M.is_disk(layer.title) and 1 or 0)
  end
  if #m.layers == 0 then
    return "unknown"
  elseif disks == #m.layers and #m.base_images == 0 and next(m.image_blob_ids) == nil then
    return "cloud-image"
  end
  return "snapshot"
end

local function is_sha256(digest)
  local ok, err = reference.check_digest(digest)
  if ok and not digest:find("^sha256:") then
    ok, err = nil, "is not sha256, which is all that generation 1 knows"
  end
  return ok, not ok and "is none: " .. tostring(err) or nil
end

local LAYER = { fields = {
  title = { type = "string", required = true, min = 1 }, -- the file's name
  digest = { type = "string", required = true, check = is_sha256 },
  size = { type = "integer", required = true, min = 0 },
  media_type = { type = "string" }, -- by the name when not given
} }

local BUILD = {
  name = { type = "string", required = true },
  tag = { type = "string", required = true },
  snapshot_id = { type = "string", required = true },
  image = { type = "string" },
  image_blob_ids = { map = { type = "string" } },
  cpu = { type = "integer", min = 0 },
  memory = { type = "integer", min = 0 },
  storage = { type = "integer", min = 0 },
  nics = { type = "integer", min = 0 },
  layers = { array = LAYER, required = true },
  base_images = { array = LAYER },
  created_at = { type = "string", required = true },
  pushed_at = { type = "string", required = true },
}

local function write_layers(layers)
  local out = {}
  for i, layer in ipairs(layers) do
    out[i] = json.object {
      { "digest", layer.digest:match(":(.*)") },
      { "size", layer.size }, { "filename", layer.title },
      { "mediaType", layer.media_type or M.media_type_for_file(layer.title) },
    }
  end
  return json.array(out)
end

local function is_empty(value)
  return value == nil or value == "" or value == 0 or type(value) == "table" and next(value) == nil
end

--- The bytes of a manifest, as the programs of that time wrote them.
---@param given table
---@return string? bytes
---@return epoch.Error?
function M.build(given)
  local parts = options.check("manifest.v1.build", BUILD, given)
  parts.total_size = 0
  for _, list in ipairs { parts.layers, parts.base_images or {} } do
    for _, layer in ipairs(list) do
      parts.total_size = parts.total_size + layer.size
    end
  end
  local members = { { "schemaVersion", 1 } }
  for _, field in ipairs(FIELDS) do
    local value = parts[field[3]]
    if not (field.optional and is_empty(value)) then
      members[#members + 1] = { field[1], field[2] == LAYERS and write_layers(value) or value }
    end
  end
  local bytes, err = json.encode(json.object(members), 2)
  if bytes and #bytes > json.MAX then
    return errors.fail("too_large", ("the manifest of %s would have %d bytes, at most %d can be "
      .. "read again: the snapshot has too many files"):format(text.quote(parts.name), #bytes, json.MAX))
  end
  return bytes, err
end

return M
