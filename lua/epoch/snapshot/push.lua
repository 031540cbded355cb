--- From cocoon's export to an artifact. Entries are read, hashed and spooled one after the
-- other while those that are through are uploaded beside it. The manifest comes last: after
-- the tar's own end, the child's success, and the confirmation of every blob.
local annotations = require "epoch.snapshot.annotations"
local bodies = require "epoch.body"
local clock = require "epoch.snapshot.clock"
local cocoon = require "epoch.cocoon"
local config = require "epoch.snapshot.config"
local core = require "epoch.core"
local envelope = require "epoch.snapshot.envelope"
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local pieces = require "epoch.pieces"
local queues = require "epoch.queue"
local stream = require "epoch.snapshot.stream"
local text = require "epoch.text"

local M = {}

local ENVELOPE = "snapshot.json"

local Job = {}
Job.__index = Job

function Job:read_envelope(entry)
  if entry.size > config.MAX then
    return errors.fail("too_large", ("snapshot.json has %.0f bytes, at most %d can be pulled again")
      :format(entry.size, config.MAX))
  end
  local bytes, err = stream.collect(entry.size, function(sink)
    return self.task:flow { source = self.reader:body(), sink = sink, size = entry.size,
                            what = "snapshot.json" }
  end)
  if not bytes then
    return nil, err
  end
  self.envelope, err = envelope.read(bytes)
  return self.envelope and true, err
end

-- Reads an entry into a spool: a layer that lacks nothing but the upload.
function Job:read_file(entry)
  local checked, err = stream.entry(entry)
  if not checked then
    return nil, err
  end
  local layer = { title = entry.name, size = entry.size, media_type = media.for_file(entry.name) }
  local spool, message, code = core.spool { dir = self.opts.spool_dir }
  if not spool then
    return errors.fail(code, message)
  end
  self.spools[spool] = true
  self.listeners:tell("start", layer, 0, { phase = "read" })
  local moved
  moved, err = self.task:flow({
    source = self.reader:body(), sink = spool:sink(), size = entry.size, hash = true,
    what = ("the entry %s of the export"):format(text.quote(entry.name)),
  }, self.listeners:progress_of(layer, "read"))
  if not moved then
    return nil, err
  end
  layer.digest = moved.digest
  self.layers[#self.layers + 1] = layer
  self.files[#self.files + 1] = { name = entry.name, mode = entry.mode, sparse = entry.sparse }
  return self.queue:put { layer = layer, spool = spool }
end

-- One branch: the export from its first entry to its clean end.
function Job:read()
  while true do
    local entry, err = self.task:await(self.reader, "next")
    if entry == nil then
      return nil, err
    elseif not entry then
      break
    end
    local ok
    if entry.name == ENVELOPE then
      ok, err = self:read_envelope(entry)
    else
      ok, err = self:read_file(entry)
    end
    if not ok then
      return nil, err
    end
  end
  self.queue:finish()
  if not self.envelope then
    return errors.fail("invalid", "snapshot.json not found in export stream")
  end
  return true
end

-- Sends a blob, unless it is there.
function Job:upload(layer, body, on_progress)
  local name, uploader = self.opts.name, self.uploader
  local there, err = uploader:blob_exists(name, layer.digest)
  if there == nil then
    return nil, err
  elseif there then
    self.listeners:mention(layer, "is there already")
    return true
  end
  self.listeners:mention(layer)
  local ok
  ok, err = uploader:put_blob(name, layer.digest, body, layer.size, on_progress)
  if not ok then
    return nil, err
  end
  layer.transferred = true
  return true
end

-- The other branches: each uploads what has been read, one at a time.
function Job:send()
  while true do
    local item, err = self.queue:take()
    if not item then
      return item == false or nil, err
    end
    local layer, spool, ok = item.layer, item.spool, true
    if not self.sent[layer.digest] then -- equal files are sent once
      self.sent[layer.digest] = true
      ok, err = self:upload(layer, function()
        self.listeners:tell("progress", layer, 0, { phase = "send" })
        return spool:source()
      end, self.listeners:progress_of(layer, "send"))
    end
    spool:close()
    self.spools[spool] = nil
    if not ok then
      return nil, errors.wrap(err, "upload " .. text.quote(layer.title))
    end
    self.listeners:tell("done", layer, layer.size, { transferred = layer.transferred or false })
  end
end

function Job:move_layers(source)
  local message, code
  self.reader, message, code = core.tar_reader(source, { sparse = stream.SPARSE })
  if not self.reader then
    return errors.fail(code, message)
  end
  local concurrency = self.opts.concurrency
  self.queue = queues.new(self.task, 1)
  -- the reader is the first branch: what it puts is seen in the same round
  local branches = {
    function()
      local ok, err = self:read()
      self.read_failed = not ok and err.kind ~= "cancelled"
      return ok, err
    end,
  }
  for _ = 1, concurrency do
    branches[#branches + 1] = function()
      return self:send()
    end
  end
  local ok, err = self.task:all(branches)
  self.queue:close()
  self.reader:close()
  for spool in pairs(self.spools) do
    spool:close()
  end
  return ok and true, err
end

function Job:export()
  local opts = self.opts
  local source, wait, stop = self.cocoon:export(self.task, opts.snapshot)
  if not source then
    return nil, wait
  end
  local unwrapped, message, code = core.unwrap(source)
  local ok, err
  if unwrapped then
    ok, err = self:move_layers(unwrapped)
  else
    ok, err = errors.fail(code, message)
  end
  if ok then
    ok, err = wait()
    if ok or not stop or err.kind ~= "cancelled" then
      return ok, err
    end
  end
  -- a stream that ended early: the child may be about to say why
  local ended = self.read_failed and err.kind == "truncated"
  local child
  if stop then
    child = stop(nil, ended)
  else
    source:close()
    child = select(2, wait())
  end
  if child and child.kind == "not_found" then
    return nil, child
  end
  return nil, ended and cocoon.both(err, child, true) or err
end

-- Sends a text that is never in memory whole.
function Job:upload_text(described, written)
  local spool, err = bodies.spool(self.task, pieces.reader(written), { dir = self.opts.spool_dir })
  if not spool then
    return nil, err
  end
  local ok
  ok, err = self:upload(described, function()
    return spool:source()
  end)
  spool:close()
  return ok, err
end

-- Config and manifest, once every layer is where it belongs.
function Job:seal(now)
  local opts, created = self.opts, clock.format(now)
  local bytes, err, ok
  local blob, size, digest = config.build(self.envelope, self.files, created)
  if not blob then
    return nil, size
  end
  local annotated = annotations.of(opts, created)
  annotated[media.SNAPSHOT_ID] = annotated[media.SNAPSHOT_ID] or self.envelope.snapshot_id
  local described = { title = "config", media_type = media.SNAPSHOT_CONFIG, size = size,
                      digest = digest }
  bytes, err = manifest.build {
    config = { media_type = described.media_type, size = size, digest = digest },
    layers = self.layers, annotations = annotated,
  }
  if not bytes then
    return nil, err
  end
  ok, err = self:upload_text(described, blob)
  if not ok then
    return nil, errors.wrap(err, "upload the snapshot config")
  end
  ok, err = self.uploader:put_manifest(opts.name, opts.tag, bytes, media.OCI_MANIFEST)
  if not ok then
    return nil, errors.wrap(err, "put the manifest")
  end
  local total = size
  for _, layer in ipairs(self.layers) do
    total = total + layer.size
  end
  return {
    name = opts.name, tag = opts.tag, manifest_digest = core.digest(bytes),
    manifest_bytes = bytes, total_size = total, layer_count = #self.layers, layers = self.layers,
  }
end

--- Pushes a snapshot. The options have been checked.
---@param task epoch.task
---@param uploader table
---@param runner table
---@param opts table
---@return table? result
---@return epoch.Error?
function M.push(task, uploader, runner, opts)
  local now, err = clock.now(opts.created_at)
  local ok = now
  if now then
    ok, err = annotations.check(opts, now)
  end
  if not ok then
    return nil, err
  end
  local job = setmetatable({ task = task, uploader = uploader, cocoon = runner, opts = opts,
                             listeners = listeners.new("push", opts), layers = {}, files = {}, sent = {},
                             spools = {} }, Job)
  ok, err = job:export()
  if ok then
    ok, err = job:seal(now)
  end
  job.listeners:finish()
  return ok, err
end

return M
