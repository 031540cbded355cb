--- Words into a command and its options: lua-argparse, with usage errors, help and the
-- words of scripts handled here (argparse would print and exit on its own).
local argparse = require "argparse"
local errors = require "epoch.errors"
local nearest = require "epoch.nearest"
local text = require "epoch.text"

local M = {}

-- What every command takes, before or after its name.
local GLOBAL = {
  { "--config", "A configuration instead of the usual ones.", "FILE", "config_file" },
  { "--registry", "The home to work with: a registry, file:///DIR, s3://BUCKET, oci:DIR.", "HOME" },
  { "--plain-http", "Registries without a scheme are spoken to without TLS." },
  { "--ca-cert", "Certificates to trust beside the system's.", "FILE" },
  { "--concurrency", "How many layers at once.", "N" },
  { "--progress", "auto, bar, plain, json or none.", "HOW" },
  { "--json", "Results and errors as JSON on stdout." },
  { "-q --quiet", "Nothing on stderr but errors." },
  { "-v --verbose", "Say more: what cocoon says, and what was behind an error." },
}

-- Those that take the next word.
local VALUED = {}
for _, option in ipairs(GLOBAL) do
  VALUED[option[1]] = option[3] ~= nil
end

local function usage(message, op)
  return errors.new("usage", message .. ('; "epoch help%s" says more'):format(
    op and " " .. op or ""), { op = op })
end

-- Every spelling of the options that hold for a parser. argparse has no public list.
local function spellings(parser, root)
  local known = {}
  for _, options in ipairs { root._options, parser._options } do
    for _, option in ipairs(options) do
      for _, alias in ipairs(option._aliases) do
        known[alias] = true
      end
    end
  end
  return known
end

-- argparse says what is wrong in words; ours name the nearest known option.
local function on_usage_error(root, commands)
  return function(parser, message)
    local op = parser ~= root and parser._name or nil
    local option = message:match("^unknown option '(.-)'")
    local command = message:match("^unknown command '(.-)'")
    if option then
      message = ("unknown option %s%s"):format(text.quote(option),
        nearest.hint(option, spellings(parser, root)))
    elseif command then
      message = ("unknown command %s%s"):format(text.quote(command),
        nearest.hint(command, commands))
    elseif message == "a command is required" then
      message = "no command given"
    else
      message = message:gsub("'", '"')
    end
    error({ usage = usage(message, op) }, 0)
  end
end

-- The help of a parser instead of its result.
local function add_help(parser)
  parser:flag("-h --help", "Show this help."):action(function()
    error({ help = parser:get_help() .. "\n" }, 0)
  end)
end

local function by_name(commands)
  local names = {}
  for _, command in ipairs(commands) do
    names[command.name] = command
  end
  return names
end

local function build(commands)
  local root = argparse("epoch", "Virtual machine snapshots and images in any OCI registry.",
    "Exit codes: 0 done, 1 failed, 2 not found, 3 not allowed, 4 not what was promised, "
    .. "64 usage.")
  root:add_help(false):require_command(true):command_target("command")
  for _, option in ipairs(GLOBAL) do
    if option[3] then
      local added = root:option(option[1], option[2]):argname(option[3])
      if option[4] then
        added:target(option[4])
      end
    else
      root:flag(option[1], option[2])
    end
  end
  root:flag("--version", "The same as the command version."):action(function()
    error({ version = true }, 0)
  end)
  add_help(root)
  for _, command in ipairs(commands) do
    local parser = root:command(command.name, command.summary)
    parser:add_help(false)
    parser:epilog('Options of all commands: "epoch help".')
    command.define(parser)
    add_help(parser)
  end
  root.error = on_usage_error(root, by_name(commands))
  return root
end

-- How many of the words are ours: all of them, or those up to a "--" or up to the script,
-- whose own words follow. And which of them are values of the options before them.
local function ours(names, argv)
  local command
  local values = {}
  for i, word in ipairs(argv) do
    if VALUED[argv[i - 1]] and not values[i - 1] then
      values[i] = true
    elseif word == "--" then
      return i, values
    elseif word:sub(1, 1) ~= "-" then
      if command and command.script then
        return i, values
      end
      command = command or names[word] or {}
    end
  end
  return #argv, values
end

-- With a "--" before the words of a script, so that argparse leaves them alone.
local function protect(names, argv)
  local out = {}
  local n, values = ours(names, argv)
  for i, word in ipairs(argv) do
    out[#out + 1] = word
    if i == n and (word ~= "--" or values[i]) then
      out[#out + 1] = "--"
    end
  end
  return out
end

local function first_name(argname)
  return type(argname) == "table" and argname[1] or argname
end

-- Those options of a parser that its root has not.
local function described(options, root)
  local list, known = {}, root and spellings(root, root) or {}
  for _, option in ipairs(options) do
    if not known[option._name] then
      list[#list + 1] = {
        names = option._aliases, value = option._maxargs > 0 and first_name(option._argname) or nil,
        many = option._maxcount > 1, about = option._description,
      }
    end
  end
  return list
end

--- What can be typed, for who has to know: the options of all commands and those of each, and
--- the commands' arguments. `value` is what help calls a value.
---@param commands table[]
---@return { options: table[], commands: table[] }
function M.describe(commands)
  local root = build(commands)
  local all = { options = described(root._options), commands = {} }
  for i, command in ipairs(root._commands) do
    local arguments = {}
    for j, argument in ipairs(command._arguments) do
      arguments[j] = { value = argument._name, many = argument._maxargs > 1 }
    end
    all.commands[i] = {
      name = command._name, about = command._description, options = described(command._options, root),
      arguments = arguments,
    }
  end
  return all
end

--- How errors are to be told, also when the words cannot be parsed.
---@param commands table[]
---@param argv string[]
---@return {json: boolean, verbose: boolean}
function M.peek(commands, argv)
  local asked = { json = false, verbose = false }
  local n, values = ours(by_name(commands), argv)
  for i = 1, n do
    local word = not values[i] and argv[i]
    asked.json = asked.json or word == "--json"
    asked.verbose = asked.verbose or word == "-v" or word == "--verbose"
  end
  return asked
end

--- What the words ask for: a command and its arguments, or a text of help.
---@param commands table[]
---@param argv string[]
---@return {command: table, args: table, help_of: function}|{help: string}|nil
---@return epoch.Error?
function M.parse(commands, argv)
  local root, names = build(commands), by_name(commands)
  local function help_of(name)
    local found, err = M.parse(commands, { name or "--help", name and "--help" })
    return found and found.help, err
  end
  local ok, result = pcall(root.parse, root, protect(names, argv))
  if ok then
    return { command = names[result.command], args = result, help_of = help_of }
  elseif type(result) ~= "table" then
    error(result, 0)
  elseif result.version then
    return { command = names.version, args = M.peek(commands, argv), help_of = help_of }
  elseif result.help then
    return { help = result.help }
  end
  return nil, result.usage
end

return M
