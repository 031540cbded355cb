--- epoch run SCRIPT.lua [ARG…]
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local progress = require "epoch.cli.progress"
local raised = require "epoch.cli.raised"
local settings = require "epoch.cli.settings"

local M = {}

local unpack = table.unpack or unpack -- luacheck: ignore 113 143

-- Shows what the script moves, where it does not listen itself.
local function show(args, loaded)
  listeners.default(function(op)
    local shown = progress.new { how = settings.progress(args, loaded), op = op }
    return {
      on_event = function(event) shown:event(event) end,
      on_end = function() shown:finish() end,
    }
  end)
end

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
  show(args, loaded)
  local ok, trouble = xpcall(function()
    result, err = chunk(unpack(words))
  end, raised.handler("script", ""))
  err = not ok and trouble or not result and errors.is(err) and err or nil
  listeners.default(nil)
  return not err or nil, err and errors.wrap(err, op)
end

return M
