--- Work that takes time, in a worker thread of nginx; the request waits, the worker does not.
--
--     local digest, err = threads.call("store", "manifests", "put", name, tag, bytes)
--
-- runs epoch.gateway.jobs.manifests.put(home, name, tag, bytes) on the store that is served. Values
-- go over as nil, booleans, numbers, strings, and tables of these. There are two pools, so that what
-- is quick does not wait for what is not: "store" for work with the store, "bytes" for hashing and
-- moving. "moves" are the calls of "bytes" that take as long as a bucket does, and never have all of
-- its threads. Only in the phases that answer a request.
--
-- nginx has a Lua state for each call that is under way, and no more than it was told: so only so
-- many calls are, and the others wait for their turn; not where a bucket has stalled: who waited there
-- would wait in vain. A request that ends while it has a call under way (its client went away, or nginx
-- could not spool its body) hands back its turn in `release`.
local errors = require "epoch.errors"
local ngx = require "ngx"
local semaphore = require "ngx.semaphore"
local store = require "epoch.gateway.store"

local unpack = rawget(_G, "unpack") or rawget(table, "unpack")

local M = {}

local POOL = { store = "epoch_store", bytes = "epoch_bytes", moves = "epoch_bytes" }

-- Of which each call needs a turn, in this order.
local TURNS = { store = { "store" }, bytes = { "bytes" }, moves = { "moves", "bytes" } }

--- Calls of a pool that a worker may have under way. Together they are not more than the Lua states
--- that nginx keeps by default (lua_worker_thread_vm_pool_size 10).
M.LIMIT = { store = 4, bytes = 4, moves = 3 }

-- Seconds that a call waits for its turn, and after which it looks whether that makes sense.
local PATIENCE, LOOK = 60, 1
-- All turns of "store" are taken, and for so many seconds none of them has ended: it stalls.
local STALLED = 3
-- A call of a request that has ended may be under way a little longer than its turn.
local NO_STATE, SECOND_TRY = "no available Lua vm", 0.01
-- While a worker is to stop, it ends as soon as it waits for no timer.
local TICK = 0.1

local turns, ended

local function turn_of(name)
  if not turns then -- by each worker for itself
    turns, ended = {}, {}
    for each, limit in pairs(M.LIMIT) do
      turns[each], ended[each] = semaphore.new(limit), ngx.now()
    end
  end
  return turns[name]
end

-- How many turns each request has: those with none are not in it. By the connection's own number and
-- which of its requests it is, as what Lua knows of a request is lost where nginx leads it elsewhere.
local held = {}

local function request_key()
  return ngx.var.connection .. ":" .. ngx.var.connection_requests
end

local function post(name)
  ended[name] = ngx.now()
  turn_of(name):post()
end

-- Notes that this request has got a turn.
local function hold(name)
  local key = request_key()
  held[key] = held[key] or {}
  held[key][name] = (held[key][name] or 0) + 1
end

local function give(name)
  local key = request_key()
  local mine = held[key]
  mine[name] = mine[name] > 1 and mine[name] - 1 or nil
  if not next(mine) then
    held[key] = nil
  end
  post(name)
end

local function is_stalled(name, turn)
  return name == "store" and not store.root() and turn:count() <= 0 and ngx.now() - ended[name] > STALLED
end

local function take_one(name, patience)
  local turn = turn_of(name)
  local deadline = ngx.now() + patience
  if turn:count() > 0 then
    ended[name] = ngx.now()
  end
  while not is_stalled(name, turn) and ngx.now() < deadline do
    if turn:wait(math.min(LOOK, patience)) then
      hold(name)
      return true
    end
  end
  return errors.fail("busy", "the registry has too much to do; try again later")
end

local function take(pool, patience)
  for i, name in ipairs(TURNS[pool]) do
    local ok, err = take_one(name, patience or PATIENCE)
    if not ok then
      for earlier = 1, i - 1 do
        give(TURNS[pool][earlier])
      end
      return nil, err
    end
  end
  return true
end

--- Hands back the turns of a request that has ended: for log_by_lua.
function M.release()
  if not next(held) then
    return
  end
  local key = request_key()
  local mine = held[key] or {}
  held[key] = nil
  for name, n in pairs(mine) do
    for _ = 1, n do
      post(name)
    end
  end
end

--- How much this worker has to do: calls under way and calls that wait, for each pool.
---@return table<string, { busy: integer, waiting: integer }>
function M.load()
  local all = {}
  for name, limit in pairs(M.LIMIT) do
    local free = turn_of(name):count()
    all[name] = { busy = limit - math.max(free, 0), waiting = math.max(-free, 0) }
  end
  return all
end

local function tick()
  while true do
    ngx.sleep(TICK)
  end
end

-- ngx.run_worker_thread, as soon as there is a Lua state.
local function run(pool, ...)
  local deadline = ngx.now() + PATIENCE
  while true do
    local answered = { ngx.run_worker_thread(pool, "epoch.gateway.thread", "run", pool, store.spec(), ...) }
    if answered[1] or answered[2] ~= NO_STATE or ngx.now() > deadline then
      return answered
    end
    ngx.sleep(SECOND_TRY)
  end
end

-- What the store refuses to the gateway is no answer to who has asked the gateway.
local REFUSED = { denied = true, unauthorized = true }

local function answer(started, ok, first, ...)
  if not started then
    return errors.fail("internal", "a thread of nginx: " .. tostring(ok))
  elseif not ok then
    local kind = REFUSED[first.kind] and (store.root() and "internal" or "origin") or first.kind
    return errors.fail(kind, first.message, { op = first.op, status = first.status })
  end
  return first, ...
end

--- What a job answers; nil and the error when it fails.
---@param pool "store"|"bytes"|"moves"
---@param job string
---@param fn string
---@param ... any
function M.call(pool, job, fn, ...)
  local ok, err = take(pool)
  if not ok then
    return nil, err
  end
  local ticking = ngx.thread.spawn(tick)
  local answered = run(POOL[pool], job, fn, ...)
  ngx.thread.kill(ticking)
  for _, name in ipairs(TURNS[pool]) do
    give(name)
  end
  return answer(answered[1], answered[2], answered[3], answered[4], answered[5])
end

--- The same, but waits only so long: kind "timeout" after that. The thread finishes what it does, and
--- nobody hears of it; the turn is handed back with the request.
---@param seconds number
---@param pool "store"|"bytes"
---@param job string
---@param fn string
---@param ... any
function M.call_for(seconds, pool, job, fn, ...)
  local words, n = { ... }, select("#", ...)
  local deadline = ngx.now() + seconds
  local ok, err = take(pool, seconds)
  if not ok then
    return nil, err
  end
  local done, answered = semaphore.new(), nil
  local running = ngx.thread.spawn(function()
    answered = run(POOL[pool], job, fn, unpack(words, 1, n))
    done:post()
  end)
  if not done:wait(math.max(0, deadline - ngx.now())) then
    ngx.thread.kill(running)
    return errors.fail("timeout", ("%s.%s takes longer than %g seconds"):format(job, fn, seconds))
  end
  give(pool)
  return answer(answered[1], answered[2], answered[3], answered[4], answered[5])
end

return M
