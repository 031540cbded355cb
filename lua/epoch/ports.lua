--- Ports: what the use cases need of the place where artifacts live, as plain tables of
-- functions that are called as methods. A script can hand in its own; a home (a registry, a
-- store, a layout) gets them here.
--
--     uploader:blob_exists(name, digest)                -> boolean | nil, err
--     uploader:put_blob(name, digest, body, size, on_progress) -> true | nil, err
--     uploader:put_manifest(name, tag, bytes, media_type) -> true | nil, err
--     downloader:get_manifest(name, tag)                -> bytes, media_type | nil, err
--     downloader:get_blob(name, digest)                 -> blob | nil, err
--     blob_reader:read_blob(digest)                     -> blob | nil, err
--
-- A body is a function that answers a fresh source of the core each time it is called. A blob
-- is a source of the core, or a reader (epoch.body). `tag` is a digest where that is what was
-- asked for. `on_progress`, where it is not nil, may be told how many bytes have been sent.
local bodies = require "epoch.body"
local core = require "epoch.core"
local errors = require "epoch.errors"
local manifest = require "epoch.manifest"
local references = require "epoch.reference"
local tasks = require "epoch.task"

local M = {}

M.with_task = tasks.with

--- Are these what they have to be? Asked before anything is started; nil ones are fine.
function M.check_names(name, tag, digest, local_name)
  local ok, err = references.check_name(name)
  if ok and tag then
    ok, err = references.check_tag(tag)
  end
  if ok and digest then
    ok, err = references.check_digest(digest)
  end
  if ok and local_name then
    ok, err = references.check_name(local_name)
  end
  return ok, err
end

--- What a pull with these options is asked for, for messages: NAME:TAG or NAME@DIGEST.
function M.asked(opts)
  return references.format { name = opts.name, digest = opts.digest,
                             tag = not opts.digest and opts.tag or nil }
end

--- A home as an uploader.
function M.uploader(home)
  local port = {}

  function port.blob_exists(_, name, digest)
    local size, err = home:blob_size(name, digest)
    if size then
      return true
    elseif err.kind == "not_found" then
      return false
    end
    return nil, err
  end

  function port.put_blob(_, name, digest, body, size, on_progress)
    return home:put_blob(name, digest, size, body, on_progress)
  end

  function port.put_manifest(_, name, tag, bytes, media_type)
    return home:put_manifest(name, tag, bytes, media_type)
  end

  return port
end

--- A home as a downloader.
function M.downloader(home)
  local port = {}

  function port.get_manifest(_, name, tag)
    local found, err = home:get_manifest(name, tag)
    if not found then
      return nil, err
    end
    return found.bytes, found.media_type
  end

  function port.get_blob(_, name, digest)
    return home:get_blob(name, digest)
  end

  return port
end

--- The blobs of one repository of a downloader, as cloud images want them.
function M.blob_reader(downloader, name)
  return {
    read_blob = function(_, digest)
      return downloader:get_blob(name, digest)
    end,
  }
end

local function with_source(spec, source)
  local out = {}
  for key, value in pairs(spec) do
    out[key] = value
  end
  out.source = source
  return out
end

local function flow_object(task, object, spec, on_progress)
  local source, sink, code = core.pipe()
  if not source then
    object:close()
    return errors.fail(code, sink)
  end
  local why
  local results, err = task:all {
    function()
      return task:flow(with_source(spec, source), on_progress)
    end,
    function()
      local _, failed, reading = bodies.feed(task, object, sink)
      why = reading and failed
      sink:close()
      return true
    end,
  }
  object:close()
  if why then -- to the flow that was only the end: what the object says is the reason
    return nil, why
  end
  return results and results[1], err
end

--- Moves a blob as task:flow does, whatever kind of blob it is; uses it up.
---@param task epoch.task
---@param blob any
---@param spec table options of loop:flow, without the source
---@param on_progress fun(bytes: integer)?
function M.flow(task, blob, spec, on_progress)
  if type(blob) == "userdata" then
    return task:flow(with_source(spec, blob), on_progress)
  elseif not bodies.is_reader(blob) or not blob.close then
    error("a blob must be a source or have read(n) and close(), not a " .. type(blob), 2)
  end
  return flow_object(task, blob, spec, on_progress)
end

--- The manifest that came for a reference; its digest is checked where that is the reference.
---@param name string
---@param reference string tag or digest
---@param bytes string
---@param media_type string?
---@return epoch.Manifest?
---@return epoch.Error?
function M.read_manifest(name, reference, bytes, media_type)
  local algorithm = core.parse_digest(reference)
  if algorithm and core.digest(bytes, algorithm) ~= reference then
    return errors.fail("digest_mismatch", ("the manifest that came for %s@%s is another one: %s")
      :format(name, reference, core.digest(bytes, algorithm)))
  end
  return manifest.parse(bytes, media_type)
end

-- The manifest under one reference.
local function fetch_one(downloader, name, reference)
  local bytes, media_type = downloader:get_manifest(name, reference)
  if not bytes then
    return nil, media_type
  end
  return M.read_manifest(name, reference, bytes, media_type)
end

--- The manifest of an artifact. Of an index, the child that fits (manifest.platform_child).
---@param downloader table
---@param name string
---@param reference string tag or digest
---@param progress? fun(line: string)
---@return epoch.Manifest?
---@return epoch.Error?
function M.fetch_manifest(downloader, name, reference, progress)
  local m, err = fetch_one(downloader, name, reference)
  if not m or manifest.classify(m) ~= "image-index" then
    return m, err
  end
  local child, platform = manifest.platform_child(m)
  if not child then
    return nil, platform
  elseif progress then
    progress(("%s is an index; taking its manifest for %s, %s"):format(name, platform,
      child.digest))
  end
  local size = child.size
  m, err = fetch_one(downloader, name, child.digest)
  if m and #m.bytes ~= size then
    return errors.fail("size_mismatch", ("the manifest %s@%s has %d bytes, its index says %.0f")
      :format(name, child.digest, #m.bytes, size))
  elseif m and manifest.classify(m) == "image-index" then
    return errors.fail("invalid", ("manifest %s: an index in an index"):format(name))
  end
  return m, err
end

--- The manifest of a pull: the one that was handed in, or what its name stands for.
---@param downloader table
---@param opts { manifest: epoch.Manifest?, name: string, tag: string, digest: string?, progress: function? }
---@return epoch.Manifest?
---@return epoch.Error?
function M.manifest_of(downloader, opts)
  if opts.manifest then
    return opts.manifest
  end
  return M.fetch_manifest(downloader, opts.name, opts.digest or opts.tag, opts.progress)
end

return M
