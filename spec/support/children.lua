--- What specs of processes need to see of the system: who lives, who is whose child, which
-- descriptors are open.

local core = require "epoch.core"
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

function M.self()
  return M.process("self").pid
end

--- Through a file: the pipe of a popen would be one of the descriptors that are counted.
local function list(dir)
  local path, names = os.tmpname(), {}
  os.execute("ls " .. dir .. " > " .. path .. " 2>/dev/null")
  for name in io.lines(path) do
    names[#names + 1] = name
  end
  os.remove(path)
  return names
end

--- Children of this process, zombies included.
function M.own()
  local self, found = M.self(), {}
  for _, name in ipairs(list("/proc")) do
    local p = name:match("^%d+$") and M.process(name)
    if p and p.parent == self then
      found[#found + 1] = p
    end
  end
  return found
end

--- The numbers of the descriptors of a process, as strings.
function M.descriptors(pid)
  return list(("/proc/%d/fd"):format(pid))
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

--- Before each test; the result goes to `nothing_left`.
function M.look()
  collectgarbage()
  collectgarbage()
  return { descriptors = #M.descriptors(M.self()), children = #M.own() }
end

function M.nothing_left(before)
  collectgarbage()
  collectgarbage()
  for kind, n in pairs(core.live()) do
    assert(n == 0, kind .. " left open: " .. n)
  end
  local after = M.look()
  assert(after.descriptors == before.descriptors,
         ("%d descriptors, %d before"):format(after.descriptors, before.descriptors))
  assert(after.children == before.children,
         ("%d children, %d before"):format(after.children, before.children))
end

return M
