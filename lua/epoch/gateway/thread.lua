--- What a worker thread of nginx runs: a function of a module of epoch.gateway.jobs, on the store
-- that is served. Here everything may block.
--
-- Each Lua state of a thread opens the store once and keeps it, with its connections.
local core = require "epoch.core"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local tasks = require "epoch.task"

local M = {}

-- How nice the threads of a pool are. Hashing never ends as long as something is sent, and takes no
-- processor from the worker, which all requests wait for.
local NICE = { epoch_bytes = 10 }

local opened = {}

-- The store; a task of its own, whose work all happens in this thread.
local function home_of(store)
  local home = opened[store.name]
  if home then
    return home
  end
  local task, err = tasks.new { threads = 0 }
  if task then
    home, err = homes.open(task, store.name, store.options)
  end
  opened[store.name] = home
  return home, err
end

-- An error as plain values: what crosses from one Lua state to another has no metatable.
local function plain(err)
  err = errors.is(err) and err or errors.new("internal", tostring(err))
  return { kind = err.kind, message = err.message, op = err.op, status = err.status }
end

local function answer(ok, first, ...)
  if not ok then
    return false, plain(first)
  elseif first == nil and (...) ~= nil then
    return false, plain((...))
  end
  return true, first, ...
end

local function work(store, job, fn, ...)
  local home, err = home_of(store)
  if not home then
    return nil, err
  end
  local module = "epoch.gateway.jobs." .. job
  return require(module)[fn](home, ...)
end

--- Runs a job: true and what it answers, or false and the error.
---@param pool string as nginx calls it; its threads are no other pool's
---@param store { name: string, options: table? }
---@param job string the module's last name
---@param fn string
---@param ... any
function M.run(pool, store, job, fn, ...)
  core.nice(NICE[pool] or 0) -- where that is forbidden it is done without
  return answer(pcall(work, store, job, fn, ...))
end

return M
