--- epoch help [COMMAND]
local output = require "epoch.cli.output"

local M = {}

function M.run(context, args)
  local help, err = context.help_of(args.topic)
  if not help then
    return nil, err
  end
  return output.write(help)
end

return M
