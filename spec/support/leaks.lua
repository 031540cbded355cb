--- What a test leaves behind, found after each test and each file.
--
-- `install` (done by spec/support/helper.lua) checks every test: core.live() is what it was
-- and there is no descriptor, thread or child more than before its first before_each; at
-- the end of a file, after its teardown, core.live() is zero throughout. `watch`, called
-- inside a describe, does the same where busted runs without that helper.

local busted = require("busted")
local core = require("epoch.core")
local lfs = require("lfs")

local M = {}

local GRACE = 1 -- seconds for threads, children and what they hold to vanish
local PAUSE = 0.005

local installed = false

local function contents(path)
  local f = io.open(path, "rb")
  if not f then
    return nil -- it has gone since it was listed
  end
  local text = f:read("*a")
  f:close()
  return text
end

local function words(path)
  local text = contents(path)
  return text and text:gsub("%z", " "):gsub("%s+$", "")
end

local function self()
  return lfs.symlinkattributes("/proc/self", "target")
end

-- The listing's own descriptor is closed before any link is read, so it is not there then.
local function descriptors()
  local names, found = {}, {}
  for name in lfs.dir("/proc/self/fd") do
    names[#names + 1] = name
  end
  for _, name in ipairs(names) do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if name:find("^%d+$") and target then
      found[name] = ("descriptor %s: %s"):format(name, target)
    end
  end
  return found
end

local function threads()
  local found = {}
  for id in lfs.dir("/proc/self/task") do
    if id:find("^%d+$") then
      local name = words(("/proc/self/task/%s/comm"):format(id))
      if name then
        found[id] = ("thread %s: %s"):format(id, name)
      end
    end
  end
  return found
end

-- Reads every process: /proc/…/children is missing from some kernels.
local function children()
  local found, parent = {}, self()
  for id in lfs.dir("/proc") do
    local stat = id:find("^%d+$") and contents(("/proc/%s/stat"):format(id))
    local state, ppid = (stat or ""):match("^.*%) (%S) (%d+)")
    if ppid == parent then
      local command = words(("/proc/%s/cmdline"):format(id))
      found[id] = ("child %s (state %s): %s"):format(
        id, state, command ~= "" and command or stat:match("%b()") or "?")
    end
  end
  return found
end

local function objects()
  local found = {}
  for kind, n in pairs(core.live()) do
    if n ~= 0 then
      found[kind] = n
    end
  end
  return found
end

-- Calls whose arguments leave nothing of what the stack held before beyond its top.
local function wipe_stack(depth, ...)
  local n = select("#", ...)
  if depth > 0 then
    n = n + wipe_stack(depth - 1, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)
  end
  return n
end

-- What keeps a value alive though no program can reach it: on LuaJIT, machine code holds the
-- closures that it was made from, and old stack slots their last values.
local function forget()
  if type(jit) == "table" then
    jit.flush()
  end
  wipe_stack(50)
  collectgarbage()
  collectgarbage() -- what the first one's finalizers have let go
end

local DESCRIPTORS = 1

local function systems()
  return { descriptors(), threads(), children() }
end

local function snapshot()
  collectgarbage()
  return { objects = objects(), systems = systems() }
end

local function left_since(before)
  local left = {}
  for kind, n in pairs(objects()) do
    local was = before.objects[kind] or 0
    if n > was then
      left[#left + 1] = ("core.live().%s is %d, was %d"):format(kind, n, was)
    end
  end
  for i, now in ipairs(systems()) do
    for key, text in pairs(now) do
      local was = before.systems[i][key]
      if not was or (i == DESCRIPTORS and was ~= text) then -- a number may be used again
        left[#left + 1] = text
      end
    end
  end
  table.sort(left)
  return left
end

local function check(before, what)
  collectgarbage()
  local deadline = busted.monotime() + GRACE
  local left = left_since(before)
  while #left > 0 and busted.monotime() < deadline do
    busted.sleep(PAUSE)
    forget()
    left = left_since(before)
  end
  if #left > 0 then
    error(("%s left behind:\n  %s"):format(what, table.concat(left, "\n  ")), 0)
  end
end

local function around_each(name)
  local before
  busted.before_each(function()
    before = snapshot()
  end)
  busted.after_each(function()
    check(before, name())
  end)
end

--- Inside a describe: its tests are checked, unless all tests are already.
function M.watch()
  if not installed then
    around_each(function()
      return "a test"
    end)
  end
end

--- From busted's helper: every test of every file is checked.
function M.install()
  installed = true
  local current, at_file = "a test", nil
  busted.subscribe({ "test", "start" }, function(element)
    current = "the test '" .. element.name .. "'"
    return nil, true
  end)
  around_each(function()
    return current
  end)
  busted.subscribe({ "file", "start" }, function()
    at_file = snapshot()
    return nil, true
  end)
  busted.subscribe({ "file", "end" }, function(element)
    check(at_file, "the file " .. element.name)
    return nil, true
  end)
end

return M
