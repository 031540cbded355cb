--- Manifests of both generations: read with the suspicion they deserve, told apart, and written.
--
--     local m = assert(manifest.parse(bytes, content_type))
--     m.bytes                     --> what was received: this is what is stored, and hashed
--     manifest.classify(m)        --> "snapshot"
--     m.layers[1].title           --> "config.json"
local core = require "epoch.core"
local descriptors = require "epoch.descriptor"
local early = require "epoch.manifest.early"
local errors = require "epoch.errors"
local json = require "epoch.json"
local media = require "epoch.media"
local text = require "epoch.text"
local v1 = require "epoch.manifest.v1"

---@class epoch.Manifest
---@field generation 1|2 what the first has besides: epoch.manifest.v1
---@field bytes string as received
---@field digest string sha256 of the bytes
---@field media_type? string
---@field artifact_type? string
---@field config? epoch.Descriptor
---@field layers epoch.Descriptor[]
---@field manifests? epoch.Descriptor[] of an index only
---@field subject? epoch.Descriptor
---@field annotations table<string, string>

local M = {}

--- The largest manifest that is read or written.
M.MAX = 4 * 1024 * 1024

--- What is particular to generation 1.
M.v1 = v1

local CLASSES = {
  [media.SNAPSHOT] = "snapshot",
  [media.OS_IMAGE] = "cloud-image",
  [media.WINDOWS_IMAGE] = "cloud-image",
}

local IMAGES = { [media.OCI_MANIFEST] = true, [media.DOCKER_MANIFEST] = true }
local CONTAINER = { [media.OCI_CONFIG] = true, [media.DOCKER_CONFIG] = true }

local function invalid(why)
  return errors.fail("invalid", "manifest: " .. why)
end

local function ambiguous(why)
  return invalid("it is ambiguous: " .. why .. "; two readers could take it for two things")
end

local function present(value)
  return value ~= nil and value ~= json.null
end

--- What a manifest's members say it is against what it came as and what it has: its type, true where it
--- has none, or nil and why it is none.
function M.check_type(object, said, content_type)
  local came = content_type and content_type:match("^%s*([^;%s]*)"):lower()
  if came == "" then
    came = nil
  end
  if said and came and said:lower() ~= came then
    return ambiguous(("it came as %s and says that it is %s"):format(text.quote(came),
      text.quote(said)))
  end
  local is_list = present(object.manifests)
  for _, name in ipairs { "layers", "config", "fsLayers" } do
    if is_list and present(object[name]) then
      return ambiguous(("it has both manifests and %s"):format(name))
    elseif media.is_index(said or came) and present(object[name]) then
      return ambiguous(("it is called a %s and has %s"):format(said or came, name))
    end
  end
  if is_list and IMAGES[said or came] then
    return ambiguous(("it is called a %s and has manifests"):format(said or came))
  end
  return said or came or true
end

local function read_parts(object, m)
  m.generation = 2
  local err
  m.artifact_type, err = descriptors.text(object, "artifactType", "manifest")
  if m.artifact_type == false then
    return nil, err
  end
  for _, name in ipairs { "config", "subject" } do
    if present(object[name]) then
      m[name], err = descriptors.read(object[name], "manifest: " .. name)
      if not m[name] then
        return nil, err
      end
    end
  end
  m.layers, err = descriptors.list(object.layers, "manifest: layers")
  if not m.layers then
    return nil, err
  end
  if present(object.manifests) then
    m.manifests, err = descriptors.list(object.manifests, "manifest: manifests")
    if not m.manifests then
      return nil, err
    end
  end
  m.annotations, err = descriptors.annotations(object, "manifest")
  return m.annotations and m, err
end

local READ = { v1.read, read_parts } -- by schemaVersion

--- Reads a manifest. `content_type` is what it came as, where that is known.
---@param bytes string
---@param content_type? string
---@return epoch.Manifest?
---@return epoch.Error?
function M.parse(bytes, content_type)
  if type(bytes) ~= "string" then
    error("a manifest must be a string, not a " .. type(bytes), 2)
  elseif #bytes > M.MAX then
    return errors.fail("too_large", ("manifest: %d bytes, at most %d are read"):format(#bytes,
      M.MAX))
  end
  local object, err = json.decode(bytes, M.MAX)
  if err then
    return invalid(err.message)
  elseif type(object) ~= "table" or not bytes:find("^%s*{") then
    return invalid("it is no JSON object")
  end
  local said
  said, err = descriptors.text(object, "mediaType", "manifest")
  if said == false then
    return nil, err
  end
  local kind
  kind, err = M.check_type(object, said, content_type)
  if not kind then
    return nil, err
  elseif present(object.fsLayers) then
    return errors.fail("unsupported", "manifest: a docker image of schema 1, which nothing makes any "
      .. "more; push the image again with a newer docker")
  end
  local read = READ[early.is_first(object) and 1 or object.schemaVersion]
  if not read then
    return errors.fail("unsupported", ("manifest: schemaVersion is %s, only 1 and 2 are read; a "
      .. "newer epoch may know it"):format(text.value(object.schemaVersion)))
  end
  return read(object, {
    bytes = bytes, digest = core.digest(bytes), media_type = kind ~= true and kind or nil,
  })
end

--- What it is; the first that fits.
---@param m epoch.Manifest
---@return epoch.kind
function M.classify(m)
  if m.generation == 1 then
    return v1.classify(m)
  elseif CLASSES[m.artifact_type] then
    return CLASSES[m.artifact_type]
  elseif m.config and CONTAINER[m.config.media_type] then
    return "container-image"
  elseif media.is_index(m.media_type) then
    return "image-index"
  end
  return "unknown"
end

--- Is a layer of a cloud image its disk, or a part of it?
---@param m epoch.Manifest
---@param layer epoch.Descriptor
---@return boolean
function M.is_disk(m, layer)
  if m.generation == 1 then
    return v1.is_disk(layer.title)
  end
  return media.is_disk(layer.media_type)
end

--- The error for a manifest of generation 1, where only the other will do.
---@param what string its NAME:TAG
---@return epoch.Error
function M.too_old(what)
  return errors.new("unsupported", ("manifest %s is of generation 1; migrate it first"):format(what))
end

--- What an entry of an index is for: "linux/amd64".
---@param d epoch.Descriptor
---@return string
function M.platform_name(d)
  local p = d.platform or {}
  return ("%s/%s"):format(p.os or "unknown", p.architecture or "unknown")
    .. (p.variant and "/" .. p.variant or "")
end

--- The child of an index to go on with: linux/amd64, else the first whose architecture is
-- not "unknown" (those are attestations). Also says which one, to be shown.
---@param m epoch.Manifest
---@return epoch.Descriptor?
---@return epoch.Error|string platform "linux/amd64", or the error
function M.platform_child(m)
  local first
  for _, d in ipairs(m.manifests or {}) do
    local p = d.platform or {}
    if p.os == "linux" and p.architecture == "amd64" then
      return d, "linux/amd64"
    elseif not first and p.architecture ~= "unknown" then
      first = d
    end
  end
  if first then
    return first, M.platform_name(first)
  end
  return errors.fail("not_found", ("the index has no manifest to go on with: %d entries, none "
    .. "for a machine"):format(#(m.manifests or {})))
end

local NAMED = {
  snapshot = "a snapshot",
  ["cloud-image"] = "a cloud image",
  ["image-index"] = "an index of images",
}

--- The error for an artifact that is not what is needed; `what` is its NAME:TAG.
---@param m epoch.Manifest
---@param what string
---@param wanted? epoch.kind
---@return epoch.Error
function M.wrong_kind(m, what, wanted)
  local kind = M.classify(m)
  if kind == "container-image" then
    return errors.new("unsupported", ("manifest %s is a container image; pull with "
      .. "oras/crane/docker, then cocoon image pull"):format(what))
  end
  local is = NAMED[kind]
  if not is then
    is = ("of an unknown kind (artifactType %s)"):format(
      m.artifact_type and text.quote(m.artifact_type) or "missing")
  end
  return errors.new("unsupported", ("manifest %s is %s, not %s"):format(what, is,
    NAMED[wanted] or "a snapshot or a cloud image"))
end

--- A manifest, a snapshot's where no type is given: the same parts give the same bytes.
---@param parts { artifact_type: string?, config: epoch.Descriptor, layers: epoch.Descriptor[], annotations: table? }
---@return string? bytes
---@return epoch.Error?
function M.build(parts)
  local layers = {}
  for i, layer in ipairs(parts.layers) do
    layers[i] = descriptors.write(layer)
  end
  local annotations = parts.annotations
  local bytes, err = json.encode(json.object {
    { "schemaVersion", 2 },
    { "mediaType", media.OCI_MANIFEST },
    { "artifactType", parts.artifact_type or media.SNAPSHOT },
    { "config", descriptors.write(parts.config) },
    { "layers", json.array(layers) },
    { "annotations", annotations and next(annotations) and annotations or nil },
  }, 2)
  if not bytes then
    return nil, err
  elseif #bytes > M.MAX then
    return errors.fail("too_large", ("the manifest would have %d bytes, registries take %d: "
      .. "give shorter or fewer annotations, or a snapshot of fewer files"):format(#bytes,
      M.MAX))
  end
  return bytes
end

--- Bytes of all blobs together: config, layers, base images.
---@param m epoch.Manifest
---@return integer
function M.total_size(m)
  local total = m.config and m.config.size or 0
  for _, list in ipairs { m.layers, m.base_images } do
    for _, blob in ipairs(list) do
      total = total + blob.size
    end
  end
  return total
end

local UNITS = { { 1024 ^ 3, "G" }, { 1024 ^ 2, "M" }, { 1024, "K" } }

--- A size for people: 1.2G, 3.4M, 5.6K, 17B.
---@param size integer
---@return string
function M.human_size(size)
  for _, unit in ipairs(UNITS) do
    if size >= unit[1] then
      return ("%.1f%s"):format(size / unit[1], unit[2])
    end
  end
  return ("%.0fB"):format(size)
end

return M
