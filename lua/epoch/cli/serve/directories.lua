--- The directories that a server needs: one of its own, which goes with it, and the store's.
local core = require "epoch.core"
local errors = require "epoch.errors"
local text = require "epoch.text"

local M = {}

local unpack = table.unpack or unpack -- luacheck: ignore 113 143

local PRIVATE = tonumber("700", 8)
local NAME, LOCK = "epoch-serve.", "/lock"
local AGE = "1" -- minutes; what is younger may not have its lock yet
local MAX_OUTPUT = 64 * 1024

-- What a program writes to stdout; nil and what it said on stderr when it fails.
local function output_of(task, name, words)
  local program = core.which(name)
  if not program then
    return errors.fail("unsupported", ("the program %s is not here: install coreutils and findutils"):format(name))
  end
  local process, message, code = task.loop:spawn { argv = { program, unpack(words) }, stdout = "pipe", stderr = false }
  if not process then
    return errors.fail(code, message)
  end
  local out = core.collect(MAX_OUTPUT)
  local moved, err = task:flow { source = process:stdout(), sink = out }
  local ended
  if moved then
    ended, err = task:await(process, "wait")
  end
  process:close()
  local bytes = ended and ended.code == 0 and out:bytes()
  out:close()
  if ended and not bytes then
    return errors.fail("io", ended.stderr:match("[^\n]*"))
  end
  return bytes, err
end

--- A new directory that nobody else can use, and a lock that says that it is used: who is killed
--- cannot remove its own.
---@param task epoch.task
---@param parent string
---@return string?
---@return epoch.lock|epoch.Error
function M.make_private(task, parent)
  -- mkdir(2) alone is not enough: a name that is known beforehand can be taken by another
  local said, err = output_of(task, "mktemp", { "-d", parent .. "/" .. NAME .. "XXXXXX" })
  local path = said and said:match("^(/.*)\n$")
  if not path then
    return errors.fail(err.kind, ("no directory can be made in %s (%s): set spool_dir to one where this user may")
      :format(text.quote(parent), err.message))
  end
  local lock, message, code = core.lock(path .. LOCK)
  if not lock then
    return errors.fail(code, message)
  end
  return path, lock
end

--- Removes what servers have left that were killed. Only what is this user's own is looked at: nobody
--- else can put something else in its place.
---@param task epoch.task
---@param parent string
---@param uid string
function M.sweep(task, parent, uid)
  local found = output_of(task, "find", {
    parent, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-user", uid, "-name", NAME .. "*", "-mmin", "+" .. AGE,
  })
  for path in (found or ""):gmatch("[^\n]+") do
    local lock = path:sub(1, #parent + 1 + #NAME) == parent .. "/" .. NAME and core.lock(path .. LOCK)
    if lock then
      M.remove(path)
      lock:close()
    end
  end
end

--- Removes a directory with all that is in it; nothing is followed out of it.
---@param path string
function M.remove(path)
  for _, name in ipairs(core.list(path) or {}) do
    local one = path .. "/" .. name
    local stat = core.stat(one)
    if stat and stat.type == "directory" then
      M.remove(one)
    else
      os.remove(one)
    end
  end
  os.remove(path)
end

--- Makes the directory of a store, where uploads go at first: on the same file system, so that they
-- are renamed into place and not copied.
---@param root string
---@return string? spool
---@return epoch.Error?
function M.prepare_store(root)
  local spool = root .. "/.spool"
  local ok, message, code = core.mkdir(root)
  if ok then
    ok, message, code = core.mkdir(spool, PRIVATE)
  end
  local probe
  if ok then
    probe, message, code = core.create(spool .. "/probe") -- which never gets this name
  end
  if not probe then
    return errors.fail(code, ("the store cannot be written to: %s; give it to this user, or name another with "
      .. "--store"):format(message))
  end
  probe:close()
  return spool
end

return M
