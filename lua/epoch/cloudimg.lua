--- Cloud images: the disk that an artifact's layers make up, in one piece.
--
--     assert(cloudimg.stream(task, raw, ports.blob_reader(downloader, name), { writer = sink }))
--     assert(cloudimg.puller { downloader = port, cocoon = runner }:pull { name = "win11" })
--
-- The disk layers in the order of their titles, bytewise; layers of other types (checksums)
-- are skipped. Nothing is kept on the way: each layer is verified while it passes.
local cocoon = require "epoch.cocoon"
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local manifest = require "epoch.manifest"
local options = require "epoch.options"
local ports = require "epoch.ports"
local text = require "epoch.text"

local M = {}

--- The disk layers of a cloud image, in their order.
---@param m epoch.Manifest
---@param what string? its NAME:TAG, for messages
---@return epoch.Descriptor[]?
---@return epoch.Error?
function M.disk_layers(m, what)
  what = what or m.digest
  if manifest.classify(m) ~= "cloud-image" then
    return nil, manifest.wrong_kind(m, what, "cloud-image")
  end
  local layers, seen = {}, {}
  for i, layer in ipairs(m.layers) do
    if manifest.is_disk(m, layer) then
      layers[#layers + 1] = { layer = layer, title = layer.title or "", at = i }
    end
  end
  if #layers == 0 then
    return errors.fail("invalid", ("manifest %s: the cloud image has no disk layer"):format(what))
  end
  for _, one in ipairs(layers) do
    if #layers > 1 and one.title == "" then
      return errors.fail("invalid", ("manifest %s: layer %d is a part of a disk and has no title, "
        .. "so its place is not known"):format(what, one.at))
    elseif seen[one.title] then
      return errors.fail("invalid", ("manifest %s: two disk layers are called %s, so their order "
        .. "is not known"):format(what, text.quote(one.title)))
    end
    seen[one.title] = true
  end
  table.sort(layers, function(a, b)
    return a.title < b.title
  end)
  for i, one in ipairs(layers) do
    layers[i] = one.layer
  end
  return layers
end

local function write_layers(task, layers, blobs, opts, heard)
  for _, layer in ipairs(layers) do
    local name = text.quote(layer.title or layer.digest)
    local blob, err = blobs:read_blob(layer.digest)
    if not blob then
      return nil, errors.wrap(err, "fetch " .. name)
    end
    heard:tell("start", layer, 0)
    heard:mention(layer)
    local moved
    moved, err = ports.flow(task, blob, {
      sink = opts.writer, size = layer.size, digest = layer.digest, what = "layer " .. name,
      more = true,
    }, heard:progress_of(layer))
    if not moved then
      return nil, err
    end
    heard:tell("done", layer, layer.size)
  end
  return true
end

local function write(task, layers, blobs, opts)
  local heard = listeners.new(opts.op or "get", opts)
  heard:plan(layers)
  local ok, err = write_layers(task, layers, blobs, opts, heard)
  heard:finish()
  return ok, err
end

local STREAM = {
  writer = { type = "userdata", required = true },
  name = { type = "string" }, -- NAME:TAG, for messages
  media_type = { type = "string" }, -- what the manifest came as
  progress = { type = "function" },
  on_event = { type = "function" },
}

--- Writes the disk into `options.writer`, a sink of the core, and leaves it open: finishing it
-- is for the caller to do, when this has answered true, and only then.
---@param task epoch.task
---@param raw string the manifest
---@param blobs table read_blob(digest)
---@param given { writer: userdata, name: string?, progress: function? }
---@return true?
---@return epoch.Error?
function M.stream(task, raw, blobs, given)
  local opts = options.check("cloudimg.stream", STREAM, given)
  local m, err = manifest.parse(raw, opts.media_type)
  if not m then
    return nil, err
  end
  return M.stream_parsed(task, m, blobs, given)
end

--- The same for a manifest that has been parsed.
function M.stream_parsed(task, m, blobs, given)
  local opts = options.check("cloudimg.stream_parsed", STREAM, given)
  local layers, err = M.disk_layers(m, opts.name)
  if not layers then
    return nil, err
  end
  return write(task, layers, blobs, opts)
end

local Puller = { __name = "epoch.cloudimg.puller" }
Puller.__index = Puller

--- Pulls cloud images.
---@param given { downloader: table, cocoon: table, task: epoch.task? }
function M.puller(given)
  return setmetatable(options.check("cloudimg.puller", {
    downloader = { type = "table", required = true }, cocoon = { type = "table", required = true },
    task = { type = "table" },
  }, given), Puller)
end

local PULL = {
  name = { type = "string", required = true },
  tag = { type = "string", default = "latest" },
  digest = { type = "string" }, -- wins over the tag
  local_name = { type = "string" },
  manifest = { type = "table" }, -- one that has been parsed
  progress = { type = "function" },
  on_event = { type = "function" },
}

-- The disk into cocoon: committed whole, or not at all.
local function import(task, runner, layers, blobs, opts)
  local sink, wait, fail = runner:image_import(task, opts.local_name or opts.name)
  if not sink then
    return nil, wait
  elseif not fail then
    error("image_import of a runner must answer sink, wait and fail: the end of an image looks "
      .. "the same wherever it comes", 0)
  end
  local ok, err = write(task, layers, blobs, {
    writer = sink, op = "pull", progress = opts.progress, on_event = opts.on_event,
  })
  if ok then
    ok, err = task:await(sink, "finish")
  end
  if ok then
    ok, err = wait()
    if ok or err.kind ~= "cancelled" then
      return ok, err
    end
  end
  local gone = err.kind == "process" -- the child has gone by itself: it knows why
  return nil, cocoon.both(err, fail(nil, gone), gone)
end

local function pull(task, self, opts)
  local m, err = ports.manifest_of(self.downloader, opts)
  if not m then
    return nil, err
  end
  local layers
  layers, err = M.disk_layers(m, ports.asked(opts))
  if not layers then
    return nil, err
  end
  return import(task, self.cocoon, layers, ports.blob_reader(self.downloader, opts.name), opts)
end

--- Pulls one cloud image into cocoon.
---@param given table
---@return true?
---@return epoch.Error?
function Puller:pull(given)
  local opts = options.check("pull", PULL, given)
  local ok, err = ports.check_names(opts.name, opts.tag, opts.digest, opts.local_name)
  if not ok then
    return nil, err
  end
  return ports.with_task(self.task, function(task)
    return pull(task, self, opts)
  end)
end

return M
