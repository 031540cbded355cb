--- nginx as a child: started, waited for, stopped.
local await = require "epoch.await"
local core = require "epoch.core"
local errors = require "epoch.errors"
local signals = require "epoch.cli.serve.signals"

local Server = {}
Server.__index = Server

local M = {}

local READY = 20 -- seconds until a start is taken to hang
local PAUSE = 0.005
local SAME_WISH = 0.5 -- seconds in which one who stops a program may say so twice, as timeout(1) does
local GRACE = 5 -- seconds for what is told to stop at once
local NUMBERS = { INT = 2, TERM = 15 }

--- Starts it: the caller's signals are blocked already (epoch.cli.job).
---@param options { path: string, directory: string, environment: table<string, string> }
---@return table?
---@return epoch.Error?
function M.start(options)
  local loop, message, code = core.loop { threads = 0 }
  if not loop then
    return errors.fail(code, message)
  end
  local self = setmetatable({ loop = loop, pid_file = options.directory .. "/nginx.pid" }, Server)
  local err
  self.signals, err = signals.open { "TERM", "INT", "HUP", "QUIT" }
  if self.signals then
    self.process, message, code = loop:spawn {
      argv = { options.path, "-p", options.directory, "-c", options.directory .. "/nginx.conf", "-e", "stderr" },
      env = options.environment, stdout = "null", grace = GRACE,
    }
    err = not self.process and errors.from_core(message, code) or nil
  end
  if err then
    self:close()
    return nil, err
  end
  return self
end

-- The next thing that happens: what the child's end was, or the name of a signal.
local function happening(self)
  local ended, message, code = self.process:wait()
  if ended or code ~= "again" then
    return ended, message, code
  end
  return self.signals:next()
end

-- For so many seconds (nil: however long that takes); false when they are over.
local function wait(self, seconds)
  local timer = seconds and self.loop:timer(seconds)
  local answer, message, code = await(self.loop, {
    arm = function(_, loop)
      self.signals:arm(loop)
    end,
    ask = function()
      local what, why, kind = happening(self)
      if what == nil and kind == "again" and timer and timer:wait() then
        return false
      end
      return what, why, kind
    end,
  }, "ask")
  if timer then
    timer:close()
  end
  if answer == nil then
    return errors.fail(code, message)
  end
  return answer
end

-- What it said of its end: the last line that is of weight, without time and number.
local function last_words(ended)
  local found
  for line in ended.stderr:gmatch("[^\n]+") do
    local level, words = line:match("^%S+ %S+ %[(%a+)%] %d+#%d+: (.*)$")
    if level == "emerg" or level == "alert" or level == "error" then
      found = words
    end
  end
  found = found or ended.stderr:match("([^\n]+)\n*$")
  return found and ": " .. found or ""
end

local function gone(ended)
  return errors.fail("process", ("nginx has ended (%s)%s"):format(
    ended.code and "exit code " .. ended.code or "SIG" .. ended.signal, last_words(ended)))
end

-- What to do about what keeps nginx from starting.
local CURES = {
  ["bind%(%).*Permission denied"] = "take a port above 1023, or run it as root",
  ["bind%(%).*Cannot assign requested address"] = "is this an address of this machine?",
  ["host not found in"] = "give an address of this machine",
  ["cannot load certificate"] = "is it PEM, and does the key belong to the certificate?",
  ["SSL_CTX_use_PrivateKey"] = "does the key belong to the certificate?",
}

local function not_begun(ended)
  local words = last_words(ended)
  for pattern, cure in pairs(CURES) do
    if words:find(pattern) then
      words = words .. "; " .. cure
    end
  end
  return errors.fail("process", "nginx does not start" .. words)
end

--- Waits until it has bound its address and can be connected to: true, or false when a signal came
-- first.
---@return boolean?
---@return epoch.Error?
function Server:ready()
  local deadline = core.now() + READY
  repeat
    local what, err = wait(self, PAUSE)
    if type(what) == "table" then
      return not_begun(what)
    elseif what == nil then
      return nil, err
    elseif what and what ~= "HUP" then
      return false
    end
    local file = io.open(self.pid_file)
    local line = file and file:read("*l")
    if file then
      file:close()
    end
    if line then
      return true
    end
  until core.now() > deadline
  return errors.fail("timeout", ("nginx has not begun to serve within %d seconds"):format(READY))
end

-- Until it has ended, or somebody does not want to wait for that.
local function stop(self)
  self.process:kill("QUIT")
  local since = core.now()
  while true do
    local what, err = wait(self)
    if type(what) == "table" then
      return what.code == 0 or gone(what)
    elseif what == nil then
      return nil, err
    elseif NUMBERS[what] and core.now() - since > SAME_WISH then
      self.process:kill("TERM")
      wait(self, GRACE)
      return errors.fail("cancelled", "stopped at once, with what was under way", { signal = NUMBERS[what] })
    end
  end
end

--- Waits for the signal to stop, and for the end of what is under way then. On SIGHUP nginx reads its
-- configuration again, when `renew` has written it and answers true. True when it has ended well.
---@param renew fun(): boolean
---@return true?
---@return epoch.Error?
function Server:run(renew)
  while true do
    local what, err = wait(self)
    if type(what) == "table" then
      return gone(what)
    elseif what == nil then
      return nil, err
    elseif what ~= "HUP" then
      return stop(self)
    elseif renew() then
      self.process:kill("HUP")
    end
  end
end

--- Ends what is left of it.
function Server:close()
  if self.process then
    await(self.loop, self.process, "stop", { grace = GRACE })
    self.process:close()
    self.process = nil
  end
  if self.signals then
    self.signals:close()
    self.signals = nil
  end
  if self.loop then
    self.loop:close()
    self.loop = nil
  end
end

Server.stop = stop

return M
