--- Manifests of a registry in an object store, as bytes and as what they say. For epoch.registry,
-- which takes its methods from here.
local errors = require "epoch.errors"
local manifest = require "epoch.manifest"
local text = require "epoch.text"

local M = {}

local v1 = manifest.v1

--- A manifest as it was stored: its bytes, and its media type.
---@param name string
---@param given string tag or digest
---@return string?
---@return string|epoch.Error media_type
function M:manifest_json(name, given)
  local found, err = self:get_manifest(name, given)
  if not found then
    return nil, err
  end
  return found.bytes, found.media_type
end

--- A manifest of either generation, parsed.
---@param name string
---@param given string tag or digest
---@return epoch.Manifest?
---@return epoch.Error?
function M:pull_manifest(name, given)
  local found, err = self:get_manifest(name, given)
  if not found then
    return nil, err
  end
  return manifest.parse(found.bytes, found.media_type)
end

-- The members that epoch.manifest.v1.build takes of one that was parsed.
local TEXTS = { "name", "tag", "snapshot_id", "created_at", "pushed_at" }
local OTHERS = { "image", "image_blob_ids", "cpu", "memory", "storage", "nics" }
local LISTS = { "layers", "base_images" }

local function layers_of(list)
  local layers = {}
  for i, layer in ipairs(list) do
    if not layer.digest:find("^sha256:") then
      return errors.fail("invalid", ("manifest: the layer %s has a digest that is not sha256"):format(
        text.quote(layer.title)))
    end
    layers[i] = { title = layer.title, digest = layer.digest, size = layer.size, media_type = layer.media_type }
  end
  return layers
end

-- What was parsed may lack what has to be written.
local function parts_of(m)
  local parts = {}
  if m.generation ~= 1 then
    return errors.fail("unsupported", "manifest: it is not of generation 1; push_manifest_json stores its bytes")
  end
  for _, field in ipairs(TEXTS) do
    if type(m[field]) ~= "string" then
      return errors.fail("invalid", ("manifest: %s is missing"):format(field))
    end
    parts[field] = m[field]
  end
  for _, field in ipairs(OTHERS) do
    parts[field] = m[field]
  end
  for _, field in ipairs(LISTS) do
    local layers, err = layers_of(m[field])
    if not layers then
      return nil, err
    end
    parts[field] = layers
  end
  return parts
end

--- Stores a manifest of generation 1 under the name and the tag that it has. It is one that was
--- parsed, of which what it says now is written anew, or what epoch.manifest.v1.build takes.
---@param m epoch.manifest.v1|table
---@return epoch.digest?
---@return epoch.Error?
function M:push_manifest(m)
  local parts, bytes, err = m, nil, nil
  if m.generation then
    parts, err = parts_of(m)
  end
  if parts then
    bytes, err = v1.build(parts)
  end
  if not bytes then
    return nil, err
  end
  return self:put_manifest(parts.name, parts.tag, bytes)
end

return M
