--- epoch run SCRIPT.lua [ARG…]
local errors = require "epoch.errors"
local raised = require "epoch.cli.raised"
local settings = require "epoch.cli.settings"

local M = {}

local unpack = table.unpack or unpack -- luacheck: ignore 113 143

-- A script fails when it raises, and when it returns nil and an error as functions do.
function M.run(_, args)
  local op = "run " .. args.script
  local loaded, err = settings.load(args)
  if not loaded then
    return nil, errors.wrap(err, op)
  end
  local chunk, why = loadfile(args.script)
  if not chunk then
    return errors.fail("script", why, { op = op })
  end
  local words = { [0] = args.script }
  for i, word in ipairs(args.words) do
    words[i] = word
  end
  rawset(_G, "arg", words)
  local result
  local ok, trouble = xpcall(function()
    result, err = chunk(unpack(words))
  end, raised.handler("script", ""))
  if not ok then
    return nil, errors.wrap(trouble, op)
  elseif not result and errors.is(err) then
    return nil, errors.wrap(err, op)
  end
  return true
end

return M
