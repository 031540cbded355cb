--- What the commands that move or show artifacts share: the settings, one task that
-- signals end, the homes that were opened, and what is shown meanwhile.
local cocoon = require "epoch.cocoon"
local core = require "epoch.core"
local errors = require "epoch.errors"
local locate = require "epoch.locate"
local output = require "epoch.cli.output"
local progress = require "epoch.cli.progress"
local raised = require "epoch.cli.raised"
local reference = require "epoch.reference"
local settings = require "epoch.cli.settings"
local tasks = require "epoch.task"
local text = require "epoch.text"

---@class epoch.cli.Job
---@field task epoch.task
---@field settings epoch.Settings
---@field args table
local Job = {}
Job.__index = Job

local M = {}

local SIGNALS = { SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGTERM = 15 }

-- What a person typed, found wrong, is no news about what arrived.
local function as_usage(err)
  if err.kind ~= "invalid" then
    return err
  end
  return errors.new("usage", tostring(err), { cause = err })
end

--- What was typed as a reference; wrong ones are kind "usage".
---@param typed string
---@return epoch.Reference?
---@return epoch.Error?
function Job.reference(_, typed)
  local ref, err = reference.parse(typed)
  return ref, err and as_usage(err)
end

--- What was typed as a tag.
---@param typed string
---@return string?
---@return epoch.Error?
function Job.tag(_, typed)
  local ok, err = reference.check_tag(typed)
  return ok and typed, err and as_usage(err)
end

--- What was typed as the name of something in cocoon.
---@param typed string
---@return string?
---@return epoch.Error?
function Job.local_name(_, typed)
  local ok, err = reference.check_name(typed)
  return ok and typed, err and as_usage(err)
end

--- A home that was opened, or the error: what is found wrong with a name is kind "usage". With
--- the job it is closed.
function Job:keep(home, err)
  if not home then
    return nil, as_usage(err)
  end
  self.homes[#self.homes + 1] = home
  return home
end

--- Opens a home by its name; `to_read` as for epoch.locate. With the job it is closed.
---@param name string
---@param to_read boolean?
---@return table?
---@return epoch.Error?
function Job:open_home(name, to_read)
  return self:keep(locate.open_home(self.task, name, self.settings, to_read))
end

--- A line to stderr that is no error.
---@param line string
function Job:say(line)
  if not self.args.quiet then
    output.say(line)
  end
end

--- Opens the home of a reference; nil: the one where names without a host are.
---@param ref epoch.Reference?
---@param to_read boolean?
---@return table?
---@return epoch.Error?
function Job:open(ref, to_read)
  local name, is_default = locate.home_of(ref, self.settings)
  if not name then
    return nil, is_default
  elseif is_default and not self.told then
    self.told = true
    self:say(("epoch: no registry is named, using %s on this machine"):format(text.printable(name)))
  end
  return self:open_home(name, to_read)
end

--- The home of what was typed as a reference, to read it there, and the reference.
---@param typed string
---@return table?
---@return epoch.Reference|epoch.Error ref
function Job:find(typed)
  local ref, err = self:reference(typed)
  local home
  if ref then
    home, err = self:open(ref, true)
  end
  return home, home and ref or err
end

--- The cocoon program; an error when it is not there, before anything is asked for.
function Job:cocoon()
  return cocoon.exec_cocoon {
    binary = self.settings.values.cocoon_binary,
    stderr = not self.args.verbose and "null" or nil,
  }
end

--- Shows what happens to `subject`: the functions that use cases tell it to.
---@param subject string
---@return { on_line: fun(line: string), on_event: fun(event: table) }
function Job:watch(subject)
  local shown = progress.new {
    how = settings.progress(self.args, self.settings), op = self.command, subject = subject,
  }
  self.progress = shown
  return {
    on_line = function(line) shown:line(line) end,
    on_event = function(event) shown:event(event) end,
  }
end

--- Nothing more is drawn: what is written next, also to stdout, stays.
---@param result table? what was done
---@param err epoch.Error?
function Job:unwatch(result, err)
  if self.progress then
    self.progress:finish(result, err)
  end
end

--- Seconds since the job began.
function Job:seconds()
  return core.now() - self.began
end

-- Why it was not done, in the words for people.
local function reason(self, err)
  local signal = SIGNALS[self.task.loop:cancelled() or ""]
  if signal then
    return errors.new("cancelled", "interrupted", { signal = signal, cause = err })
  elseif err.kind == "unauthorized" and self.settings.values.token and not self.settings.values.registry then
    return errors.new(err.kind, tostring(err) .. " (EPOCH_REGISTRY_TOKEN is only sent to the registry "
      .. "that --registry or EPOCH_SERVER names)", { status = err.status, cause = err })
  end
  return err
end

local function close(self)
  for i = #self.homes, 1, -1 do
    if self.homes[i].notice then
      self:say("epoch: " .. text.printable(self.homes[i].notice))
    end
    self.homes[i]:close()
  end
  self.task:close()
end

--- From here on what is no longer needed is collected soon: for commands that have large texts
-- in hand, in a process that is theirs. (Lua lets the heap double before it looks.)
function Job.save_memory(_)
  collectgarbage()
  collectgarbage("setpause", 110)
end

--- Runs `use(job)` and answers what it answers; errors say what was being done. One beside an
--- answer is what there is to say of it: it is on stdout already, and the command has failed.
---@param command string its name
---@param subject string? what it is about, as it was typed
---@param args table
---@param use fun(job: epoch.cli.Job): any, epoch.Error?
function M.run(command, subject, args, use)
  local op = subject and command .. " " .. subject or command
  local loaded, err = settings.load(args)
  local task
  if loaded then
    task, err = tasks.new()
  end
  if not task then
    return nil, errors.wrap(err, op)
  end
  local self = setmetatable({ command = command, args = args, settings = loaded, task = task, homes = {},
                              began = core.now() }, Job)
  local done
  local ok, trouble = xpcall(function()
    local caught, message, code = task.loop:signals("HUP", "INT", "QUIT", "TERM")
    if caught then
      done, err = use(self)
    else
      err = errors.from_core(message, code)
    end
  end, raised.handler("internal", "internal error: "))
  if not ok then
    done, err = nil, trouble
  end
  err = errors.is(err) and reason(self, err) or nil
  self:unwatch(done, err)
  close(self)
  return done, err and errors.wrap(err, op)
end

return M
