--- The cocoon program: the way to the virtual machines of this host.
--
--     local cocoon = assert(cocoon.exec_cocoon {})       -- $EPOCH_COCOON_BINARY, or PATH
--     local source, wait, stop = cocoon:export(task, "vm1")
--     local sink, wait, fail = cocoon:import(task, { name = "vm2" })
--
-- cocoon takes the end of its input for success, wherever it comes. So only finishing the
-- sink ends the input; whoever gives up calls `fail`, which ends the child in a way that it
-- cannot take for a good end, and answers how it went.
local core = require "epoch.core"
local errors = require "epoch.errors"
local options = require "epoch.options"
local paths = require "epoch.cocoon.paths"
local reference = require "epoch.reference"
local text = require "epoch.text"

local M = {}

--- Its files, for what the program itself does not offer.
M.paths = paths

--- The environment variable that names the program.
M.cocoon_binary_env = "EPOCH_COCOON_BINARY"

local GRACE = 5 -- seconds for a child that was told to end
local IMAGE_GRACE = 1 -- with its input held open it only waits
local OWN_END = 2 -- for a child that is ending by itself

--- The absolute path of the program: what `value` says (by default $EPOCH_COCOON_BINARY),
-- else cocoon from PATH.
---@param value? string
---@return string?
---@return epoch.Error?
function M.resolve_cocoon_binary(value)
  value = value or os.getenv(M.cocoon_binary_env) or ""
  local name = value:match("^%s*(.-)%s*$")
  local path, why
  if not name:find("%z") then
    path, why = core.which(name ~= "" and name or "cocoon")
  end
  if path then
    return path
  elseif name ~= "" then -- of the environment, of the configuration or of a script
    return errors.fail("process", ("the cocoon program %s cannot be run: %s; set $%s to the path "
      .. "of an executable file"):format(text.quote(name), why or "it is not there or not "
      .. "executable", M.cocoon_binary_env))
  end
  return errors.fail("process", ("cocoon was looked for in PATH and is not there; install it, "
    .. "or set $%s to its path"):format(M.cocoon_binary_env))
end

-- The caller's environment without what is none of cocoon's business; with another root for its
-- files where that is wished.
local function environment(root_dir)
  local out = { root_dir and paths.ROOT_DIR_ENV .. "=" .. root_dir }
  for _, pair in ipairs(core.environ()) do
    local name = pair:match("^[^=]*")
    if not (root_dir and name == paths.ROOT_DIR_ENV or name:find("^EPOCH_.*TOKEN")
        or name:find("^EPOCH_S3_") or name:find("^AWS_")) then
      out[#out + 1] = pair
    end
  end
  return out
end

local Exec = { __name = "epoch.cocoon" }
Exec.__index = Exec

local SCHEMA = {
  binary = { type = "string", min = 1 },
  stderr = { type = { "integer", "string" }, check = function(value)
    return type(value) == "number" or value == "inherit" or value == "null",
      'must be a descriptor, "inherit" or "null"'
  end },
  grace = { type = "number", min = 0 },
  root_dir = { type = "string", min = 1 },
}

--- cocoon as a child process. `binary`: its path; `stderr`: where its words go, a descriptor,
-- "inherit" (the default) or "null"; `root_dir`: where its files are, if not where it thinks.
---@param given? { binary: string?, stderr: integer|string|nil, grace: number?, root_dir: string? }
---@return table?
---@return epoch.Error?
function M.exec_cocoon(given)
  local opts = options.check("exec_cocoon", SCHEMA, given)
  local binary, err = M.resolve_cocoon_binary(opts.binary)
  if not binary then
    return nil, err
  end
  -- The core's own "inherit" and "null" keep no tail for our message; nil and false do.
  local stderr = opts.stderr
  if stderr == "inherit" then
    stderr = nil
  elseif stderr == "null" then
    stderr = false
  end
  return setmetatable({
    binary = binary, stderr = stderr, grace = opts.grace or GRACE, root_dir = opts.root_dir,
  }, Exec)
end

local function last_words(stderr)
  local last
  for line in stderr:gmatch("[^\r\n]+") do
    last = line:find("%S") and line or last
  end
  return last and ": " .. text.printable(last, 512) or ""
end

-- How a child ended, as an error; nil when that was well.
local function ending(what, result, message)
  if not result then
    return errors.new("process", ("%s: %s"):format(what, tostring(message)))
  elseif result.code == 0 then
    return nil
  end
  local how = result.code and "exit code " .. ("%d"):format(result.code)
    or "ended by SIG" .. tostring(result.signal or result.number)
  -- what cocoon says of a snapshot it does not have; it has one exit code for everything
  local kind = what:find(" export ", 1, true) and result.code
    and result.stderr:find("not found", 1, true) and "not_found" or "process"
  return errors.new(kind, ("%s failed, %s%s"):format(what, how, last_words(result.stderr)))
end

local function spawn(self, task, argv, stdio)
  local p, message, code = task.loop:spawn {
    argv = argv, env = environment(self.root_dir), stdin = stdio.stdin, stdout = stdio.stdout or "null",
    stderr = self.stderr, grace = self.grace,
  }
  if not p then
    return errors.fail(code, message)
  end
  return p
end

-- `wait` and `stop` for a child. Both can be called in any order; the first that has waited
-- closes it. `stop(tail, ending)`: `ending` says that it is about to end anyway.
local function keep(task, p, what, how)
  local done, failure = false, nil
  local function over(result, err)
    p:close()
    done, failure = true, ending(what, result, err)
    return not failure or nil, failure
  end
  local function wait()
    if done then
      return not failure or nil, failure
    end
    local result, err = task:await(p, "wait")
    if not result and errors.is(err) and err.kind == "cancelled" then
      return nil, err -- the child still runs: to be stopped
    end
    return over(result, err)
  end
  local function stop(tail, is_ending)
    if done then
      return failure
    end
    local result, err
    if is_ending then
      result, err = task:await_for(OWN_END, p, "wait")
    end
    if not result then
      local request = { grace = how.grace, hold = how.hold, tail = not how.hold and tail or nil }
      result, err = task:await(p, "stop", request)
      if not result and err.kind == "cancelled" then
        result, err = task:await(p, "stop", request) -- it is told once; the end is waited for
      end
    end
    over(result, err)
    if result and result.code == 0 and how.commits then
      failure = errors.new("process", what .. " had ended with success before it could be stopped")
    elseif failure and how.note then
      failure = errors.new(failure.kind, failure.message .. how.note)
    end
    return failure
  end
  return wait, stop
end

--- The stream of a snapshot. `wait()` answers true, or nil and an error, once it has been read
-- to its end; `stop()` ends the child before.
---@param task epoch.task
---@param name string
function Exec:export(task, name)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  local p
  p, err = spawn(self, task, { self.binary, "snapshot", "export", "-o", "-", "--", name },
                 { stdin = "null", stdout = "pipe" })
  if not p then
    return nil, err
  end
  return p:stdout(), keep(task, p, "cocoon snapshot export " .. name, { grace = self.grace })
end

local IMPORT = {
  name = { type = "string", required = true },
  description = { type = "string", default = "" },
}

--- A sink for the stream of a snapshot. Finish it and `wait()`, or `fail(poison)`: what the
-- tar writer says has to be sent last.
---@param task epoch.task
---@param given { name: string, description: string? }
function Exec:import(task, given)
  local opts = options.check("import", IMPORT, given)
  local ok, err = reference.check_name(opts.name)
  if not ok then
    return nil, err
  elseif opts.description:find("%z") then
    return errors.fail("invalid", "the description has a NUL byte, which no argument can have")
  end
  local argv = { self.binary, "snapshot", "import", "--name=" .. opts.name }
  if opts.description ~= "" then
    argv[#argv + 1] = "--description=" .. opts.description
  end
  local p
  p, err = spawn(self, task, argv, { stdin = "pipe" })
  if not p then
    return nil, err
  end
  return p:stdin(), keep(task, p, "cocoon snapshot import " .. opts.name,
                         { grace = self.grace, commits = true })
end

--- A sink for the bytes of a disk. Finish it and `wait()`, or `fail()`.
---@param task epoch.task
---@param name string
function Exec:image_import(task, name)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  local p
  p, err = spawn(self, task, { self.binary, "image", "import", "--", name }, { stdin = "pipe" })
  if not p then
    return nil, err
  end
  return p:stdin(), keep(task, p, "cocoon image import " .. name, {
    grace = math.min(self.grace, IMAGE_GRACE), hold = true, commits = true,
    note = "; what it has left under cloudimg/temp is for cocoon's own gc",
  })
end

--- The error of a stream together with how the child at its other end went: the stream's
-- first, unless the child's end was the reason.
---@param err epoch.Error
---@param child epoch.Error?
---@param child_first boolean?
---@return epoch.Error
function M.both(err, child, child_first)
  if not child then
    return err
  end
  local first, second = err, child
  if child_first then
    first, second = child, err
  end
  return errors.new(first.kind, ("%s; %s"):format(tostring(first), tostring(second)), {
    status = first.status, signal = first.signal, cause = first,
  })
end

return M
