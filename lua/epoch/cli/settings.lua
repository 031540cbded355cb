--- The settings as the command line has them: its options above everything else.
local config = require "epoch.config"
local errors = require "epoch.errors"
local options = require "epoch.options"
local schema = require "epoch.config.schema"

local M = {}

local NAMES = { "registry", "plain_http", "ca_cert", "concurrency", "progress" }

local function flag(path)
  return "--" .. path:gsub("_", "-")
end

--- Loads what is in force for a command, also for whoever asks epoch.config after this.
---@param args table what the parser made of the words
---@return epoch.Settings?
---@return epoch.Error?
function M.load(args)
  local given = {}
  for _, name in ipairs(NAMES) do
    local value = args[name]
    if name == "concurrency" and value then
      value = tonumber(value) or value
    end
    local _, why = options.validate("epoch", schema.OPTIONS, { [name] = value })
    if why then
      return errors.fail("usage", flag(name) .. why:match('^.-"' .. name .. '"(.*)$'))
    end
    given[name] = value
  end
  config.base { file = args.config_file, options = given, origin = flag }
  return config.current()
end

--- How progress is to be shown, as epoch.cli.progress has it.
---@param args table
---@param loaded epoch.Settings
---@return string
function M.progress(args, loaded)
  local how = args.quiet and "none" or loaded.values.progress
  if how == "auto" and args.verbose then
    return "plain" -- what cocoon says goes to stderr, too, and would be drawn over
  end
  return how
end

return M
