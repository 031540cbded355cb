--- What the API says of a manifest, worked out once: as a table, and as a text to be remembered.
local core = require "epoch.core"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local clock = require "epoch.snapshot.clock"

local M = {}

---@class epoch.gateway.summary
---@field digest string the manifest's, without its algorithm
---@field kind epoch.kind
---@field artifact_type string "" where it has none
---@field size integer of all blobs that belong to it
---@field layers integer; of an index, its manifests
---@field created integer? seconds, as it says itself
---@field blobs string[] the first digits of the digest of each
---@field platforms string JSON: of an index, what each of its manifests needs; "" for any other

-- Digits that tell blobs apart: 64 bits.
local DIGITS = 16

-- Adds the blobs of a manifest that are not known yet; the bytes of those.
local function add_blobs(m, blobs, seen)
  local size = 0
  local function add(descriptor)
    local digits = descriptor.digest:match(":(%x+)$"):sub(1, DIGITS)
    if not seen[digits] then
      seen[digits] = true
      blobs[#blobs + 1] = digits
      size = size + descriptor.size
    end
  end
  if m.config then
    add(m.config)
  end
  for _, list in ipairs { m.layers, m.base_images or {} } do
    for _, layer in ipairs(list) do
      add(layer)
    end
  end
  return size
end

local function created(m)
  return clock.parse(m.annotations[media.CREATED]) or clock.parse(m.pushed_at) or clock.parse(m.created_at)
end

-- An index is what its manifests are; those that are not here do not count.
local function add_children(home, name, m, summary)
  local platforms, seen, complete = {}, {}, true
  for _, descriptor in ipairs(m.manifests) do
    local found = home:get_manifest(name, descriptor.digest)
    local child = found and manifest.parse(found.bytes, found.media_type)
    if child then
      platforms[#platforms + 1] = json.object {
        { "digest", descriptor.digest }, { "size", manifest.total_size(child) }, { "layerCount", #child.layers },
      }
      summary.size = summary.size + add_blobs(child, summary.blobs, seen)
    else
      complete = false
    end
  end
  summary.layers = #m.manifests
  summary.platforms = #platforms > 0 and json.encode(json.array(platforms)) or ""
  return complete
end

--- Of a manifest that was read; one that cannot be understood is of an unknown kind, and empty.
---@param home table
---@param name string
---@param found { bytes: string, media_type: string? }
---@return epoch.gateway.summary
---@return boolean complete may it be remembered?
function M.of(home, name, found)
  local summary = {
    digest = core.digest(found.bytes):match(":(%x+)$"), kind = "unknown", artifact_type = "", size = 0, layers = 0,
    blobs = {}, platforms = "",
  }
  local m = manifest.parse(found.bytes, found.media_type)
  if not m then
    return summary, true
  end
  summary.kind, summary.artifact_type = manifest.classify(m), m.artifact_type or ""
  summary.created = created(m)
  if m.manifests then
    return summary, add_children(home, name, m, summary)
  end
  add_blobs(m, summary.blobs, {})
  summary.size, summary.layers = manifest.total_size(m), #m.layers
  return summary, true
end

--- As a text: a line for each field, the one last that may have lines of its own.
---@param summary epoch.gateway.summary
---@return string
function M.encode(summary)
  return table.concat({
    summary.digest, summary.kind, ("%.0f"):format(summary.size), ("%d"):format(summary.layers),
    summary.created and ("%.0f"):format(summary.created) or "", table.concat(summary.blobs), summary.platforms,
    summary.artifact_type,
  }, "\n")
end

--- What `encode` has made.
---@param line string
---@return epoch.gateway.summary
function M.decode(line)
  local digest, kind, size, layers, at, blobs, platforms, artifact_type =
    line:match("^(%x+)\n([%a-]+)\n(%d+)\n(%d+)\n(%-?%d*)\n(%x*)\n([^\n]*)\n(.*)$")
  local list = {}
  for digits in blobs:gmatch(("%x"):rep(DIGITS)) do
    list[#list + 1] = digits
  end
  return {
    digest = digest, kind = kind, size = tonumber(size), layers = tonumber(layers), created = tonumber(at),
    blobs = list, platforms = platforms, artifact_type = artifact_type,
  }
end

return M
