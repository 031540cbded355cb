--- The completion for zsh.
local M = {}

local SCRIPT = [[
#compdef epoch
# Completion of epoch for zsh: source it after compinit, or put it as _epoch into $fpath.
_epoch() {
  local curcontext=$curcontext state line
  local -a everywhere commands
  typeset -A opt_args
  everywhere=(
@OPTIONS@
  )
  commands=(
@NAMES@
  )
  _arguments -C -s -S $everywhere '1:command:->command' '*::argument:->argument' && return
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
@COMMANDS@
      esac ;;
  esac
}
if [ "$funcstack[1]" = _epoch ]; then
  _epoch "$@"
else
  compdef _epoch epoch
fi
]]

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local function plain(s)
  return (s:gsub("[%[%]:\\]", "\\%0"))
end

-- What is offered for a value: a blank is nothing.
local function offer(one)
  return one.files and "_files" or one.words and "(" .. table.concat(one.words, " ") .. ")" or " "
end

-- One specification for each spelling; one spelling excludes the others.
local function option_specs(specs, options)
  for _, option in ipairs(options) do
    for _, name in ipairs(option.names) do
      local sign = option.value and (name:find("^%-%-") and "=" or "+") or ""
      local spec = ("%s%s[%s]"):format(name, sign, plain(option.about))
      if option.value then
        spec = ("%s:%s:%s"):format(spec, plain(option.value), offer(option))
      end
      if option.many then
        spec = "*" .. spec
      elseif #option.names > 1 then
        spec = ("(%s)%s"):format(table.concat(option.names, " "), spec)
      end
      specs[#specs + 1] = quote(spec)
    end
  end
end

local function argument_specs(specs, arguments)
  for i, argument in ipairs(arguments) do
    specs[#specs + 1] = quote(("%s:%s:%s"):format(argument.many and "*" or tostring(i), plain(argument.value),
      offer(argument)))
  end
end

---@param all table see epoch.cli.completion
---@return string
function M.script(all)
  local options, names, commands = {}, {}, {}
  option_specs(options, all.options)
  for i, command in ipairs(all.commands) do
    local specs = {}
    option_specs(specs, command.options)
    argument_specs(specs, command.arguments)
    names[i] = "    " .. quote(command.name .. ":" .. plain(command.about))
    commands[i] = ("        %s) _arguments -s -S $everywhere %s ;;"):format(command.name, table.concat(specs, " "))
  end
  local parts = {
    OPTIONS = "    " .. table.concat(options, "\n    "), NAMES = table.concat(names, "\n"),
    COMMANDS = table.concat(commands, "\n"),
  }
  return (SCRIPT:gsub("@(%u+)@", parts))
end

return M
