--- Disks as a cloud image of generation 2. Their blobs stay what they are; the manifest is made of
-- them alone, so that it is the same each time.
local core = require "epoch.core"
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local text = require "epoch.text"

local M = {}

local EMPTY = "{}"

-- A blob that the other home is to have; the answer says whether it had to move.
local function bring(job, from_name, to_name, layer, heard)
  local opened = false
  heard:tell("start", layer, 0)
  local ok, err = job.to:put_blob(to_name, layer.digest, layer.size, function()
    opened = true
    return job.from:get_blob(from_name, layer.digest)
  end, heard:progress_of(layer))
  if not ok then
    return nil, errors.wrap(err, "migrate " .. text.quote(layer.title))
  end
  layer.transferred = opened
  heard:mention(layer, not opened and "is there already" or nil)
  heard:tell("done", layer, layer.size, { transferred = opened })
  return true
end

-- Config and manifest, after the disks.
local function seal(job, name, tag, bytes)
  local ok, err = job.to:put_blob(name, core.digest(EMPTY), #EMPTY, function()
    return core.bytes(EMPTY)
  end)
  if ok then
    ok, err = job.to:put_manifest(name, tag, bytes, media.OCI_MANIFEST)
  end
  return ok and true, err and errors.wrap(err, "put the manifest")
end

--- The layers and the manifest of an image.
---@param disks epoch.Descriptor[] in their order
---@param annotations table<string, string>?
---@return { bytes: string, digest: string, layers: epoch.Descriptor[] }?
---@return epoch.Error?
function M.build(disks, annotations)
  local layers = {}
  for i, disk in ipairs(disks) do
    layers[i] = { title = disk.title, media_type = media.for_disk(disk.title), digest = disk.digest,
                  size = disk.size }
  end
  local bytes, err = manifest.build {
    artifact_type = media.OS_IMAGE, layers = layers, annotations = annotations,
    config = { media_type = media.OCI_EMPTY, digest = core.digest(EMPTY), size = #EMPTY },
  }
  return bytes and { bytes = bytes, digest = core.digest(bytes), layers = layers }, err
end

--- Stores an image that was built.
---@param job table from, to, task, and who listens
---@param image table of M.build
---@param from_name string the repository that has the disks
---@param name string
---@param tag string
---@return true?
---@return epoch.Error?
function M.put(job, image, from_name, name, tag)
  local heard, branches = listeners.new("migrate", job), {}
  for i, layer in ipairs(image.layers) do
    branches[i] = function()
      return bring(job, from_name, name, layer, heard)
    end
  end
  local ok, err = job.task:all(branches, job.concurrency)
  if not ok then
    return nil, err
  end
  return seal(job, name, tag, image.bytes)
end

return M
