--- What is shown on stderr while bytes move: bars on a terminal, lines elsewhere, JSON for
-- programs, or nothing.
--
--     local progress = require("epoch.cli.progress").new { how = "auto", op = "pull", subject = "demo:v1" }
--     puller:pull { …, on_event = function(e) progress:event(e) end }
--     progress:finish(result, err)
--
-- The events are those of the use cases (epoch.listeners). What their `progress` callback says of
-- layers is said here too: not both.
local core = require "epoch.core"
local options = require "epoch.options"
local tallies = require "epoch.cli.progress.tally"
local words = require "epoch.cli.progress.words"

local Progress = {}
Progress.__index = Progress

local M = {}

local QUIET = { event = function() end, line = function() end, finish = function() end }

-- Loaded when they are needed.
local VIEWS = {
  bar = "epoch.cli.progress.bar", plain = "epoch.cli.progress.plain", json = "epoch.cli.progress.json",
}

local function has_utf8(env)
  for _, name in ipairs { "LC_ALL", "LC_CTYPE", "LANG" } do
    local value = env(name)
    if value and value ~= "" then
      return value:lower():find("utf%-?8") ~= nil
    end
  end
  return false
end

-- A terminal that can move its cursor.
local function is_able(terminal, env)
  local name = env("TERM")
  return terminal() ~= nil and name ~= nil and name ~= "" and name ~= "dumb"
end

local function of_stderr()
  return core.terminal(2)
end

-- What else can be written to is no terminal.
local function none() end

local NEW = {
  how = { enum = { "auto", "bar", "plain", "json", "none" }, default = "auto" },
  op = { type = "string", required = true },
  subject = { type = "string" }, -- what is moved, as it was typed
  out = { type = { "table", "userdata" } }, -- has `write`; stderr
  terminal = { type = "function" }, -- () -> columns, rows | nil
  now = { type = "function" }, -- core.now
  env = { type = "function" }, -- os.getenv
}

---@param given { how: string?, op: string, subject: string? }
function M.new(given)
  local opts = options.check("progress", NEW, given)
  local env, now = opts.env or os.getenv, opts.now or core.now
  local terminal = opts.terminal or opts.out and none or of_stderr
  local how = opts.how
  if how == "auto" then
    how = is_able(terminal, env) and "bar" or "plain"
  end
  local self = setmetatable({ op = opts.op, subject = opts.subject, now = now, began = now(),
                              tally = tallies.new(), view = QUIET }, Progress)
  if VIEWS[how] then
    self.view = require(VIEWS[how]).new {
      out = opts.out or io.stderr, terminal = terminal, utf8 = has_utf8(env), op = opts.op,
      tally = self.tally, now = self.began, label = words.label(opts.op, opts.subject),
    }
  end
  return self
end

--- Something has happened to a layer.
---@param e table
function Progress:event(e)
  local now = self.now()
  self.view:event(e, self.tally:take(e, now), now)
end

--- A line for people.
---@param line string
function Progress:line(line)
  self.view:line(line, self.now())
end

--- It is over; whoever writes to stderr next has it for himself. Once is enough.
---@param result any what was done, if it was
---@param err epoch.Error?
function Progress:finish(result, err)
  local now, view = self.now(), self.view
  self.view = QUIET
  local digest = type(result) == "table" and (result.manifest_digest or result.digest) or nil
  view:finish(result and words.summary {
    op = self.op, subject = self.subject, digest = digest, tally = self.tally, seconds = now - self.began,
  } or nil, err, now)
end

return M
