--- What specs of processes need to see of the system: who lives, which descriptors are open.

local core = require "epoch.core"
local lfs = require "lfs"
local work = require "spec.support.work"

local M = {}

--- The Lua that runs this, to run other scripts with.
M.lua = assert(core.which(jit and "luajit" or "lua5.4"))

--- `{pid=, name=, state=, parent=, group=}`, or nil when there is none.
function M.process(pid)
  local stat = work.read_file(("/proc/%s/stat"):format(pid))
  if not stat then
    return nil
  end
  local id, name, state, parent, group =
    stat:match("^(%d+) %((.*)%) (%a) (%d+) (%d+)")
  return {
    pid = tonumber(id), name = name, state = state,
    parent = tonumber(parent), group = tonumber(group),
  }
end

--- The numbers of the descriptors of another process, in order and in one string.
function M.descriptors(pid)
  local numbers = {}
  for name in lfs.dir(("/proc/%d/fd"):format(pid)) do
    numbers[#numbers + 1] = tonumber(name)
  end
  table.sort(numbers)
  return table.concat(numbers, " ")
end

--- Steps the loop (or just looks) until `condition()`; false when it did not come in time.
function M.eventually(condition, seconds)
  local deadline = core.now() + (seconds or 5)
  local loop = assert(core.loop { threads = 0 })
  local met = condition()
  while not met and core.now() < deadline do
    local timer = loop:timer(0.01)
    assert(loop:poll(0.02))
    timer:close()
    met = condition()
  end
  loop:close()
  return met
end

--- Gone for good: neither running nor a zombie.
function M.gone(pid, seconds)
  return M.eventually(function()
    return M.process(pid) == nil
  end, seconds)
end

--- What comes next from a source, as soon as something does: `read` itself waits for nothing.
function M.read_some(loop, source)
  local bytes, message, code
  repeat
    bytes, message, code = source:read(4096)
    assert(bytes or code == "again", message)
    assert(loop:poll(bytes and 0 or 0.005))
  until bytes
  return bytes
end

return M
