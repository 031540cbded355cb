--- The completion for bash.
local M = {}

-- What is before the cursor: the command, if there is one, and the word whose value is typed.
-- (bash takes --option=value apart at the "=".)
local SCRIPT = [==[
# Completion of epoch for bash: source it, or put it where bash-completion looks.
_epoch() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= options= words= i
  local IFS=$' \t\n'
  COMPREPLY=()
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      @VALUED@) ((i++)); [[ ${COMP_WORDS[i]} == = ]] && ((i++)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command:$prev in
@VALUES@
  esac
  options="@OPTIONS@"
  case $command in
@COMMANDS@
  esac
  if [[ $cur == -* ]]; then
    words=$options
  elif [[ $words == FILES ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _epoch epoch
]==]

local FILES = 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); '
local WORDS = 'mapfile -t COMPREPLY < <(compgen -W "%s" -- "$cur"); '

-- A pattern for options of a command, "*" for those of all.
local function pattern(command, option)
  local out = {}
  for i, name in ipairs(option.names) do
    out[i] = command .. ":" .. name
  end
  return table.concat(out, "|")
end

local function values(lines, command, options)
  for _, option in ipairs(options) do
    if option.value then
      local offer = option.files and FILES or option.words and WORDS:format(table.concat(option.words, " ")) or ""
      lines[#lines + 1] = ("    %s) %sreturn ;;"):format(pattern(command, option), offer)
    end
  end
end

local function names(options)
  local out = {}
  for _, option in ipairs(options) do
    for _, name in ipairs(option.names) do
      out[#out + 1] = name
    end
  end
  return table.concat(out, " ")
end

local function valued(options)
  local out = {}
  for _, option in ipairs(options) do
    if option.value then
      out[#out + 1] = table.concat(option.names, "|")
    end
  end
  return table.concat(out, "|")
end

-- What a command's own words can be: the offer of its first argument that has one.
local function words_of(command)
  for _, argument in ipairs(command.arguments) do
    if argument.files or argument.words then
      return argument.files and "FILES" or table.concat(argument.words, " ")
    end
  end
  return ""
end

---@param all table see epoch.cli.completion
---@return string
function M.script(all)
  local value_lines, command_lines, command_names = {}, {}, {}
  values(value_lines, "*", all.options)
  for i, command in ipairs(all.commands) do
    values(value_lines, command.name, command.options)
    command_lines[i] = ('    %s) options+=" %s" words="%s" ;;'):format(command.name, names(command.options),
      words_of(command))
    command_names[i] = command.name
  end
  table.insert(command_lines, 1, ('    "") words="%s" ;;'):format(table.concat(command_names, " ")))
  local parts = {
    VALUED = valued(all.options), VALUES = table.concat(value_lines, "\n"), OPTIONS = names(all.options),
    COMMANDS = table.concat(command_lines, "\n"),
  }
  return (SCRIPT:gsub("@(%u+)@", parts))
end

return M
