--- What is to be stored, in a form that can be sent in parts and again: a source that can be
--- sliced, which a file, a spool and a string are. Whatever else comes goes through a spool.
local bodies = require "epoch.body"
local core = require "epoch.core"
local errors = require "epoch.errors"

local Content = {}
Content.__index = Content

local M = {}

local function can_slice(source)
  local part, message, code = source:slice(0, 0)
  if part then
    part:close()
    return true
  elseif code == "unsupported" then
    return false
  end
  return nil, errors.from_core(message, code)
end

-- Takes a source that can be read only once into a spool: a source of that.
local function kept(self, source)
  local spool = core.spool { dir = self.dir }
  local moved, err = self.task:flow { source = source, sink = spool:sink(), size = self.size, what = self.what }
  local again, message, code
  if moved then
    again, message, code = spool:source()
    err = not again and errors.from_core(message, code) or nil
  end
  spool:close() -- its sources keep what is in it
  return again, err
end

--- `body` as epoch.body says; it is the caller's no longer.
---@param task epoch.task
---@param body any
---@param options { size: integer, what: string, dir: string? } `what`: for messages
---@return table?
---@return epoch.Error?
function M.open(task, body, options)
  local self = setmetatable({ task = task, size = options.size, what = options.what, dir = options.dir }, Content)
  local source, err = bodies.source(task, body, { dir = self.dir, limit = self.size })
  local sliced
  if source then
    sliced, err = can_slice(source)
    if sliced == false then
      source, err = kept(self, source)
    elseif sliced == nil then
      source:close()
      return nil, err
    end
  end
  if not source then
    return nil, err
  end
  self.source = source
  local total = source:total()
  if total ~= self.size then
    self:close()
    return errors.fail("size_mismatch", ("%s has %.0f bytes, promised were %.0f"):format(self.what, total, self.size))
  end
  return self
end

--- A part, as a source of whoever gets it.
---@param offset integer
---@param length integer
---@return epoch.source?
---@return epoch.Error?
function Content:part(offset, length)
  local part, message, code = self.source:slice(offset, length)
  if not part then
    return errors.fail(code, message)
  end
  return part
end

--- The digests of a part, by algorithm.
---@param offset integer
---@param length integer
---@param algorithms epoch.algorithm[]
---@return table<epoch.algorithm, epoch.digest>?
---@return epoch.Error?
function Content:digests(offset, length, algorithms)
  local part, err = self:part(offset, length)
  local hashed
  if part then
    hashed, err = self.task:flow { source = part, hash = algorithms, size = length, what = self.what }
  end
  return hashed and hashed.digests, err
end

function Content:close()
  self.source:close()
end

return M
