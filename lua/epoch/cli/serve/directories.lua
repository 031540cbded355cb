--- The directories that a server needs: one of its own, which goes with it, and the store's.
local core = require "epoch.core"
local errors = require "epoch.errors"
local text = require "epoch.text"

local M = {}

local PRIVATE = tonumber("700", 8)

--- A new directory that nobody else can use.
---@param task epoch.task
---@param parent string
---@return string?
---@return epoch.Error?
function M.make_private(task, parent)
  -- mkdir(2) alone is not enough: a name that is known beforehand can be taken by another
  local program = core.which("mktemp")
  if not program then
    return errors.fail("unsupported", "the program mktemp is not here: install coreutils")
  end
  local process, message, code = task.loop:spawn {
    argv = { program, "-d", parent .. "/epoch-serve.XXXXXX" }, stdout = "pipe", stderr = false,
  }
  if not process then
    return errors.fail(code, message)
  end
  local out = core.collect(4096)
  local moved, err = task:flow { source = process:stdout(), sink = out }
  local ended
  if moved then
    ended, err = task:await(process, "wait")
  end
  process:close()
  local path = ended and ended.code == 0 and out:bytes():match("^(/.*)\n$")
  out:close()
  if ended and not path then
    return errors.fail("io", ("no directory can be made in %s (%s): set spool_dir to one where this user may"):format(
      text.quote(parent), ended.stderr:match("[^\n]*")))
  end
  return path, err
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
