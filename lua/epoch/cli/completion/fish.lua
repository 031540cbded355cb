--- The completion for fish.
local M = {}

local HEAD = [[
# Completion of epoch for fish: ~/.config/fish/completions/epoch.fish
function __epoch_command
    set -l words (commandline -opc)
    set -e words[1]
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case @VALUED@
                set skip 1
            case '-*'
            case '*'
                echo $word
                return 0
        end
    end
    return 1
end
function __epoch_runs
    set -l command (__epoch_command)
    and test "$command" = $argv[1]
end
complete -c epoch -f
]]

local function quote(s)
  return "'" .. s:gsub("[\\']", "\\%0") .. "'"
end

-- What is offered for a value, as words of complete.
local function offer(one)
  return one.files and "-F" or one.words and "-a " .. quote(table.concat(one.words, " ")) or ""
end

local function option_line(option, condition)
  local parts = { "complete -c epoch" }
  parts[#parts + 1] = condition and "-n " .. quote(condition) or nil
  for _, name in ipairs(option.names) do
    parts[#parts + 1] = name:find("^%-%-") and "-l " .. name:sub(3) or "-s " .. name:sub(2)
  end
  if option.value then
    parts[#parts + 1] = (option.files and "-r " or "-x ") .. offer(option)
  end
  parts[#parts + 1] = "-d " .. quote(option.about)
  return table.concat(parts, " ")
end

local function command_lines(lines, command)
  local condition = "__epoch_runs " .. command.name
  lines[#lines + 1] = ("complete -c epoch -n %s -a %s -d %s"):format(quote "not __epoch_command >/dev/null",
    command.name, quote(command.about))
  for _, option in ipairs(command.options) do
    lines[#lines + 1] = option_line(option, condition)
  end
  for _, argument in ipairs(command.arguments) do
    if argument.files or argument.words then
      lines[#lines + 1] = ("complete -c epoch -n %s %s"):format(quote(condition), offer(argument))
    end
  end
end

---@param all table see epoch.cli.completion
---@return string
function M.script(all)
  local valued, lines = {}, {}
  for _, option in ipairs(all.options) do
    if option.value then
      valued[#valued + 1] = table.concat(option.names, " ")
    end
    lines[#lines + 1] = option_line(option)
  end
  for _, command in ipairs(all.commands) do
    command_lines(lines, command)
  end
  return (HEAD:gsub("@VALUED@", table.concat(valued, " "))) .. table.concat(lines, "\n") .. "\n"
end

return M
