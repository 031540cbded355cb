--- epoch help [COMMAND]
local output = require "epoch.cli.output"

local M = { name = "help", summary = "Show help, for a command or for all.", needs_core = false }

function M.define(command)
  command:argument("COMMAND", "The command to explain."):target("topic"):args("?")
end

function M.run(context, args)
  local help, err = context.help_of(args.topic)
  if not help then
    return nil, err
  end
  return output.write(help)
end

return M
