--- From an artifact to the stream that cocoon imports: snapshot.json, then each layer as a
-- file. Everything that the manifest and the config say is looked at before the first byte.
local config = require "epoch.snapshot.config"
local core = require "epoch.core"
local clock = require "epoch.snapshot.clock"
local envelope = require "epoch.snapshot.envelope"
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local old = require "epoch.snapshot.old"
local pieces = require "epoch.pieces"
local ports = require "epoch.ports"
local text = require "epoch.text"

local M = {}

--- The prefix of cocoon's records for files with holes.
M.SPARSE = "COCOON.sparse"

local ENVELOPE = "snapshot.json"
local ENVELOPE_MODE, DEFAULT_MODE = tonumber("644", 8), tonumber("640", 8)

-- Would the tar writer take it? It refuses exactly what its reader refuses.
local function check_entry(entry)
  local writer, message, code = core.tar_writer(core.null(), { sparse = M.SPARSE })
  if not writer then
    return errors.fail(code, message)
  end
  local body
  body, message, code = writer:entry(entry)
  if body then
    body:close()
  end
  writer:close()
  if not body then
    return errors.fail(code, message)
  end
  return true
end

--- The tar entry of a file: checked as a pull checks it.
---@param file { name: string, size: integer, mode: integer?, sparse: { map: string, size: integer }? }
---@param mtime integer?
---@return table? entry
---@return epoch.Error?
function M.entry(file, mtime)
  local entry = { name = file.name, size = file.size, mode = file.mode or DEFAULT_MODE,
                  mtime = mtime or 0, pax = {} }
  if file.name == ENVELOPE then
    return errors.fail("invalid", "a layer is called snapshot.json: that name is for what "
      .. "describes the snapshot")
  elseif file.sparse then
    entry.pax = { { M.SPARSE .. ".map", file.sparse.map },
                  { M.SPARSE .. ".size", ("%.0f"):format(file.sparse.size) } }
  end
  local ok, err = check_entry(entry)
  return ok and entry, err
end

-- From this size on, what is no longer needed is given back at once.
local LARGE = 1024 * 1024

local function collect(move)
  local sink = core.collect(config.MAX)
  local moved, err = move(sink)
  local bytes = moved and sink:bytes()
  sink:close()
  return bytes or nil, err
end

--- The bytes that `move` moves into the sink it gets. Those of a large snapshot.json or config
--- are then there once: the sink has a copy until the collector finds it.
---@param size integer how many are expected
---@param move fun(sink: epoch.sink): any, epoch.Error?
---@return string?
---@return epoch.Error?
function M.collect(size, move)
  local bytes, err = collect(move)
  if size > LARGE then
    collectgarbage()
  end
  return bytes, err
end

--- The config blob that a descriptor speaks of.
---@param task epoch.task
---@param downloader table
---@param name string
---@param descriptor epoch.Descriptor
---@return epoch.snapshot.config?
---@return epoch.Error?
function M.fetch_snapshot_config(task, downloader, name, descriptor)
  if descriptor.media_type ~= media.SNAPSHOT_CONFIG then
    return errors.fail("invalid", ("the config of %s is a %s, not a %s"):format(name,
      text.quote(descriptor.media_type), media.SNAPSHOT_CONFIG))
  elseif descriptor.size > config.MAX then
    return errors.fail("too_large", ("the snapshot config of %s has %.0f bytes, at most %d are "
      .. "read"):format(name, descriptor.size, config.MAX))
  end
  local blob, err = downloader:get_blob(name, descriptor.digest)
  if not blob then
    return nil, errors.wrap(err, "fetch the snapshot config")
  end
  local bytes
  bytes, err = M.collect(descriptor.size, function(sink)
    return ports.flow(task, blob, { sink = sink, size = descriptor.size,
                                    digest = descriptor.digest, what = "snapshot config" })
  end)
  if not bytes then
    return nil, err
  end
  return config.parse(bytes)
end

local function compressed(media_type)
  return media_type:match("%+(zstd)$") or media_type:match("%+(gzip)$")
end

local function file_of(layer, conf)
  local said = conf.files[layer.title] or {}
  local file = { name = layer.title, size = layer.size, mode = said.mode }
  if said.sparse_map and not said.sparse_size then
    return errors.fail("invalid", ("layer %s: it has a sparse map and no sparse size"):format(
      text.quote(layer.title)))
  elseif said.sparse_size and not said.sparse_map then
    return errors.fail("invalid", ("layer %s: it has a sparse size and no sparse map"):format(
      text.quote(layer.title)))
  elseif said.sparse_map then
    file.sparse = { map = said.sparse_map, size = said.sparse_size }
  end
  return file
end

-- The entries for a snapshot's layers, or what is wrong with one of them.
local function entries_of(m, conf)
  local entries, seen, mtime = {}, {}, clock.parse(conf.created_at)
  for i, layer in ipairs(m.layers) do
    if not layer.title then
      return errors.fail("invalid", ("layer %d has no title"):format(i))
    elseif seen[layer.title] then
      return errors.fail("invalid", ("two layers are called %s"):format(text.quote(layer.title)))
    elseif compressed(layer.media_type) then
      return errors.fail("unsupported", ("layer %s is compressed (%s), which a v1 snapshot cannot "
        .. "be"):format(text.quote(layer.title), text.printable(layer.media_type, 120)))
    end
    seen[layer.title] = true
    local file, entry, err
    file, err = file_of(layer, conf)
    if file then
      entry, err = M.entry(file, mtime)
    end
    if not entry then
      return nil, err
    end
    entries[i] = { entry = entry, layer = layer }
  end
  for title in pairs(conf.files) do
    if not seen[title] then
      return errors.fail("invalid", ("the config has a file %s, and no layer is called so"):format(
        text.quote(title)))
    end
  end
  return entries, mtime
end

-- What is known of a snapshot besides its files.
local function config_of(task, m, downloader, given, what)
  if m.generation == 1 then
    return old.config(task, m, downloader, given.name)
  elseif not m.config then
    return errors.fail("invalid", ("manifest %s: a snapshot without a config"):format(what))
  end
  return M.fetch_snapshot_config(task, downloader, given.name, m.config)
end

--- Everything that can be known before a byte of the stream is written.
---@param task epoch.task
---@param m epoch.Manifest
---@param downloader table
---@param given { name: string, tag: string?, digest: string?, local_name: string?, spool_dir: string? }
---@return table? plan for M.write: first `envelope_entry` with the text `envelope`, then each of
--- `entries`, { entry =, layer = }
---@return epoch.Error?
function M.plan(task, m, downloader, given)
  local what = ports.asked(given)
  if manifest.classify(m) ~= "snapshot" then
    return nil, manifest.wrong_kind(m, what, "snapshot")
  end
  local conf, err = config_of(task, m, downloader, given, what)
  if not conf then
    return nil, err
  end
  local entries, mtime = entries_of(m, conf)
  if not entries then
    return nil, errors.wrap(mtime, "manifest " .. what)
  end
  local written = envelope.write(conf, given.local_name or given.name)
  local first = { name = ENVELOPE, mode = ENVELOPE_MODE, size = pieces.measure(written), mtime = mtime or 0 }
  return { name = given.name, downloader = downloader, layers = m.layers, entries = entries,
           mtime = first.mtime, is_expanded = m.generation == 1, spool_dir = given.spool_dir,
           envelope = written, envelope_entry = first }
end

local function write_entry(task, writer, entry, blob, spec, on_progress)
  local sink, message, code = writer:entry(entry)
  if not sink then
    blob:close()
    return errors.fail(code, message)
  end
  spec.sink = sink
  local moved, err = ports.flow(task, blob, spec, on_progress)
  return moved, err
end

-- A file that was stored without its holes: they are found before it is known what to write.
local function write_expanded(task, plan, writer, one, blob, on_progress)
  local layer = one.layer
  local spool, sparse = old.find_holes(task, blob, layer, { spool_dir = plan.spool_dir, on_progress = on_progress })
  if not spool then
    return nil, sparse
  end
  local entry, err = M.entry({ name = layer.title, size = spool:size(), sparse = sparse }, plan.mtime)
  local moved
  if entry then
    moved, err = write_entry(task, writer, entry, spool:source(), { size = entry.size })
  end
  spool:close()
  return moved, err
end

local function write_layer(task, plan, writer, one, heard)
  local entry, layer = one.entry, one.layer
  local blob, err = plan.downloader:get_blob(plan.name, layer.digest)
  if not blob then
    return nil, errors.wrap(err, "fetch " .. text.quote(entry.name))
  end
  heard:tell("start", layer, 0)
  heard:mention(layer)
  local moved
  if plan.is_expanded then
    moved, err = write_expanded(task, plan, writer, one, blob, heard:progress_of(layer))
  else
    moved, err = write_entry(task, writer, entry, blob, {
      size = layer.size, digest = layer.digest, what = "layer " .. text.quote(entry.name),
    }, heard:progress_of(layer))
  end
  if moved then
    heard:tell("done", layer, layer.size)
  end
  return moved, err
end

--- Writes the stream of a plan into a sink of the core and finishes it. When it fails, the
-- sink is left open, and the third answer are the bytes that have to be sent before it is
-- closed, so that nobody takes the end for a good one.
---@param task epoch.task
---@param plan table
---@param sink userdata
---@param options { progress: function?, on_event: function? }
---@return true?
---@return epoch.Error?
---@return string? poison
function M.write(task, plan, sink, options)
  local writer, message, code = core.tar_writer(sink, { sparse = M.SPARSE })
  if not writer then
    return nil, errors.new(code, message), nil
  end
  local ok, err = write_entry(task, writer, plan.envelope_entry, pieces.reader(plan.envelope), {})
  local heard = listeners.new("pull", options)
  heard:plan(plan.layers)
  for _, one in ipairs(plan.entries) do
    if not ok then
      break
    end
    ok, err = write_layer(task, plan, writer, one, heard)
  end
  heard:finish()
  if ok then
    ok, err = task:await(writer, "finish")
  end
  local poison = not ok and writer:poison() or nil
  writer:close()
  return ok and true, err, poison
end

return M
