--- Signals, one after the other, for a program that goes on after them.
--
-- A loop is cancelled by one signal and then is done with them, so each signal takes a loop. Between
-- two of them nothing gets lost: whoever opens this has blocked the signals already (epoch.cli.job).
local core = require "epoch.core"
local errors = require "epoch.errors"

local Signals = {}
Signals.__index = Signals

local M = {}

local function listen(self)
  local loop, message, code = core.loop { threads = 0 }
  if loop then
    local caught
    caught, message, code = loop:signals(self.names[1], self.names[2], self.names[3], self.names[4])
    if not caught then
      loop:close()
      loop = nil
    end
  end
  if not loop then
    return errors.fail(code, message)
  end
  self.loop, self.readable = loop, core.fd_source(loop:pollfd())
  return true
end

local function close(self)
  if self.loop then
    self.readable:close()
    self.loop:close()
    self.loop, self.readable = nil, nil
  end
end

--- Listens for up to four signals.
---@param names string[] "TERM", …
function M.open(names)
  local self = setmetatable({ names = names }, Signals)
  local ok, err = listen(self)
  return ok and self, err
end

--- Wakes a loop when one has come.
function Signals:arm(loop)
  self.readable:arm(loop)
end

--- The next one: its name, or "again".
---@return string?
function Signals:next()
  self.loop:step()
  local name = self.loop:cancelled()
  if not name then
    return nil, "no signal has come", "again"
  end
  close(self)
  local ok, err = listen(self)
  if not ok then
    return nil, tostring(err), err.kind
  end
  return name:match("^SIG(.*)$")
end

Signals.close = close

return M
