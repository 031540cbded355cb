--- One artifact of generation 1 on its way to generation 2. Base images come first and the
-- manifest last: whatever is cut short has no manifest there, and can be done again.
local clock = require "epoch.snapshot.clock"
local cloudimg = require "epoch.cloudimg"
local core = require "epoch.core"
local errors = require "epoch.errors"
local image = require "epoch.migrate.image"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local old = require "epoch.snapshot.old"
local ports = require "epoch.ports"
local snapshot = require "epoch.snapshot"
local stream = require "epoch.snapshot.stream"
local text = require "epoch.text"

local M = {}

--- Where base images go: base-images:ID, each once, whatever needs it.
M.BASE_IMAGES = "base-images"

local Job = {}
Job.__index = Job

-- What the other home has under a reference: its manifest, false when there is none.
local function existing(job, name, tag)
  local found, err = job.to:get_manifest(name, tag)
  if found then
    return manifest.parse(found.bytes, found.media_type)
  elseif err.kind == "not_found" then
    return false
  end
  return nil, err
end

-- Has the other home every blob of a manifest?
local function is_whole(job, name, m)
  local blobs = { m.config }
  for _, layer in ipairs(m.layers) do
    blobs[#blobs + 1] = layer
  end
  for _, blob in ipairs(blobs) do
    local size, err = job.to:blob_size(name, blob.digest)
    if not size and err.kind ~= "not_found" then
      return nil, err
    elseif size ~= blob.size then
      return false
    end
  end
  return true
end

local function taken(name, tag)
  return errors.fail("conflict", ("%s:%s is there already and is something else; remove it, or migrate "
    .. "to another home"):format(name, tag))
end

-- Is this artifact there as it shall be? nil and the error: something else is.
function Job:is_done(m, name, tag)
  local there, err = existing(self, name, tag)
  if not there then
    return there, err
  elseif there.digest == m.digest then -- in its own home
    return false
  elseif not there.annotations[media.MIGRATED] then
    return taken(name, tag)
  elseif there.annotations[media.MIGRATED] ~= m.digest then -- pushed again since then
    return false
  end
  local whole
  whole, err = is_whole(self, name, there)
  return whole and there, err
end

-- Has the old home this blob, whole as far as its size tells?
function Job:check_source(name, layer)
  local size, err = self.from:blob_size(name, layer.digest)
  if size and size ~= layer.size then
    return errors.fail("size_mismatch", ("%s has %.0f bytes in %s, the manifest says %.0f"):format(
      text.quote(layer.title), size, self.from:describe(), layer.size))
  end
  return size, err
end

-- A base image as a cloud image of its own: what the annotation calls it.
function Job:base(name, layer)
  local id = old.base_id(layer.title)
  if not id then
    return errors.fail("invalid", ("the base image %s is not called HEX.qcow2, HEX.raw or HEX"):format(
      text.quote(layer.title)))
  end
  local built, err = image.build { layer }
  local there, done
  if built then
    there, err = existing(self, M.BASE_IMAGES, id)
  end
  if there and there.digest ~= built.digest then
    return taken(M.BASE_IMAGES, id)
  elseif there then
    done, err = is_whole(self, M.BASE_IMAGES, there)
  elseif there == false then
    done = false
  end
  if done == false and self.dry_run then
    done, err = self:check_source(name, layer)
  elseif done == false then
    done, err = image.put(self, built, name, M.BASE_IMAGES, id)
    self:count(built.layers)
  end
  return done ~= nil and M.BASE_IMAGES .. ":" .. id or nil, err
end

function Job:bases(name, m)
  local refs = {}
  for i, layer in ipairs(m.base_images) do
    local err
    refs[i], err = self:base(name, layer)
    if not refs[i] then
      return nil, err
    end
  end
  return refs
end

-- Layers whose bytes had to move.
function Job:count(layers)
  for _, layer in ipairs(layers) do
    self.moved[#self.moved + 1] = layer.transferred and layer or nil
  end
end

-- What was stored, as if cocoon exported it: a snapshot like any other to a push.
function Job:push(name, tag, m, created, refs)
  local plan, err = stream.plan(self.task, m, ports.downloader(self.from), {
    name = name, tag = tag, spool_dir = self.spool_dir,
  })
  if not plan then
    return nil, err
  end
  local source, sink, code = core.pipe()
  if not source then
    return errors.fail(code, sink)
  end
  local pusher = snapshot.pusher {
    uploader = ports.uploader(self.to), task = self.task,
    cocoon = { export = function()
      return source, function() return true end
    end },
  }
  local results, cut
  results, err = self.task:all {
    function()
      local ok, why = stream.write(self.task, plan, sink, {})
      cut = why
      sink:close()
      return ok, why
    end,
    function()
      return pusher:push {
        name = name, tag = tag, created_at = created, concurrency = self.concurrency,
        base_image = table.concat(refs, ","), annotations = { [media.MIGRATED] = m.digest },
        spool_dir = self.spool_dir, progress = self.progress, on_event = self.on_event,
      }
    end,
  }
  source:close()
  if cut and err.kind == "truncated" then -- all that a push knows of it
    err = cut
  end
  local pushed = results and results[2]
  return pushed and { digest = pushed.manifest_digest, size = pushed.total_size, layers = pushed.layers }, err
end

function Job:image(name, tag, m, created)
  local disks, err = cloudimg.disk_layers(m, name .. ":" .. tag)
  local built, ok
  if disks then
    built, err = image.build(disks, { [media.CREATED] = created, [media.MIGRATED] = m.digest })
  end
  if built then
    ok, err = image.put(self, built, name, name, tag)
  end
  return ok and { digest = built.digest, size = manifest.total_size(m), layers = built.layers }, err
end

-- When it was made, or at least pushed.
local function time_of(m)
  local time = clock.in_utc(m.created_at) or clock.in_utc(m.pushed_at)
  if not time then
    return errors.fail("invalid", "neither createdAt nor pushedAt is a time since 1970")
  end
  return time
end

-- Could it be brought there, as far as that is known without reading what is large?
function Job:check(name, tag, m, kind)
  local ok, err
  if kind == "snapshot" then
    ok, err = stream.plan(self.task, m, ports.downloader(self.from), { name = name, tag = tag })
  else
    ok, err = cloudimg.disk_layers(m, name .. ":" .. tag)
  end
  for _, layer in ipairs(m.layers) do
    if ok then
      ok, err = self:check_source(name, layer)
    end
  end
  return ok, err
end

-- Brings it there, and says what it has become.
function Job:bring(name, tag, m, kind)
  local created, err = time_of(m)
  local refs, done
  if created then
    refs, err = self:bases(name, m)
  end
  if refs then
    done, err = self:is_done(m, name, tag)
  end
  if done == nil then
    return nil, err
  elseif done then
    return { digest = done.digest, size = manifest.total_size(done), layers = done.layers, state = "there" }
  elseif self.dry_run then
    local ok
    ok, err = self:check(name, tag, m, kind)
    return ok and { digest = m.digest, size = manifest.total_size(m), layers = m.layers, state = "planned" }, err
  end
  local result
  if kind == "snapshot" then
    result, err = self:push(name, tag, m, created, refs)
  else
    result, err = self:image(name, tag, m, created)
  end
  if result then
    result.state = "migrated"
    self:count(result.layers)
  end
  return result, err
end

--- Migrates one tag. False: it is not of generation 1.
---@param opts table those of epoch.migrate, and its task
---@param name string
---@param tag string
---@return epoch.migrate.result|false|nil
---@return epoch.Error?
function M.run(opts, name, tag)
  local job = setmetatable({ moved = {} }, Job)
  for key, value in pairs(opts) do
    job[key] = value
  end
  local found, err = job.from:get_manifest(name, tag)
  local m
  if found then
    m, err = manifest.parse(found.bytes, found.media_type)
  end
  if not m then
    return nil, err
  elseif m.generation ~= 1 then
    return false
  end
  local kind = manifest.classify(m)
  if kind == "unknown" then
    return errors.fail("invalid", "it has no layers")
  end
  local result
  result, err = job:bring(name, tag, m, kind)
  if not result then
    return nil, err
  end
  result.name, result.tag, result.kind, result.transferred = name, tag, kind, 0
  for _, layer in ipairs(job.moved) do
    result.transferred = result.transferred + layer.size
  end
  return result
end

return M
