--- What is to be uploaded, in one form: a function that answers a fresh source each time, a
--- source that can be sent once, or an object of a script's with read(n) and close().
local core = require "epoch.core"
local errors = require "epoch.errors"
local whole = require "epoch.whole"

local Body = {}
Body.__index = Body

local M = {}

local PIECE = 256 * 1024

-- A script's reader goes through a spool: its bytes can then be sent again.
local function fill(self, reader)
  local spool = core.spool { dir = self.dir, limit = self.size }
  local sink = spool:sink()
  local ok, err
  repeat
    local piece, why = reader:read(PIECE)
    if piece == nil and why ~= nil then
      err = errors.is(why) and why or errors.new("io", "reading what is to be uploaded: " .. tostring(why))
    elseif piece and piece ~= "" then
      ok, err = self:write(sink, piece)
    end
  until err or not piece or piece == ""
  if not err then
    ok, err = self.task:await(sink, "finish")
  end
  sink:close()
  if not ok and err then
    spool:close()
    return nil, err
  end
  return spool
end

function Body:write(sink, piece)
  local at = 1
  while at <= #piece do
    local taken, err = self.task:await(sink, "write", at == 1 and piece or piece:sub(at))
    if not taken then
      return nil, err
    end
    at = at + taken
  end
  return true
end

local function is_reader(value)
  return type(value) == "table" and type(value.read) == "function"
end

local function misuse(value)
  error("a body is a source, a function that answers one, or an object with read and close, not a "
    .. type(value), 0)
end

local function fresh(self)
  if self.spool then
    return self.spool:source()
  end
  local made = self.given
  if type(made) == "function" then
    local why
    made, why = made()
    if made == nil then
      return nil, errors.is(why) and why or errors.new("io", "opening what is to be uploaded: " .. tostring(why))
    end
  end
  if is_reader(made) then
    local spool, err = fill(self, made)
    if made.close then
      made:close()
    end
    if not spool then
      return nil, err
    elseif type(self.given) == "function" then -- it makes another one the next time
      local source = spool:source()
      spool:close()
      return source
    end
    self.spool = spool
    return spool:source()
  elseif type(made) ~= "userdata" then
    misuse(made)
  end
  return made
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
  elseif not self.used and type(self.given) ~= "function" and self.given.close then
    self.given:close() -- handed over, and nobody wanted it
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
  local kind = type(given)
  if not (kind == "function" or kind == "userdata" or is_reader(given)) then
    misuse(given)
  end
  return setmetatable({
    task = task, given = given, size = options.size, dir = options.dir, again = kind ~= "userdata",
    on_progress = options.on_progress,
  }, Body)
end

return M
