--- The command line: finds the command, runs it, and turns what failed into one sentence,
-- JSON where it was asked for, and an exit code. A command may answer and fail, too: what it was
-- asked for is on stdout, and is bad news.
local commands = require "epoch.cli.commands"
local errors = require "epoch.errors"
local output = require "epoch.cli.output"
local parser = require "epoch.cli.parser"
local raised = require "epoch.cli.raised"

local M = {}

local function check_core()
  local ok, why = pcall(require, "epoch.core")
  if ok then
    return true
  elseif not package.loaded["epoch.core"] and tostring(why):find("not found:", 1, true) then
    return errors.fail("unsupported", ("the core is not built for %s: run make where epoch.lua is")
      :format(output.lua_name()))
  end
  return errors.fail("unsupported", "the core cannot be loaded: " .. tostring(why))
end

local held = {}

-- A standard descriptor that is closed would become that of the next thing opened, and what is
-- said be written into it. It is held open instead, for reading, so that writing still fails.
local function hold_standard_descriptors()
  local core = require "epoch.core"
  for fd = 0, 2 do
    local there = core.fd_source(fd)
    if there then
      there:close()
    else
      held[#held + 1] = io.open("/dev/null") -- the lowest number that is free
    end
  end
end

local function execute(argv)
  local context, err = parser.parse(commands, argv)
  if not context then
    return nil, err
  elseif context.help then
    return output.write(context.help)
  end
  if context.command.needs_core ~= false then
    local ok
    ok, err = check_core()
    if not ok then
      return nil, err
    end
    hold_standard_descriptors()
  end
  local module = "epoch.cli." .. context.command.name
  return require(module).run(context, context.args)
end

-- What a command answers, when all of it has left.
local function flushed(done, err)
  local ok, why = true, nil
  if done then
    ok, why = output.flush()
  end
  return ok and done, ok and err or why
end

--- Runs the program with these words and returns its exit code. Raises nothing.
---@param argv string[]
---@return integer
function M.main(argv)
  local done, err
  local ok, trouble = xpcall(function()
    done, err = flushed(execute(argv))
  end, raised.handler("internal", "internal error: "))
  if ok and done and not errors.is(err) then
    return 0
  end
  err = ok and err or trouble
  local how = parser.peek(commands, argv)
  how.json = how.json and not (ok and done) -- stdout has the one answer there is
  output.report(err, how)
  return errors.exit_code(err)
end

return M
