--- A snapshot out of cocoon's own directories into a store, as generation 1 has it: its files and
-- base images as blobs, holes as zeros, then the manifest.
--
--     local m = assert(epoch.registry.push(task, home, epoch.cocoon.paths.new {}, { name = "demo", tag = "v1" }))
--
-- Only what the store lacks is sent, and what changes while it is read is refused. A base image that
-- is not among cocoon's cloud images is left out, and that is said: those of container images are
-- layers that cocoon pulls itself.
local clock = require "epoch.snapshot.clock"
local core = require "epoch.core"
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local options = require "epoch.options"
local ports = require "epoch.ports"
local survey = require "epoch.registry.survey"
local text = require "epoch.text"
local v1 = require "epoch.manifest.v1"

local M = {}

local SEVERAL = 3 -- files at once

local PUSH = {
  name = { type = "string", required = true }, -- in the store
  tag = { type = "string", default = "latest" },
  snapshot = { type = "string", min = 1 }, -- cocoon's name of it, or its id; by default the same
  pushed_at = { type = "integer", min = 0 }, -- seconds since 1970, by default now
  progress = { type = "function" }, -- (line), for people
  on_event = { type = "function" }, -- (event), for programs: see epoch.listeners
}

local function changed(what)
  return errors.fail("conflict", ("%s changed while it was read; push it again when nothing writes to it"):format(what))
end

-- Is it in the store, whole?
local function is_there(job, layer)
  local size, err = job.home:blob_size(job.opts.name, layer.digest)
  if not size and err.kind ~= "not_found" then
    return nil, err
  end
  return size == layer.size
end

-- Sends a file whose digest is known, unless the store has it: true when its bytes had to move.
local function send(job, file)
  local layer, heard = file.layer, job.heard
  local there, err = job.sent[layer.digest], nil -- equal files are sent once
  job.sent[layer.digest] = true
  if not there then
    there, err = is_there(job, layer)
  end
  if there == nil then
    return nil, err
  elseif there then
    heard:mention(layer, "is there already")
    return false
  end
  heard:mention(layer)
  return job.home:put_blob(job.opts.name, layer.digest, layer.size, function()
    heard:tell("progress", layer, 0, { phase = "send" })
    return core.file(file.path)
  end, heard:progress_of(layer, "send"))
end

-- Makes a file a blob; its layer learns its digest.
local function store(job, file)
  local layer, heard = file.layer, job.heard
  local source, message, code = core.file(file.path)
  if not source then
    return errors.fail(code, message)
  end
  heard:tell("start", layer, 0, { phase = "read" })
  local hashed, err = job.task:flow({ source = source, size = layer.size, hash = true, what = text.quote(file.path) },
    heard:progress_of(layer, "read"))
  local transferred
  if hashed then
    layer.digest = hashed.digest
    transferred, err = send(job, file)
  end
  if transferred == nil then
    return nil, err
  end
  heard:tell("done", layer, layer.size, { transferred = transferred })
  return true
end

local function store_all(job, files)
  local branches = {}
  for i, file in ipairs(files) do
    branches[i] = function()
      local ok, err = store(job, file)
      if not ok and err.kind ~= "cancelled" and survey.stamp(file.path) ~= file.stamp then
        return changed(text.quote(file.path))
      end
      return ok, err and errors.wrap(err, text.quote(file.layer.title))
    end
  end
  return job.task:all(branches, SEVERAL)
end

-- The record as it is now that all files have been read, when these are still the same.
local function confirm(job, found)
  local now, err = survey.take(job.here, job.opts.snapshot)
  if not now then
    return nil, errors.wrap(err, "look again whether it has changed")
  elseif not survey.is_same(found, now) then
    return changed("the snapshot " .. text.quote(job.opts.snapshot))
  end
  return now.record
end

local function layers_of(files)
  local layers = {}
  for i, file in ipairs(files) do
    layers[i] = file.layer
  end
  return layers
end

-- The manifest's bytes. Where the tag has one that says the same these are that one's: a second
-- push leaves everything as it is.
local function manifest_of(job, found, record)
  local opts = job.opts
  local parts = {
    name = opts.name, tag = opts.tag, snapshot_id = found.id, image = record.image, cpu = record.cpu,
    memory = record.memory, storage = record.storage, nics = record.nics, layers = layers_of(found.files),
    base_images = layers_of(found.bases), created_at = record.created_at,
  }
  local there = not opts.pushed_at and job.home:get_manifest(opts.name, opts.tag)
  local known = there and v1.parse(there.bytes)
  if known and known.pushed_at then
    parts.pushed_at = known.pushed_at
    if v1.build(parts) == there.bytes then
      return there.bytes
    end
  end
  parts.pushed_at = clock.format(job.now)
  return v1.build(parts)
end

local function push(job)
  local found, err = survey.take(job.here, job.opts.snapshot)
  if not found then
    return nil, err
  end
  for _, id in ipairs(found.missing) do
    job.heard:say(("base image %s: not in %s, left out"):format(id, job.here:cloudimg_blob_dir()))
  end
  local ok, record, bytes
  ok, err = store_all(job, survey.files(found))
  if ok then
    record, err = confirm(job, found)
  end
  if record then
    bytes, err = manifest_of(job, found, record)
  end
  if not bytes then
    return nil, err
  end
  ok, err = job.home:put_manifest(job.opts.name, job.opts.tag, bytes)
  if not ok then
    return nil, errors.wrap(err, "put the manifest")
  end
  return v1.parse(bytes)
end

--- Pushes a snapshot; answers its manifest.
---@param task epoch.task
---@param home table a registry in an object store
---@param here epoch.cocoon.paths
---@param given { name: string, tag: string?, snapshot: string? } and what else is in PUSH
---@return epoch.manifest.v1?
---@return epoch.Error?
function M.push(task, home, here, given)
  local opts = options.check("registry.push", PUSH, given)
  opts.snapshot = opts.snapshot or opts.name
  local now
  local ok, err = ports.check_names(opts.name, opts.tag)
  if ok and not home.get_catalog then
    err = errors.new("unsupported", home:describe() .. " is no object store, which is where generation 1 lives; "
      .. "push the snapshot as an artifact")
  elseif ok then
    now, err = clock.now(opts.pushed_at)
  end
  if not now then
    return nil, err
  end
  local job = { task = task, home = home, here = here, opts = opts, now = now, sent = {},
                heard = listeners.new("push", opts) }
  local m
  m, err = push(job)
  job.heard:finish()
  return m, err and errors.wrap(err, ("push %s:%s"):format(opts.name, opts.tag))
end

return M
