--- Where cocoon keeps its files, and its list of snapshots.
--
--     local here = paths.new { root_dir = "/var/lib/cocoon" }
--     local id = assert(here:resolve_snapshot_id("demo"))
--     print(here:snapshot_data_dir(id))
--     assert(here:update_snapshot_db(function(db)
--       db.snapshots[id].description = "the one before the upgrade"
--       return true
--     end))
--
-- Reading needs no lock: cocoon, too, puts the file in place whole. Whoever changes it holds
-- cocoon's own lock from reading to writing, so that neither loses what the other has done.
local core = require "epoch.core"
local database = require "epoch.cocoon.database"
local errors = require "epoch.errors"
local lock = require "epoch.lock"
local manifest = require "epoch.manifest"
local options = require "epoch.options"
local tasks = require "epoch.task"
local text = require "epoch.text"

local M = {}

--- Where cocoon's files were once, and are now.
M.DEFAULT_ROOT_DIR = "/data01/cocoon"
M.NEWER_ROOT_DIR = "/var/lib/cocoon"

--- The environment variable by which cocoon is told another place.
M.ROOT_DIR_ENV = "COCOON_ROOT_DIR"

local DIR_MODE, FILE_MODE = tonumber("750", 8), tonumber("644", 8) -- cocoon's own

--- A size for people: 1.2G, 3.4M, 5.6K, 17B.
M.human_size = manifest.human_size

local function is_directory(path)
  local stat = core.stat(path)
  return stat ~= nil and (stat.type == "directory" or stat.type == "link")
end

--- The root that is used when none is named: $COCOON_ROOT_DIR, else the default, unless cocoon's
--- files are where newer installations have them.
---@param getenv? fun(name: string): string?
---@param exists? fun(path: string): boolean
---@return string
function M.default_root_dir(getenv, exists)
  local named = (getenv or os.getenv)(M.ROOT_DIR_ENV)
  exists = exists or is_directory
  if named and named ~= "" then
    return named
  elseif exists(M.NEWER_ROOT_DIR) and not exists(M.DEFAULT_ROOT_DIR) then
    return M.NEWER_ROOT_DIR
  end
  return M.DEFAULT_ROOT_DIR
end

local Paths = { __name = "epoch.cocoon.paths" }
Paths.__index = Paths

---@class epoch.cocoon.paths
---@field root_dir string
---@field task? epoch.task

local OPTIONS = {
  root_dir = { type = "string", min = 1, check = function(path)
    return not path:find("%z"), "must be a path, without NUL bytes"
  end },
  task = { type = "table" },
}

--- The files under a root. With a task, what has to wait waits in it.
---@param given { root_dir: string?, task: epoch.task? }?
---@return epoch.cocoon.paths
function M.new(given)
  local opts = options.check("cocoon.paths.new", OPTIONS, given)
  opts.root_dir = (opts.root_dir or M.default_root_dir()):gsub("(.)/+$", "%1")
  return setmetatable(opts, Paths)
end

local function below(self, path)
  return (self.root_dir == "/" and "" or self.root_dir) .. "/" .. path
end

--- Where base images are.
function Paths:cloudimg_blob_dir()
  return below(self, "cloudimg/blobs")
end

--- The file that lists the snapshots.
function Paths:snapshot_db_file()
  return below(self, "snapshot/db/snapshots.json")
end

--- The file whose lock is held by who changes that list.
function Paths:snapshot_db_lock()
  return below(self, "snapshot/db/snapshots.lock")
end

--- Where the files of a snapshot are. An id may come from anywhere: one that would lead
--- elsewhere is refused.
---@param id string
---@return string?
---@return epoch.Error?
function Paths:snapshot_data_dir(id)
  if type(id) ~= "string" or not id:find("^[%w_-][%w._-]*$") or #id > 255 then
    return errors.fail("invalid", ("the snapshot id %s is none: letters, digits and \"_\", \"-\", \".\" "
      .. "inside"):format(text.quote(tostring(id))))
  end
  return below(self, "snapshot/localfile/" .. id)
end

local function read(task, path)
  local source, message, code = core.file(path)
  if not source then
    if code == "not_found" then
      return database.empty()
    end
    return errors.fail(code, message)
  end
  local sink = core.collect(database.MAX)
  local moved, err = task:flow { source = source, sink = sink, limit = database.MAX, what = path }
  local bytes = moved and sink:bytes()
  sink:close()
  local db
  if bytes then
    db, err = database.parse(bytes)
  end
  if not db then
    return nil, errors.wrap(err, "read " .. path)
  end
  return db
end

local function write(task, path, db, bytes)
  local sink, message, code = core.create(path, { mode = FILE_MODE })
  if not sink then
    return errors.fail(code, message)
  end
  local moved, err = task:flow { source = core.bytes(bytes), sink = sink, what = path }
  if not moved then
    return nil, errors.wrap(err, "write " .. path)
  end
  db.bytes = bytes
  return true
end

--- What cocoon knows of its snapshots; nothing, where there is no file.
---@return epoch.cocoon.database?
---@return epoch.Error?
function Paths:read_snapshot_db()
  return tasks.with(self.task, function(task)
    return read(task, self:snapshot_db_file())
  end)
end

-- Runs `use(task)`, which raises nothing, under cocoon's lock.
local function locked(self, use)
  return tasks.with(self.task, function(task)
    local made, message, code = core.mkdir(below(self, "snapshot/db"), DIR_MODE)
    if not made then
      return errors.fail(code, message)
    end
    local held, err = lock.take(task, self:snapshot_db_lock())
    if not held then
      return nil, err
    end
    local ok, raised
    ok, err, raised = use(task)
    held:close()
    if raised then
      error(err, 0)
    end
    return ok, err
  end)
end

-- What `change` makes of a database: its text; or nil and why not, and true where that was raised.
local function changed(db, change)
  local good, ok, err = pcall(change, db)
  if not good then
    return nil, ok, true
  elseif not ok then
    return nil, err
  end
  local bytes
  good, bytes = pcall(database.encode, db)
  return good and bytes or nil, not good and bytes or nil, not good
end

--- Changes what cocoon knows: `change(db)` gets what there is and changes it; when it answers
--- true, that is written. It must not wait for anything: cocoon may be waiting for it.
---@param change fun(db: epoch.cocoon.database): true|nil, any
---@return true?
---@return epoch.Error?
function Paths:update_snapshot_db(change)
  return locked(self, function(task)
    local db, err = read(task, self:snapshot_db_file())
    local bytes, raised
    if db then
      bytes, err, raised = changed(db, change)
    end
    if not bytes then
      return nil, err, raised
    end
    return write(task, self:snapshot_db_file(), db, bytes)
  end)
end

--- Writes a database that was read before. One that has been changed since is not overwritten:
--- kind "conflict". update_snapshot_db cannot come too late.
---@param db epoch.cocoon.database
---@return true?
---@return epoch.Error?
function Paths:write_snapshot_db(db)
  local bytes = database.encode(db)
  return locked(self, function(task)
    local now, err = read(task, self:snapshot_db_file())
    if not now then
      return nil, err
    elseif now.bytes ~= db.bytes then
      return errors.fail("conflict", ("%s was changed by another after it was read; read it again")
        :format(self:snapshot_db_file()))
    end
    return write(task, self:snapshot_db_file(), db, bytes)
  end)
end

-- The id that a name has, or that it is.
local function find(db, name)
  local id = db.names[name]
  return id and db.snapshots[id] and id or db.snapshots[name] and name or nil
end

--- The id of a snapshot by its name, or by the id itself.
---@param name string
---@return string?
---@return epoch.Error?
function Paths:resolve_snapshot_id(name)
  local db, err = self:read_snapshot_db()
  local id = db and find(db, name)
  if db and not id then
    err = errors.new("not_found", ("snapshot %s not found in cocoon DB"):format(text.quote(name)))
  end
  return id, err
end

--- Does cocoon have a snapshot of this name, or with this id? One that it is still making does not
--- count. Nil and the error: that cannot be said.
---@param name string
---@return boolean?
---@return epoch.Error?
function Paths:snapshot_exists(name)
  local db, err = self:read_snapshot_db()
  if not db then
    return nil, err
  end
  local id = find(db, name)
  return id ~= nil and not db.snapshots[id].pending
end

return M
