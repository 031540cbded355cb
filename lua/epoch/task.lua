--- One job: a loop, and everything in it that may have to wait.
--
-- A task is handed down to whatever does I/O. Its `await` answers what the awaited method
-- answers, with failures as error objects; it blocks the thread, or lets the other branches
-- of the same task go on. Branches (`all`) are coroutines over the one loop: several layers
-- can be on their way at once, and there is still one owner who waits. What has to be looked
-- after meanwhile (a connection that may break) is attended to whenever somebody waits.

local attendants = require "epoch.attendants"
local core = require "epoch.core"
local await = require "epoch.await"
local errors = require "epoch.errors"

local Task = {}
Task.__index = Task

local M = {}

---@class epoch.task
---@field loop userdata

--- A new task with a loop of its own, or on the one given, which stays its owner's.
---@param options { loop: userdata?, threads: integer?, wait: function? }?
---@return epoch.task
function M.new(options)
  options = options or {}
  local loop = options.loop
  if not loop then
    local made, message, code = core.loop { threads = options.threads }
    if not made then
      return errors.fail(code, message)
    end
    loop = made
  end
  local wait = options.wait or await.block
  local self = setmetatable({ loop = loop, own = not options.loop, wait = wait, branches = {} }, Task)
  self.attendants = attendants.new(self.branches)
  -- In a branch, waiting means that the others have their turn.
  self.ask = await.by(function()
    if self.branches[coroutine.running() or self] then
      return coroutine.yield()
    end
    return self:idle()
  end)
  return self
end

--- Runs `use(task)` with the task given, or with one for this alone.
---@param task epoch.task?
---@param use fun(task: epoch.task): any, any
function M.with(task, use)
  if task then
    return use(task)
  end
  local own, err = M.new()
  if not own then
    return nil, err
  end
  local ok, value, why = pcall(use, own)
  own:close()
  if not ok then
    error(value, 0)
  end
  return value, why
end

-- nil, message, code as nil, error.
local function result(first, ...)
  if first == nil then
    local message, code = ...
    if code then
      return errors.fail(code, message)
    end
  end
  return first, ...
end

--- What `object:method(…)` answers once it can be answered; failures as error objects.
function Task:await(object, method, ...)
  return result(self.ask(self.loop, object, method, ...))
end

--- The same for so many seconds at most: false when they are over.
---@param seconds number
---@param object any
---@param method string
function Task:await_for(seconds, object, method, ...)
  local timer = self.loop:timer(seconds)
  local either = {}
  function either.arm(_, loop)
    if object.arm then
      object:arm(loop)
    end
  end
  function either.ask(_, ...)
    local value, message, code = object[method](object, ...)
    if value ~= nil or code ~= "again" then
      return value, message, code
    end
    local over
    over, message, code = timer:wait()
    if over then
      return false
    end
    return nil, message, code
  end
  local value, err = self:await(either, "ask", ...)
  timer:close()
  return value, err
end

--- The same for a method that takes its time: `on_progress` is told, now and then, how far it
--- is, that is what `object:counter()` answers.
---@param object any one that wakes its loop itself
---@param method string
---@param counter string
---@param on_progress fun(bytes: integer)?
function Task:watch(object, method, counter, on_progress)
  return self:await(on_progress and {
    [method] = function()
      on_progress(object[counter](object))
      return object[method](object)
    end,
  } or object, method)
end

--- Moves bytes as loop:flow does: its result | nil, error. `on_progress(bytes)` is told how
--- far it is, now and then.
---@param options table
---@param on_progress fun(bytes: integer)?
function Task:flow(options, on_progress)
  local flow, message, code = self.loop:flow(options)
  if not flow then
    return errors.fail(code, message)
  end
  local moved, err = self:watch(flow, "result", "moved", on_progress)
  flow:close()
  return moved, err
end

--- Waits.
---@param seconds number
function Task:sleep(seconds)
  local timer = self.loop:timer(seconds)
  local ok, err = self:await(timer, "wait")
  timer:close()
  return ok, err
end

-- Waits for the loop, after those who attend have done what can be done now.
function Task:idle()
  self.attendants:turn()
  return self.wait(self.loop)
end

--- Runs `work` beside whatever is awaited in the task. It has a turn whenever somebody waits;
--- where it waits itself it sees "cancelled", once, when `wanted` no longer answers true, or
--- the task ends.
---@param work fun()
---@param wanted fun(): boolean
function Task:attend(work, wanted)
  self.attendants:add(work, wanted)
end

local function resume(branch, ...)
  local answer = { coroutine.resume(branch.thread, ...) }
  if coroutine.status(branch.thread) == "dead" then
    branch.done = true
    if not answer[1] then
      branch.raised = answer[2]
    else
      branch.value, branch.err = answer[2], answer[3]
    end
  end
end

-- Takes what a branch that has ended answered out of the running ones.
local function collect(self, branches, i, results)
  local branch = branches[i]
  table.remove(branches, i)
  self.branches[branch.thread] = nil
  results[branch.at] = branch.value
  return branch.raised ~= nil or (branch.value == nil and branch.err ~= nil)
end

-- Lets every branch that waits ask again; one that is told to give up is told once, so that
-- it can wait again while it cleans up.
local function wake(branches, given_up, ...)
  for _, branch in ipairs(branches) do
    if not branch.done then
      if given_up and not branch.told then
        branch.told = true
        resume(branch, nil, "given up, because another part failed", "cancelled")
      else
        branch.told = branch.told or (...) == nil -- the loop was cancelled: that is being told
        resume(branch, ...)
      end
    end
  end
end

local function untold(branches)
  for _, branch in ipairs(branches) do
    if not branch.told then
      return true
    end
  end
  return false
end

-- Waits for the loop; a branch that has branches of its own lets its elders wait.
local function turn(self)
  if self.branches[coroutine.running() or self] then
    return coroutine.yield()
  end
  return self:idle()
end

--- Runs functions side by side, at most `limit` at once, and answers an array of what they
--- answered. When one answers nil, error (or raises), those that run see "cancelled" where
--- they wait, once; no other is started; and that failure is what `all` answers (or raises).
---@param functions (fun(): any, table?)[]
---@param limit integer?
---@return any[]?
---@return table? error
function Task:all(functions, limit)
  local branches, results, started, failed = {}, {}, 0, nil
  while true do
    while not failed and started < #functions and #branches < (limit or #functions) do
      started = started + 1
      local branch = { thread = coroutine.create(functions[started]), at = started }
      self.branches[branch.thread] = true
      branches[#branches + 1] = branch
      resume(branch)
    end
    local ended = false
    for i = #branches, 1, -1 do
      local branch = branches[i]
      if branch.done then
        ended = true
        if collect(self, branches, i, results) and not failed then
          failed = branch
        end
      end
    end
    if #branches == 0 and (failed or started == #functions) then
      break
    elseif failed and untold(branches) then
      wake(branches, true, true)
    elseif not ended then
      wake(branches, failed, turn(self))
    end
  end
  if not failed then
    return results
  elseif failed.raised ~= nil then
    error(failed.raised, 0)
  end
  return nil, failed.err
end

--- Runs `use(item)` for every item of a list, at most `limit` at once, as `all` does; nothing is
--- kept of what they answer. A signal is noticed in between, also where nothing has to be waited
--- for.
---@param items any[]
---@param limit integer
---@param use fun(item: any): any, table?
---@return true?
---@return table? error
function Task:each(items, limit, use)
  local at, workers = 0, {}
  for i = 1, math.min(limit, #items) do
    workers[i] = function()
      while at < #items do
        at = at + 1
        local item = items[at]
        local ok, err = self:sleep(0)
        if ok then
          ok, err = use(item)
        end
        if ok == nil and err ~= nil then
          return nil, err
        end
      end
      return true
    end
  end
  local done, err = self:all(workers)
  return done and true, err
end

--- Ends the loop, if it is the task's own, and with it what still runs in it.
function Task:close()
  self.attendants:close()
  if self.own then
    self.loop:close()
  end
end

return M
