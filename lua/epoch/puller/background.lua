--- What goes on without its caller: a puller in a process of its own.
--
-- A Lua state works only while it has the turn, and its caller may be busy for as long as it likes.
-- So the work is given to another interpreter, a child behind the core's keeper, which gets it as
-- JSON on stdin, says on stderr what fails, and writes a line to stdout for each snapshot that has
-- ended (epoch.puller.child).
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local tasks = require "epoch.task"

local M = {}

--- How many snapshots one process is given.
M.MAX = 1000

local CHILD = "epoch.puller.child"

local INTERPRETERS = {
  ["Lua 5.4"] = { "lua5.4", "lua" },
  ["Lua 5.1"] = package.loaded.jit and { "luajit" } or { "lua5.1", "luajit", "lua" },
}

-- A Lua that can load the core of this one.
local function find_interpreter(named)
  local tried = named and { named } or INTERPRETERS[_VERSION]
  for _, name in ipairs(tried) do
    local path = core.which(name)
    if path then
      return path
    end
  end
  return errors.fail("process", ("to work in the background a Lua of its own is needed; looked for %s: "
    .. "name one as the option interpreter"):format(table.concat(tried, " and ")))
end

-- For json.encode: lists marked as such. What is no data cannot go to another process.
local function plain(value, where)
  if type(value) == "function" or type(value) == "userdata" or type(value) == "thread" then
    error(("%s is a %s: only texts, numbers, true and false go to another process"):format(where,
      type(value)), 0)
  elseif type(value) ~= "table" then
    return value
  end
  local out = {}
  for key, one in pairs(value) do
    out[key] = plain(one, where .. "." .. tostring(key))
  end
  return #out > 0 and json.array(out) or out
end

-- The caller's, but for what its own interpreter was told to run first.
local function environment()
  local out = {}
  for _, pair in ipairs(core.environ()) do
    if not pair:find("^LUA_INIT") then
      out[#out + 1] = pair
    end
  end
  return out
end

---@class epoch.puller.status
---@field running integer
---@field done integer
---@field failed integer
---@field snapshots { name: string, tag: string, state: "running"|"done"|"failed", err: epoch.Error? }[]

---@class epoch.puller.prewarm
local Handle = { __name = "epoch.puller.prewarm" }
Handle.__index = Handle

local function close(self)
  if self.process then
    self.lines:close()
    self.process:close()
    self.process = nil
    self.running[self] = nil
    if self.own then
      self.task:close()
    end
  end
end

-- Takes note of how snapshots ended, of all before anyone is told: who is told may raise.
local function ended(self, entries, err)
  local news = {}
  for _, entry in ipairs(entries) do
    if entry.state == "running" then
      entry.state, entry.err = err and "failed" or "done", err
      news[#news + 1] = entry
    end
  end
  for _, entry in ipairs(self.on_end and news or {}) do
    self.on_end(entry.name .. ":" .. entry.tag, err)
  end
end

-- A line of the child: which one, and where it failed kind and message.
local function take_line(self, line)
  local at, kind, message = line:match("^(%d+) ?(%S*) ?(.*)$")
  local entry = self.entries[tonumber(at)]
  if entry then
    ended(self, { entry }, kind ~= "" and errors.new(kind, message) or nil)
  end
end

-- Reads what there is; true at the end. Lines stay where they are until it is their turn: when who is
-- told of one raises, the next call goes on behind it.
local function read_lines(self)
  while true do
    local line, after = self.rest:match("^([^\n]*)\n()")
    if line then
      self.rest = self.rest:sub(after)
      take_line(self, line)
    else
      local piece, _, code = self.lines:read(4096)
      if not piece then
        return piece == false or code ~= "again"
      end
      self.rest = self.rest .. piece
    end
  end
end

-- What the child has not told of when it ended has failed with it.
local function child_ended(self, result, err)
  local why = errors.is(err) and err or errors.new("process", result and (result.code
    and "the process in the background ended with exit code " .. ("%d"):format(result.code)
    or "the process in the background was ended by SIG" .. tostring(result.signal)) or tostring(err))
  close(self)
  ended(self, self.entries, why)
end

local function count(self)
  local counts = { running = 0, done = 0, failed = 0 }
  for _, entry in ipairs(self.entries) do
    counts[entry.state] = counts[entry.state] + 1
  end
  return counts
end

--- How far it is, without waiting.
---@return epoch.puller.status
function Handle:status()
  if self.process then
    self.task.loop:step()
    if read_lines(self) then
      local result, message, code = self.process:wait()
      if result or code ~= "again" then
        child_ended(self, result, message)
      end
    end
  end
  local now, snapshots = count(self), {}
  for i, entry in ipairs(self.entries) do
    snapshots[i] = { name = entry.name, tag = entry.tag, state = entry.state, err = entry.err }
  end
  now.snapshots = snapshots
  return now
end

--- Waits until all have ended: true, or nil and the error when one has failed.
---@return true?
---@return epoch.Error?
function Handle:wait()
  if self.process then
    local reader = {
      read = function()
        if read_lines(self) then
          return true
        end
        return nil, "the snapshots are being pulled", "again"
      end,
      arm = function(_, loop) self.lines:arm(loop) end,
    }
    local over, err = self.task:await(reader, "read")
    local result
    if over then
      result, err = self.task:await(self.process, "wait")
    end
    if not result and err.kind == "cancelled" then
      return nil, err -- it goes on; who has waited does not
    end
    child_ended(self, result, err)
  end
  local failed, first = count(self).failed, nil
  for _, entry in ipairs(self.entries) do
    first = first or entry.err
  end
  if failed == 0 then
    return true
  end
  return errors.fail(first.kind, ("%d of %d snapshots could not be pulled; the first because: %s"):format(
    failed, #self.entries, tostring(first)), { cause = first })
end

--- Ends what is still going on.
function Handle:stop()
  if self.process then
    local result, err = self.task:await(self.process, "stop")
    read_lines(self)
    child_ended(self, result, err)
  end
end

-- The child, with its work on stdin.
local function spawn(task, interpreter, job)
  local script = ("package.path, package.cpath = %q, %q require(%q).run()"):format(package.path,
    package.cpath, CHILD)
  local p, message, code = task.loop:spawn {
    argv = { interpreter, "-e", script }, env = environment(), stdin = "pipe", stdout = "pipe",
    stderr = "inherit",
  }
  if not p then
    return errors.fail(code, message)
  end
  local moved, err = task:flow { source = core.bytes(job), sink = p:stdin() }
  if not moved then
    p:close()
    return nil, err
  end
  return p
end

--- Starts a process for these snapshots. `held` keeps the handle alive until it has ended.
---@param job table
---@param given { interpreter: string?, task: epoch.task?, on_end: function?, running: table }
---@return epoch.puller.prewarm?
---@return epoch.Error?
function M.start(job, given)
  local bytes = assert(json.encode(plain(job, "config")))
  local interpreter, err = find_interpreter(given.interpreter)
  local task, p
  if interpreter then
    task, err = given.task or nil, nil
    if not task then
      task, err = tasks.new { threads = 0 }
    end
  end
  if task then
    p, err = spawn(task, interpreter, bytes)
  end
  if not p then
    if task and not given.task then
      task:close()
    end
    return nil, err
  end
  local entries = {}
  for i, one in ipairs(job.names) do
    entries[i] = { name = one.name, tag = one.tag, state = "running" }
  end
  local handle = setmetatable({
    task = task, own = not given.task, process = p, lines = p:stdout(), rest = "", entries = entries,
    on_end = given.on_end, running = given.running,
  }, Handle)
  given.running[handle] = true
  return handle
end

return M
