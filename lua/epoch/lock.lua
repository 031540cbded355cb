--- Waiting for a lock that another process, or another coroutine of this one, may have.
--
--     local held = assert(lock.take(task, "/var/lib/cocoon/snapshot/db/snapshots.lock"))
--     …
--     held:close()
--
-- The lock goes with the process, however that ends; the file stays, because others may be
-- waiting on it.
local core = require "epoch.core"
local errors = require "epoch.errors"
local random = require "epoch.random"

local M = {}

local WAIT = 60 -- seconds
local FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1

-- Longer each time, and a little different for each who waits.
local function pause(try)
  return math.min(FIRST_PAUSE * 2 ^ math.min(try, 10), LONGEST_PAUSE) * (0.5 + random.fraction() / 2)
end

--- The lock on a file, which is made when missing; waits up to `wait` seconds (60) for it.
---@param task epoch.task
---@param path string
---@param wait number?
---@return epoch.lock?
---@return epoch.Error?
function M.take(task, path, wait)
  local deadline, try = core.now() + (wait or WAIT), 0
  while true do
    local held, message, code = core.lock(path)
    if held then
      return held
    elseif code ~= "busy" then
      return errors.fail(code, message)
    elseif core.now() >= deadline then
      return errors.fail("busy", ("%s has been locked by another for %g seconds; is it stuck?"):format(
        path, wait or WAIT))
    end
    local slept, err = task:sleep(pause(try))
    if not slept then
      return nil, err
    end
    try = try + 1
  end
end

return M
