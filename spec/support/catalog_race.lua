--- Two processes that start at one barrier and each put 50 repositories into one home, round after
--- round, each round a new home. Some of their conditional puts are answered with a conflict that
--- was none: before the put, or after it, as when an answer was lost and the put was tried again.

local children = require "spec.support.children"
local core = require "epoch.core"
local work = require "spec.support.work"

local M = {}

M.EACH = 50

local SCRIPT = [[
local dir, who, rounds, form = %q, tonumber(arg[1]), %d, %q
local core, errors = require "epoch.core", require "epoch.errors"
local task = assert(require "epoch.task".new())
local locate = require "epoch.locate"
local seed = who

local function one_of(n)
  seed = (seed * 69069 + 12345) %% 4294967296
  return math.floor(seed / 65536) %% n == 0
end

local injected = 0
local function conflicting(store)
  local real = getmetatable(store).__index
  function store:put(key, size, body, given)
    local before, after = one_of(6), one_of(10)
    if key ~= "catalog.json" or not (before or after) then
      return real.put(self, key, size, body, given)
    end
    injected = injected + 1
    if not before then
      local etag, err = real.put(self, key, size, body, given)
      if not etag then
        return nil, err
      end
    end
    return errors.fail("conflict", "injected")
  end
end

for round = 1, rounds do
  local home = assert(locate.open_home(task, (form:gsub("ROUND", tostring(round)))))
  conflicting(home.store)
  assert(io.open(("%%s/%%d.ready.%%d"):format(dir, round, who), "w")):close()
  while not core.stat(("%%s/%%d.go"):format(dir, round)) do
    assert(task:sleep(0.001))
  end
  for i = 1, %d do
    assert(home:put_manifest(("vm%%02d-%%d"):format(i, who), "v1", '{"schemaVersion":2,"layers":[]}'))
  end
  home:close()
end
assert(injected > rounds * 5, "too few conflicts")
task:close()
]]

-- Lets both go on when both have come.
local function barrier(dir, round, processes)
  local came = children.eventually(function()
    for who in ipairs(processes) do
      if not core.stat(("%s/%d.ready.%d"):format(dir, round, who)) then
        return false
      end
    end
    return true
  end, 30)
  work.write_file(("%s/%d.go"):format(dir, round), "")
  return came
end

--- Runs it; `form` is the name of the homes, with ROUND where they differ.
---@param task epoch.task
---@param dir string for the barrier's files
---@param form string
---@param rounds integer
---@param settings table<string, string>? variables of the environment that the homes need
function M.run(task, dir, form, rounds, settings)
  local path = dir .. "/script.lua"
  work.write_file(path, SCRIPT:format(dir, rounds, form, M.EACH))
  local processes, came = {}, true
  local env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
  for name, value in pairs(settings or {}) do
    env[name] = value
  end
  for who = 1, 2 do
    processes[who] = assert(task.loop:spawn { argv = { children.lua, path, tostring(who) }, env = env })
  end
  for round = 1, rounds do
    came = came and barrier(dir, round, processes)
  end
  for _, process in ipairs(processes) do
    if not came then
      process:kill("TERM")
    end
    local result = assert(task:await(process, "wait"))
    process:close()
    if result.code ~= 0 or result.stderr ~= "" or not came then
      error(("a process ended with %s: %s"):format(tostring(result.code), result.stderr), 0)
    end
  end
end

return M
