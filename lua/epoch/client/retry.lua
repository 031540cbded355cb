--- When to try again, and after how long: what failed comes in, seconds come out.
--
-- Tried again is what may be a matter of luck: connections that fail or break, 408, 429, 500,
-- 502, 503 and 504. Never what stays as it is: certificates, other answers from 400 on, 501
-- and 505.
local calendar = require "epoch.calendar"
local errors = require "epoch.errors"
local random = require "epoch.random"

local M = {}

--- How often a thing is tried altogether, when nothing else is said.
M.TRIES = 5
--- Seconds before the second try; each further one waits twice as long, up to CAP.
M.BASE = 0.25
M.CAP = 30
--- How much of a wait is left to chance, either way: who failed at one time does not come back at one time.
M.SPREAD = 0.1
--- The longest wait that a server may ask for.
M.LONGEST = 60

local STATUS = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }

--- May this failure be gone a little later?
---@param err epoch.Error
---@return boolean
function M.worth(err)
  if err.status then
    return STATUS[err.status] or false
  end
  return errors.retryable(err.kind)
end

--- The seconds a Retry-After asks for, or nil for what is none.
---@param value string?
---@param now number? seconds since 1970; the system's clock when not given
---@return number?
function M.after(value, now)
  if not value then
    return nil
  elseif value:find("^%d+$") then
    return tonumber(value:sub(1, 15))
  end
  local at = calendar.http(value)
  return at and math.max(0, at - (now or os.time()))
end

--- Seconds to wait before the try after number `attempt`; or nil and the error to give up with.
---@param attempt integer how many tries there were
---@param err epoch.Error what the last one came to
---@param after number? what Retry-After asked for
---@param options { tries: integer?, spread: number?, random: (fun(): number)? }? `random` answers 0 to 1
---@return number?
---@return epoch.Error?
function M.delay(attempt, err, after, options)
  local tries = options and options.tries or M.TRIES
  if not M.worth(err) or attempt >= tries then
    return nil, err
  elseif after and after > M.LONGEST then
    return errors.fail(err.kind, ("%s; the server asks to wait %.0f seconds, more than %d are not waited")
      :format(err.message, after, M.LONGEST), { status = err.status, cause = err })
  elseif after then
    return after
  end
  local spread, fraction = options and options.spread or M.SPREAD, options and options.random or random.fraction
  return math.min(M.CAP, M.BASE * 2 ^ (attempt - 1) * (1 - spread + 2 * spread * fraction()))
end

return M
