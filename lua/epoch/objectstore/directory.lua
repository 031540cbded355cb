--- A directory as an object store: each object a file of that name.
--
-- Files appear under their names when they are whole and on disk (core.create). Names that
-- begin with a dot are no objects: what a dead process may have left, and ".locks", whose
-- files order conditional puts and deletes between processes. An object's ETag is the
-- digest of its bytes where they are seen (put, read), else made of the file's identity,
-- time and size; if_match takes both.
local bodies = require "epoch.body"
local core = require "epoch.core"
local errors = require "epoch.errors"
local options = require "epoch.options"
local listing = require "epoch.objectstore.listing"
local objectstore = require "epoch.objectstore"

local LOCK_WAIT = 60 -- seconds
local DIR_MODE = tonumber("755", 8)
local PRIVATE = tonumber("600", 8)

local RANGE = { offset = { type = "integer", min = 0 }, length = { type = "integer", min = 0 } }
local PUT = {
  digest = { type = "string" },
  if_match = { type = "string" },
  if_none_match = { enum = { "*" } },
  on_progress = { type = "function" },
  private = { type = "boolean" },
}

local Directory = { __name = "epoch.objectstore.directory" }
Directory.__index = Directory

local M = {}

--- The store in a directory, which need not be there yet.
---@param task epoch.task
---@param path string
---@return table
function M.open(task, path)
  local root = path:gsub("/+$", "")
  return setmetatable({ task = task, root = root }, Directory)
end

local function path_of(self, key)
  local ok, err = objectstore.check_key(key)
  return ok and self.root .. "/" .. key, err
end

local function info_of(stat)
  return { size = stat.size, etag = listing.etag(stat), modified = stat.mtime }
end

-- The file of a key; anything else of that name is no object.
local function look(self, key)
  local path, err = path_of(self, key)
  if not path then
    return nil, err
  end
  local stat, message, code = core.stat(path)
  if not stat and code ~= "not_found" then
    return errors.fail(code, message)
  end
  if not stat or stat.type ~= "file" then
    return errors.fail("not_found", ("%s is not in %s"):format(key, self:describe()))
  end
  return stat, path
end

function Directory:head(key)
  local stat, err = look(self, key)
  if not stat then
    return nil, err
  end
  return info_of(stat)
end

function Directory:get(key, range)
  range = options.check("store:get", RANGE, range)
  local stat, path, source, message, code
  repeat -- until nobody has replaced it between looking and opening
    stat, path = look(self, key)
    if not stat then
      return nil, path
    end
    source, message, code = core.file(path, range)
    if not source and code ~= "not_found" then
      return errors.fail(code, message)
    end
    local now = core.stat(path)
    local same = now and listing.etag(now) == listing.etag(stat)
    if source and not same then
      source:close()
      source = nil
    end
  until source
  local info = info_of(stat)
  info.size = source:total()
  return source, info
end

function Directory:read(key, max)
  local source, info = self:get(key)
  if not source then
    return nil, info
  end
  local sink = core.collect(max)
  local moved, err = self.task:flow { source = source, sink = sink, limit = max, what = key }
  if not moved then
    sink:close()
    return nil, errors.wrap(err, "read " .. self:describe() .. "/" .. key)
  end
  local bytes = sink:bytes()
  sink:close()
  info.etag = core.digest(bytes)
  return bytes, info
end

-- The lock that orders changes of this key; several keys share one.
local function lock_for(self, key)
  local dir = self.root .. "/.locks"
  local ok, message, code = core.mkdir(dir, DIR_MODE)
  if not ok then
    return errors.fail(code, message)
  end
  local path = dir .. "/" .. core.digest(key):match(":(..)")
  local deadline, try = core.now() + LOCK_WAIT, 0
  while true do
    local lock
    lock, message, code = core.lock(path)
    if lock then
      return lock
    elseif code ~= "busy" or core.now() > deadline then
      return errors.fail(code, code == "busy" and ("%s has been locked by another process for "
        .. "%d seconds; is it stuck?"):format(path, LOCK_WAIT) or message)
    end
    try = try + 1
    local slept, err = self.task:sleep(objectstore.backoff(try))
    if not slept then
      return nil, err
    end
  end
end

-- Is what is there now what the conditions want? true, or nil and the error.
local function check_conditions(self, key, given)
  local stat, path = look(self, key)
  if not stat and path.kind ~= "not_found" then
    return nil, path
  elseif given.if_none_match then
    if stat then
      return errors.fail("conflict", ("%s is in %s already"):format(key, self:describe()))
    end
    return true
  end
  local etag
  if stat and given.if_match:find("^sha256:") then
    local source, message, code = core.file(path)
    if not source then
      return errors.fail(code, message)
    end
    local hashed, err = self.task:flow { source = source, hash = "sha256" }
    if not hashed then
      return nil, err
    end
    etag = hashed.digest
  else
    etag = stat and listing.etag(stat)
  end
  if etag ~= given.if_match then
    return errors.fail("conflict", ("%s in %s was changed by another"):format(key,
      self:describe()))
  end
  return true
end

-- Gives a file that is written its name, if the conditions still hold.
local function finish(self, key, sink, given)
  local lock, err = lock_for(self, key)
  if not lock then
    return nil, err
  end
  local ok
  ok, err = check_conditions(self, key, given)
  if ok then
    ok, err = self.task:await(sink, "finish")
    if not ok and err.kind == "exists" then
      err = errors.new("conflict", err.message)
    end
  end
  lock:close()
  return ok, err
end

-- Makes the directory of a file. What is new of its path is on disk before the file is.
local function make_parent(path)
  local dir = path:match("^(.+)/") or "/"
  local missing, at = {}, dir
  while at and not core.stat(at) do
    missing[#missing + 1] = at
    at = at:match("^(.+)/")
  end
  local ok, message, code = core.mkdir(dir, DIR_MODE)
  for _, new in ipairs(missing) do
    if ok then
      ok, message, code = core.sync_parent(new)
    end
  end
  return ok, message, code
end

local function write(self, key, path, size, body, given)
  local conditional = (given.if_match or given.if_none_match) ~= nil
  local ok, message, code = make_parent(path)
  if not ok then
    bodies.drop(body)
    return errors.fail(code, message)
  end
  local sink
  sink, message, code = core.create(path, {
    replace = not given.if_none_match, mode = given.private and PRIVATE or nil,
  })
  if not sink then
    bodies.drop(body)
    return errors.fail(code, message)
  end
  local source, err = bodies.source(self.task, body)
  if not source then
    sink:close()
    return nil, err
  end
  local moved
  moved, err = self.task:flow({
    source = source, sink = sink, size = size, digest = given.digest, hash = "sha256", what = key,
    more = conditional,
  }, given.on_progress)
  if moved and conditional then
    ok, err = finish(self, key, sink, given)
    moved = ok and moved
  end
  sink:close()
  return moved and moved.digests.sha256, err
end

function Directory:put(key, size, body, given)
  given = options.check("store:put", PUT, given)
  objectstore.check_size(size)
  local path, err = path_of(self, key)
  local ok = path
  if ok and (given.if_match or given.if_none_match) then
    ok, err = check_conditions(self, key, given) -- before any byte is moved
  end
  if not ok then
    bodies.drop(body)
    return nil, err
  end
  local etag
  etag, err = write(self, key, path, size, body, given)
  if not etag then
    return nil, errors.wrap(err, ("write %s to %s"):format(key, self:describe()))
  end
  return etag
end

function Directory:delete(key)
  local stat, path = look(self, key)
  if not stat then
    return path.kind == "not_found" or nil, path.kind ~= "not_found" and path or nil
  end
  local lock, err = lock_for(self, key)
  if not lock then
    return nil, err
  end
  local ok, message, code = core.unlink(path)
  if ok then
    ok, message, code = core.sync_parent(path)
  end
  lock:close()
  if not ok and code ~= "not_found" then
    return errors.fail(code, message)
  end
  return true
end

function Directory:list(prefix, given)
  return listing.page(self.root, prefix, given)
end

function Directory:describe()
  return "file://" .. (self.root == "" and "/" or self.root)
end

function Directory:close() -- luacheck: ignore 212
  return true
end

return M
