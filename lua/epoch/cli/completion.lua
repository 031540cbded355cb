--- epoch completion bash|zsh|fish
--
-- The scripts are made of what the parser knows, so no option can be missing. What stands for
-- a value tells what can be offered for it: words, files, or nothing.
local commands = require "epoch.cli.commands"
local errors = require "epoch.errors"
local nearest = require "epoch.nearest"
local output = require "epoch.cli.output"
local parser = require "epoch.cli.parser"
local schema = require "epoch.config.schema"
local text = require "epoch.text"

local M = {}

local SHELLS = { "bash", "zsh", "fish" }
local FILES = { FILE = true, SCRIPT = true, ARG = true }

local function names_of_commands()
  local names = {}
  for i, command in ipairs(commands) do
    names[i] = command.name
  end
  return names
end

local WORDS = { HOW = schema.OPTIONS.progress.enum, SHELL = SHELLS, COMMAND = names_of_commands() }

-- Says of an option or argument what its value can be: `files`, or `words`.
local function with_values(list)
  for _, one in ipairs(list) do
    one.files, one.words = FILES[one.value], WORDS[one.value]
  end
end

local function model()
  local all = parser.describe(commands)
  with_values(all.options)
  for _, command in ipairs(all.commands) do
    with_values(command.options)
    with_values(command.arguments)
  end
  return all
end

function M.run(_, args)
  for _, shell in ipairs(SHELLS) do
    if shell == args.shell then
      local module = "epoch.cli.completion." .. shell
      return output.write(require(module).script(model()))
    end
  end
  return errors.fail("usage", ("there is no completion for %s%s; there is for %s"):format(text.quote(args.shell),
    nearest.hint(args.shell, SHELLS), table.concat(SHELLS, ", ")), { op = "completion" })
end

return M
