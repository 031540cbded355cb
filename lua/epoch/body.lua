--- Bodies: bytes on their way into a home. A body is one of
--
--     a function      that answers a fresh source of the core, or one of the others, each time
--     a source        which can be read once
--     a string
--     a reader        any object with read(n), a piece, nil or "" at the end, or nil and what
--                     went wrong; and close()
local core = require "epoch.core"
local errors = require "epoch.errors"

local M = {}

local PIECE = 256 * 1024

--- Is it a reader?
---@param value any
---@return boolean
function M.is_reader(value)
  return type(value) == "table" and type(value.read) == "function"
end

--- Raises for what is none of the four.
---@param value any
---@param level integer? as for error()
function M.check(value, level)
  local kind = type(value)
  if kind ~= "function" and kind ~= "userdata" and kind ~= "string" and not M.is_reader(value) then
    error("a body is a source, a string, a function that answers one, or an object with read and "
      .. "close, not a " .. kind, (level or 1) + 1)
  end
end

--- Lets go of a body that is not needed.
---@param body any
function M.drop(body)
  if type(body) == "userdata" or type(body) == "table" and body.close then
    body:close()
  end
end

-- What a script says went wrong, in whatever way it does.
local function failure(why, code, doing)
  return errors.is(why) and why or errors.from_core(tostring(why), code or "io", doing)
end

local function write(task, sink, piece)
  local at = 1
  while at <= #piece do
    local taken, err = task:await(sink, "write", at == 1 and piece or piece:sub(at))
    if not taken then
      return nil, err
    end
    at = at + taken
  end
  return true
end

--- Feeds what a reader gives into a sink, and finishes that. The third answer is true when it
--- was the reader that failed.
---@param task epoch.task
---@param reader table
---@param sink epoch.sink
---@return true?
---@return epoch.Error?
---@return true? reading
function M.feed(task, reader, sink)
  while true do
    local piece, why, code = reader:read(PIECE)
    if piece == nil and why ~= nil then
      return nil, failure(why, code, "read the body"), true
    elseif not piece or piece == "" then
      return task:await(sink, "finish")
    end
    local ok, err = write(task, sink, piece)
    if not ok then
      return nil, err
    end
  end
end

--- Keeps what a reader gives, to be sent as often as that takes; uses the reader up.
---@param task epoch.task
---@param reader table
---@param options { dir: string?, limit: integer? }? of core.spool
---@return epoch.spool?
---@return epoch.Error?
function M.spool(task, reader, options)
  local spool, message, code = core.spool(options)
  if not spool then
    M.drop(reader)
    return errors.fail(code, message)
  end
  local sink = spool:sink()
  local ok, err = M.feed(task, reader, sink)
  sink:close()
  M.drop(reader)
  if not ok then
    spool:close()
    return nil, err
  end
  return spool
end

--- A source of the core for a body, which is used up.
---@param task epoch.task
---@param body any
---@param options { dir: string?, limit: integer? }? of core.spool
---@return epoch.source?
---@return epoch.Error?
function M.source(task, body, options)
  if type(body) == "function" then
    local why, code
    body, why, code = body()
    if body == nil then
      return nil, failure(why or "there is none", code, "open the body")
    end
  end
  M.check(body, 2)
  if type(body) == "string" then
    return core.bytes(body)
  elseif not M.is_reader(body) then
    return body
  end
  local spool, err = M.spool(task, body, options)
  if not spool then
    return nil, err
  end
  local source, message, code = spool:source()
  spool:close()
  if not source then
    return errors.fail(code, message)
  end
  return source
end

return M
