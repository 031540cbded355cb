--- What is in a home: one artifact in full, the tags of a repository, all repositories.
--
--     local found = assert(inspect(task, home, "vms/demo", "v1"))
--     found.kind, found.size, found.config   --> "snapshot", 1288490188, '{"schemaVersion":…'
--     for _, one in ipairs(assert(inspect.tags(task, home, "vms/demo"))) do … end
--
-- A list does not end at one entry that is broken: that entry has an `err` instead of what
-- could not be found out. What concerns the home as a whole (it does not answer, it does not
-- know us) fails the list.
local clock = require "epoch.snapshot.clock"
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local options = require "epoch.options"
local ports = require "epoch.ports"

local M = {}

--- The largest config that is read: the largest that a snapshot can have.
M.MAX_CONFIG = 16 * 1024 * 1024

local EMPTY = "{}"

-- Kinds of errors that are an entry's own and say nothing of its neighbours.
local OWN = {
  not_found = true, invalid = true, unsupported = true, too_large = true, truncated = true,
  digest_mismatch = true, size_mismatch = true,
}

-- Not to be seen, though the list it stands in is.
local HIDDEN = { unauthorized = true, denied = true }

local LIST = { concurrency = { type = "integer", min = 1, max = 64, default = 4 } }

-- The blob that is the config, as it was received; its digest and size are checked.
local function fetch(task, home, name, descriptor)
  local blob, err = home:get_blob(name, descriptor.digest)
  if not blob then
    return nil, errors.wrap(err, "fetch the config")
  end
  local sink = core.collect(M.MAX_CONFIG)
  local moved
  moved, err = ports.flow(task, blob, {
    sink = sink, size = descriptor.size, digest = descriptor.digest, what = "config",
  })
  local bytes = moved and sink:bytes()
  sink:close()
  return bytes, err
end

-- The config's text and what it means, where it is a JSON object that is not too large.
local function config_of(task, home, name, m)
  local d = m.config
  if not d or d.media_type == media.OCI_EMPTY or d.size > M.MAX_CONFIG then
    return EMPTY, {}
  end
  local bytes, err = fetch(task, home, name, d)
  if not bytes then
    return nil, err
  end
  local decoded = json.decode(bytes, M.MAX_CONFIG)
  if type(decoded) ~= "table" or not bytes:find("^%s*{") then
    return EMPTY, {}
  end
  return bytes, decoded
end

-- The bytes of what the manifest itself refers to: config and layers, or manifests.
local function size_of(m)
  local total = manifest.total_size(m)
  for _, child in ipairs(m.manifests or {}) do
    total = total + child.size
  end
  return total
end

-- A time as it is written here; nil for what is none.
local function time(text)
  local seconds = type(text) == "string" and clock.parse(text)
  return seconds and clock.format(seconds) or nil
end

-- When it was made, as the manifest says.
local function made(m)
  return time(m.annotations[media.CREATED]) or time(m.created_at)
end

-- When it was made, as its config says: a snapshot's, or a container image's.
local function created_of(config)
  return time(config.createdAt) or time(config.created)
end

local function get(home, name, reference)
  local found, err = home:get_manifest(name, reference)
  if not found then
    return nil, err
  end
  local m
  m, err = manifest.parse(found.bytes, found.media_type)
  return m, err, found
end

---@class epoch.inspect.Artifact
---@field name string
---@field tag? string where that was the reference
---@field digest string
---@field media_type string
---@field artifact_type? string
---@field kind epoch.kind
---@field size integer bytes of config and layers; of an index, of the manifests it lists
---@field created? string RFC 3339, in UTC
---@field annotations table<string, string>
---@field layers epoch.Descriptor[]
---@field base_images? epoch.Descriptor[] of generation 1, and part of the size
---@field manifests? epoch.Descriptor[] of an index
---@field config string the config's JSON as it was received; "{}" where there is none, where it
--- is no JSON object, and where it is larger than MAX_CONFIG
---@field bytes string the manifest, as stored

--- What the artifact under a tag or a digest is.
---@param task epoch.task
---@param home table
---@param name string
---@param reference string
---@return epoch.inspect.Artifact?
---@return epoch.Error?
function M.artifact(task, home, name, reference)
  local m, err, found = get(home, name, reference)
  if not m then
    return nil, err
  end
  local config, decoded = config_of(task, home, name, m)
  if not config then
    return nil, decoded
  end
  return {
    name = name, tag = not reference:find(":", 1, true) and reference or nil,
    digest = found.digest, media_type = found.media_type, artifact_type = m.artifact_type,
    kind = manifest.classify(m), size = size_of(m),
    created = made(m) or created_of(decoded),
    annotations = m.annotations, layers = m.layers, base_images = m.base_images, manifests = m.manifests,
    config = config, bytes = found.bytes,
  }
end

-- Side by side, for each item what `one(item)` answers, in their order. A signal is noticed
-- in between, also where nothing has to be waited for.
local function each(task, items, concurrency, one)
  local functions = {}
  for i, item in ipairs(items) do
    functions[i] = function()
      local ok, err = task:sleep(0)
      if not ok then
        return nil, err
      end
      return one(item)
    end
  end
  return task:all(functions, concurrency)
end

---@class epoch.inspect.Tag
---@field tag string
---@field digest? string
---@field kind epoch.kind "unknown" where it is broken
---@field size? integer
---@field created? string
---@field err? epoch.Error what is wrong with it

--- The tags of a repository, sorted, with what each of them is.
---@param task epoch.task
---@param home table
---@param name string
---@param given { concurrency: integer? }?
---@return epoch.inspect.Tag[]?
---@return epoch.Error?
function M.tags(task, home, name, given)
  local opts = options.check("inspect.tags", LIST, given)
  local tags, failed = home:tags(name)
  if not tags then
    return nil, failed
  end
  return each(task, tags, opts.concurrency, function(tag)
    local m, err, found = get(home, name, tag)
    local entry = { tag = tag, kind = "unknown", digest = found and found.digest, err = err }
    if m then
      entry.kind, entry.size = manifest.classify(m), size_of(m)
      entry.created = made(m)
    end
    if m and not entry.created then
      local config, decoded = config_of(task, home, name, m)
      entry.created, entry.err = config and created_of(decoded), not config and decoded or nil
    end
    if entry.err and not OWN[entry.err.kind] then
      return nil, entry.err
    end
    return entry
  end)
end

---@class epoch.inspect.Repository
---@field name string
---@field tags string[] sorted
---@field err? epoch.Error why they could not be listed

--- The repositories of a home, sorted, with their tags. One that has none has an empty list.
---@param task epoch.task
---@param home table
---@param given { concurrency: integer? }?
---@return epoch.inspect.Repository[]?
---@return epoch.Error?
function M.repositories(task, home, given)
  local opts = options.check("inspect.repositories", LIST, given)
  local names, failed = home:repositories()
  if not names then
    return nil, failed
  end
  return each(task, names, opts.concurrency, function(name)
    local tags, err = home:tags(name)
    if tags or err.kind == "not_found" then -- of which the last tag is gone
      return { name = name, tags = tags or {} }
    elseif not (OWN[err.kind] or HIDDEN[err.kind]) then
      return nil, err
    end
    return { name = name, tags = {}, err = err }
  end)
end

return setmetatable(M, {
  --- `inspect(task, home, name, reference)`: inspect.artifact.
  __call = function(_, ...)
    return M.artifact(...)
  end,
})
