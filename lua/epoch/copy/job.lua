--- One artifact on its way from one home to another: a manifest, after everything that it needs.
local core = require "epoch.core"
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local ports = require "epoch.ports"
local text = require "epoch.text"

local M = {}

--- How deep indexes may lie in indexes, and how many manifests one may need altogether.
M.DEPTH = 8
M.MANIFESTS = 10000

local Job = {}
Job.__index = Job

-- What the source says when it is asked for a blob again: the reason why it was refused.
local function verify(self, blob)
  local source, err = self.from:get_blob(self.name, blob.digest)
  if not source then
    return nil, err
  end
  return ports.flow(self.task, source, {
    size = blob.size, digest = blob.digest,
    what = ("%s in %s"):format(text.quote(blob.title or blob.digest), self.from:describe()),
  })
end

-- Uploads a blob, unless it is there. Answers whether its bytes had to move, and a note.
function Job:upload(blob)
  local opened, missing = false, false
  local ok, err = self.to:put_blob(self.to_name, blob.digest, blob.size, function()
    local source, why = self.from:get_blob(self.name, blob.digest)
    if source and not opened then
      opened = true
      self.listeners:mention(blob)
    end
    missing = not source and why.kind == "not_found"
    return source, why
  end, not blob.is_config and self.listeners:progress_of(blob) or nil)
  if ok then
    return opened, "is there already"
  elseif missing and blob.foreign then -- where it can be had instead is of no matter here
    return false, "stored elsewhere, not copied"
  elseif err.kind == "refused" then
    local _, why = verify(self, blob)
    err = why and (why.kind == "digest_mismatch" or why.kind == "cancelled") and why or err
  end
  return nil, err
end

-- Makes a blob appear, best without moving it.
function Job:bring(blob)
  if self.inside then
    local mounted, err = self.to:mount_blob(self.to_name, blob.digest, self.name)
    if mounted then
      return false, "is in " .. self.name .. " already"
    elseif err and err.kind == "cancelled" then
      return nil, err
    end
  end
  return self:upload(blob)
end

-- A config is no layer, and nobody waits for it.
function Job:tell(event, blob, bytes, more)
  if not blob.is_config then
    self.listeners:tell(event, blob, bytes, more)
  end
end

function Job:blob(blob)
  self:tell("start", blob, 0)
  local moved, note = self:bring(blob)
  if moved == nil then
    return nil, errors.wrap(note, "copy " .. text.quote(blob.title or blob.digest))
  elseif moved then
    blob.transferred = true
    self.transferred = self.transferred + blob.size
  else
    self.listeners:mention(blob, note)
  end
  self.there[blob.digest] = blob.size
  self:tell("done", blob, blob.size, { transferred = moved, note = not moved and note or nil })
  return true
end

-- Brings blobs, several at once and each digest once. `all`: there will be no others to tell of.
function Job:blobs(list, all)
  local branches, seen, layers = {}, {}, {}
  for _, blob in ipairs(list) do
    local size = seen[blob.digest] or self.there[blob.digest]
    if not size then
      branches[#branches + 1] = function()
        return self:blob(blob)
      end
      layers[#layers + 1] = not blob.is_config and blob or nil
    elseif size ~= blob.size then
      return errors.fail("invalid", ("%s is said to have %.0f bytes, and %.0f"):format(blob.digest,
        size, blob.size))
    end
    seen[blob.digest] = blob.size
  end
  if all then
    self.listeners:plan(layers)
  end
  local ok, err = self.task:all(branches, self.concurrency)
  return ok and true, err
end

local function blob_of(descriptor, title)
  return { title = title or descriptor.title, media_type = descriptor.media_type,
           digest = descriptor.digest, size = descriptor.size, foreign = descriptor.foreign,
           transferred = false }
end

-- What a manifest needs: its blobs, then the manifests it lists.
function Job:needs(m, depth)
  local blobs, children = {}, {}
  if m.config then
    blobs[1] = blob_of(m.config, "config")
    blobs[1].is_config = true
  end
  for _, layers in ipairs { m.layers, m.base_images } do
    for _, layer in ipairs(layers) do
      local blob = blob_of(layer)
      blobs[#blobs + 1], self.layers[#self.layers + 1] = blob, blob
    end
  end
  for _, child in ipairs(m.manifests or {}) do
    if media.is_manifest(child.media_type) then
      children[#children + 1] = child
    else -- build caches list their layers so
      blobs[#blobs + 1] = blob_of(child)
    end
  end
  self.size = self.size + manifest.total_size(m)
  if self.in_place then
    return true
  end
  local ok, err = self:blobs(blobs, depth == 0 and #children == 0)
  for _, child in ipairs(children) do
    if not ok then
      break
    end
    ok, err = self:child(child, depth + 1)
  end
  return ok, err
end

function Job:child(child, depth)
  if self.manifests[child.digest] then
    return true
  elseif depth > M.DEPTH then
    return errors.fail("invalid", ("an index in an index, more than %d deep"):format(M.DEPTH))
  elseif self.count >= M.MANIFESTS then
    return errors.fail("too_large", ("more than %d manifests"):format(M.MANIFESTS))
  end
  self.count = self.count + 1
  local m, err = self:manifest(child.digest, child.digest, child, depth)
  self.manifests[child.digest] = m ~= nil
  return m, err
end

-- The manifest that the source has; `expected` is what an index says of it.
function Job:fetch(given, expected)
  local found, err = self.from:get_manifest(self.name, given)
  if not found then
    return nil, err
  end
  local m
  m, err = ports.read_manifest(self.name, given, found.bytes,
    expected and expected.media_type or found.media_type)
  if m and expected and #m.bytes ~= expected.size then
    return errors.fail("size_mismatch", ("the manifest has %d bytes, its index says %.0f"):format(
      #m.bytes, expected.size))
  elseif m and not (media.is_manifest(m.media_type) or m.config or m.layers[1] or m.manifests) then
    return errors.fail("unsupported", ("what a %s needs is not known"):format(
      text.quote(m.media_type or "manifest without a type")))
  elseif m and m.generation == 1 and not (self.to.get_catalog and m.layers[1]) then -- only object stores have that
    return nil, manifest.too_old(ports.asked {
      name = self.name, [core.parse_digest(given) and "digest" or "tag"] = given,
    })
  end
  return m, err
end

function Job:put(m, as)
  local digest, err = self.to:put_manifest(self.to_name, as, m.bytes, m.media_type)
  if not digest and err.kind ~= "cancelled" then -- a tag that may not be moved may be right
    local there = self.to:get_manifest(self.to_name, as)
    digest = there and there.bytes == m.bytes
  end
  return digest and true, err
end

-- A manifest, after everything that it needs.
function Job:manifest(given, as, expected, depth)
  local m, err = self:fetch(given, expected)
  local ok = m
  if ok then
    ok, err = self:needs(m, depth)
  end
  if ok then
    ok, err = self:put(m, as)
  end
  if not ok then
    return nil, expected and errors.wrap(err, "the manifest " .. given) or err
  end
  return m
end

--- Copies one artifact. The options have been checked; `there` are the blobs that the other
--- repository has got already, by digest, with their sizes.
---@param task epoch.task
---@param opts table
---@param there table<string, integer>
---@return epoch.copy.result?
---@return epoch.Error?
function M.run(task, opts, there)
  local to_name = opts.to_name or opts.name
  local inside = opts.from == opts.to or opts.from:describe() == opts.to:describe()
  local job = setmetatable({
    task = task, from = opts.from, to = opts.to, name = opts.name, to_name = to_name,
    inside = inside, in_place = inside and opts.name == to_name, concurrency = opts.concurrency,
    listeners = listeners.new("copy", opts), there = there, manifests = {}, count = 0,
    layers = {}, size = 0, transferred = 0,
  }, Job)
  local digest = core.parse_digest(opts.reference) and opts.reference
  local tag = opts.to_tag or not digest and opts.reference or nil
  local m, err = job:manifest(opts.reference, tag or digest, nil, 0)
  job.listeners:finish()
  if not m then
    return nil, err
  end
  return { name = to_name, tag = tag, digest = digest or m.digest, kind = manifest.classify(m),
           size = job.size, layers = job.layers, transferred = job.transferred }
end

return M
