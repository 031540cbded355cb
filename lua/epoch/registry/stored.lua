--- Every manifest of a registry in an object store, by tag and by digest, and whatever else stands
-- where manifests do.
local core = require "epoch.core"
local errors = require "epoch.errors"
local manifests = require "epoch.objectstore.manifests"
local objectstore = require "epoch.objectstore"
local reference = require "epoch.reference"
local text = require "epoch.text"

local M = {}

---@class epoch.registry.Stored
---@field key string
---@field name string? the repository; nil where no reference leads here
---@field tag string?
---@field is_other boolean? a tag, too, that no reference leads to: generation 1 took any name
---@field digest epoch.digest? as the key has it, of one by digest
---@field bytes string? nil where they cannot be read
---@field members table? what they say; nil where that is nothing
---@field err epoch.Error? what is wrong with it

-- Kinds of errors that are the object's own and say nothing of its neighbours.
local OWN = { too_large = true, denied = true, io = true, truncated = true }

-- A media type, which names no blob: see epoch.registry.media_type.
local function is_type(key)
  return key:find("/_types/sha%d+%-%x+$") ~= nil
end

-- Where a key belongs: what a reference to it would be made of.
local function place(key)
  local name, last = key:match("^manifests/(.+)/([^/]+)%.json$")
  local of = name and name:match("^(.+)/_digests$")
  local digest = of and last:gsub("-", ":", 1)
  if of and reference.check_name(of) and reference.check_digest(digest) then
    return { key = key, name = of, digest = digest }
  elseif name and reference.check_name(name) and reference.check_tag(last) then
    return { key = key, name = name, tag = last }
  end
  return { key = key, is_other = name ~= nil and not name:find("/_", 1, true) }
end

-- One that is no object: a link may lead to manifests that nobody will find.
local function stranger(self, key)
  return { key = key, err = errors.new("unsupported", ("%s in %s is a link, or has a name that "
    .. "no key can have: what it stands for is not known; take it away or put the files themselves "
    .. "in its place"):format(text.quote(key), self.store:describe())) }
end

-- Reads what stands under a key: nil when it is gone by now.
local function read(self, key)
  local one = place(key)
  local bytes, err = self.store:read(key, manifests.MAX)
  if not bytes then
    if err.kind == "not_found" then
      return nil
    elseif not OWN[err.kind] then
      return nil, err
    end
    one.err = err
    return one
  end
  one.bytes = bytes
  one.members, err = manifests.read(bytes)
  local is = one.digest and core.digest(bytes, one.digest:match("^[^:]+"))
  if not one.members then
    one.err = errors.wrap(err, ("read %s/%s"):format(self.store:describe(), key))
  elseif is ~= one.digest then
    one.err = errors.new("digest_mismatch", ("%s in %s has become %s"):format(key, self.store:describe(), is))
  end
  return one
end

--- Tells `use` of all of them, each once, in no order. With `seen`, a table that is kept from one
--- call to the next, only of what is new since then, or has been changed.
---@param self { task: epoch.task, store: table }
---@param options { concurrency: integer, seen: table<string, string>? }
---@param use fun(one: epoch.registry.Stored)
---@return true?
---@return epoch.Error?
function M.each(self, options, use)
  local top, err = objectstore.list_all(self.store, "manifests", "/")
  local found
  if top then
    found, err = objectstore.list_all(self.store, "manifests/", nil, true)
  end
  if not found then
    return nil, err
  end
  for _, key in ipairs(top.others) do
    if key == "manifests" then
      use(stranger(self, key))
    end
  end
  for _, key in ipairs(found.others) do
    use(stranger(self, key))
  end
  local seen = options.seen or {}
  return self.task:each(found.keys, options.concurrency, function(info)
    -- not by size and time: within a second a tag can become another's of the same size
    if is_type(info.key) or info.etag and seen[info.key] == info.etag then
      return true
    end
    local one, why = read(self, info.key)
    if one then
      seen[info.key] = info.etag
      use(one)
    end
    return why == nil or nil, why
  end)
end

return M
