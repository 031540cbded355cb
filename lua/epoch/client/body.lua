--- What is to be uploaded, in one form: a body (epoch.body) whose length is asked for, and which
--- is sent again where it can be.
local bodies = require "epoch.body"
local errors = require "epoch.errors"
local whole = require "epoch.whole"

local Body = {}
Body.__index = Body

local M = {}

local function fresh(self)
  local options = { dir = self.dir, limit = self.size }
  if bodies.is_reader(self.given) then -- it can be read once, what it gave again
    local spool, err = bodies.spool(self.task, self.given, options)
    self.spool, self.given = spool, function()
      if not spool then
        return nil, err
      end
      return spool:source()
    end
  end
  return bodies.source(self.task, self.given, options)
end

--- The source to send now. It belongs to whoever gets it.
---@return userdata?
---@return epoch.Error?
function Body:open()
  local source = self.held
  self.held = nil
  if not source then
    local err
    if self.used and not self.again then
      return errors.fail("unsupported", "what is to be uploaded can be read only once, and was")
    end
    source, err = fresh(self)
    if not source then
      return nil, err
    end
  end
  self.used = true
  return source
end

--- Its length, or false when nobody knows before it was read. Another length than the one
--- promised is a failure.
---@return integer|false|nil
---@return epoch.Error?
function Body:total()
  if not self.held then
    local source, err = self:open()
    if not source then
      return nil, err
    end
    self.held = source
  end
  local total = self.held:total()
  if total and self.size and total ~= self.size then
    return errors.fail("size_mismatch", ("what is to be uploaded has %s bytes, promised were %s"):format(
      whole.format(total), whole.format(self.size)))
  end
  return total or false
end

function Body:close()
  if self.held then
    self.held:close()
  elseif not self.used then
    bodies.drop(self.given) -- handed over, and nobody wanted it
  end
  if self.spool then
    self.spool:close()
  end
  self.held, self.spool = nil, nil
end

--- `given` is the caller's no longer.
---@param task epoch.task
---@param given function|userdata|table
---@param options { size: integer?, dir: string?, on_progress: fun(sent: integer)? }
function M.new(task, given, options)
  bodies.check(given, 3)
  return setmetatable({
    task = task, given = given, size = options.size, dir = options.dir, again = type(given) ~= "userdata",
    on_progress = options.on_progress,
  }, Body)
end

return M
