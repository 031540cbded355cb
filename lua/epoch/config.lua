--- The settings in force, and where each of them came from.
--
--     local settings, err = config.load { options = { registry = "oci:/srv/images" } }
--     settings.values.concurrency          --> 4
--     settings.origins["s3.region"]        --> "EPOCH_S3_REGION"
--     settings:host("10.0.0.5:5000")       --> what holds for that host
--
-- Defaults, then the system's file, then the user's (or $EPOCH_CONFIG or `file` instead of
-- both), then the file of S3's variables (s3.env_file, else the user's s3.env), then the
-- environment, then options. Files are Lua scripts in a sandbox (epoch.config.sandbox).
-- Everything wrong is an error of kind "config" with file and line.
local core = require "epoch.core"
local env_file = require "epoch.config.env_file"
local errors = require "epoch.errors"
local options = require "epoch.options"
local sandbox = require "epoch.config.sandbox"
local schema = require "epoch.config.schema"
local settings = require "epoch.config.settings"
local text = require "epoch.text"

local M = {}

M.SYSTEM_FILE = "/etc/epoch/config.lua"
M.MAX = 256 * 1024
local MAX_READ = 64 * 1024

local LOAD = {
  file = { type = "string", min = 1 },
  configured = { type = "table" },
  options = { type = "table" },
  origin = { type = { "string", "function" }, default = "option" },
  getenv = { type = "function" },
  system_file = { type = "string" },
}

local function trim(s)
  return (s:match("^%s*(.-)%s*$"))
end

-- Where in the source a name stands, for messages: the last part of the path that is wrong.
local function line_of(source, path, lines)
  local name = path:gsub("%[%d+%]$", ""):match("[%w_]+$") or path
  if lines[path] then
    return lines[path]
  end
  local n = 0
  for line in (source .. "\n"):gmatch("(.-)\n") do
    n = n + 1
    local code = line:gsub("%-%-.*$", "")
    if code:find("%f[%w_]" .. name .. "%f[^%w_][\"'%]%s]*=") then
      return n
    end
  end
  return nil
end

local function functions_for(path, getenv)
  local directory = path:match("^(.*/)") or ""
  return {
    env = function(name)
      if type(name) ~= "string" then
        error("env takes the name of a variable, not a " .. type(name), 0)
      end
      return getenv(name)
    end,
    read = function(name)
      if type(name) ~= "string" then
        error("read takes the name of a file, not a " .. type(name), 0)
      end
      local bytes, why = core.read_trusted(name:sub(1, 1) == "/" and name or directory .. name, MAX_READ)
      if not bytes then
        error("read: " .. why, 0)
      end
      return trim(bytes)
    end,
    print = function(...)
      local words = { ... }
      for i = 1, select("#", ...) do
        words[i] = text.printable(tostring((select(i, ...))))
      end
      io.stderr:write(table.concat(words, "\t") .. "\n")
    end,
  }
end

--- Runs a configuration that is at hand: the checked table, or nil, error.
---@param source string
---@param path string for messages, and where `read` looks
---@param getenv? fun(name: string): string?
---@return table?
---@return epoch.Error?
function M.evaluate(source, path, getenv)
  local given, lines = sandbox.run(source, path, functions_for(path, getenv or os.getenv))
  if not given then
    return errors.fail("config", lines)
  end
  local checked, why = options.validate(path, schema.OPTIONS, given)
  if checked then
    return checked
  end
  local where = why:match('option "(.-)" ')
  local line = where and line_of(source, where, lines)
  if line then
    why = ("%s:%d%s"):format(path, line, why:sub(#path + 1))
  end
  return errors.fail("config", why)
end

-- A file's settings; {} when there is none and it need not be there.
local function from_file(self, path, required, getenv)
  local source, why, code = core.read_trusted(path, M.MAX)
  if not source then
    if code == "not_found" and not required then
      return {}
    end
    return errors.fail("config", "configuration: " .. why)
  end
  self.files[#self.files + 1] = path
  return M.evaluate(source, path, getenv)
end

-- Where the user's own files are, nil when nobody knows.
local function user_directory(getenv)
  local home = getenv("XDG_CONFIG_HOME")
  if not home or home:sub(1, 1) ~= "/" then -- a relative one is to be ignored
    home = getenv("HOME")
    home = home and home:sub(1, 1) == "/" and home .. "/.config"
  end
  return home and home .. "/epoch" or nil
end

local function files_of(given, getenv)
  local one = given.file or getenv("EPOCH_CONFIG")
  if one and one ~= "" then
    return { one }, true
  end
  local own = user_directory(getenv)
  return { given.system_file or M.SYSTEM_FILE, own and own .. "/config.lua" }, false
end

local TRUTH = { ["1"] = true, ["true"] = true, ["yes"] = true, ["0"] = false, ["false"] = false, ["no"] = false }

-- One variable into a layer of its own; `what`: its name, for messages.
local function from_variable(what, place, value)
  if place.boolean then
    local truth = TRUTH[value:lower()]
    if truth == nil then
      return errors.fail("config", ("%s must be true or false, not %s"):format(what, text.quote(value)))
    end
    value = truth
  end
  local layer = { [place[#place]] = value }
  return place[2] and { [place[1]] = layer } or layer
end

-- Variables into the settings; their origin is `origin`, or they are themselves.
local function lay_variables(self, get, origin)
  for name, place in pairs(schema.ENVIRONMENT) do
    local value = trim(get(name) or "")
    if value ~= "" then
      local layer, err = from_variable(origin and origin .. ": " .. name or name, place, value)
      if not layer then
        return nil, err
      end
      self:lay(layer, origin or name)
    end
  end
  return true
end

-- The file of variables that is named (in `layers` that are laid later, too: the last wins),
-- else the user's own, which need not be there.
local function lay_env_file(self, getenv, layers)
  local path = trim(getenv("EPOCH_S3_ENV_FILE") or "")
  path = path ~= "" and path or self.values.s3.env_file
  for _, layer in ipairs(layers) do
    path = layer.s3 and layer.s3.env_file or path
  end
  local own = user_directory(getenv)
  local name = path or own and own .. "/s3.env"
  if not name then
    return true
  end
  local source, why, code = core.read_trusted(name, MAX_READ)
  if not source and not path and code == "not_found" then
    return true
  elseif not source then
    return errors.fail("config", "s3.env_file: " .. why)
  end
  self.files[#self.files + 1] = name
  local values, err = env_file.parse(source, name, schema.ENVIRONMENT)
  if not values then
    return nil, err
  end
  return lay_variables(self, function(variable) return values[variable] end, name)
end

--- Reads and merges all of it.
--- `file` instead of the usual two; `configured`: what epoch.configure was given; `options`:
-- what stands above everything else, and their `origin` (a text, or a function from a path).
---@param given? { file: string?, configured: table?, options: table?, origin: any }
---@return epoch.Settings?
---@return epoch.Error?
function M.load(given)
  given = options.check("epoch.config.load", LOAD, given)
  local getenv = given.getenv or os.getenv
  local configured = options.check("epoch.configure", schema.OPTIONS, given.configured)
  local above = options.check("epoch.config.load", schema.OPTIONS, given.options)
  local self = settings.new()
  self:lay(schema.DEFAULTS, "default")
  local files, required = files_of(given, getenv)
  for _, path in ipairs(files) do
    local layer, err = from_file(self, path, required, getenv)
    if not layer then
      return nil, err
    end
    self:lay(layer, path)
  end
  local ok, err = lay_env_file(self, getenv, { configured, above })
  if ok then
    ok, err = lay_variables(self, getenv)
  end
  if not ok then
    return nil, err
  end
  self:lay(configured, "epoch.configure")
  self:lay(above, given.origin)
  return self
end

-- For this Lua state: what epoch.configure was given, what else load gets, and the settings
-- that are in force.
local state = { configured = {}, base = {}, settings = nil }

--- Settings for what this Lua state does from now on, above files and environment: the
-- names are those of a file. Raises when one is wrong. `configure {}` forgets them again.
---@param given table
function M.configure(given)
  state.configured = options.check("epoch.configure", schema.OPTIONS, given)
  state.settings = nil
end

--- What `current` gives to `load`: for programs with options of their own.
---@param given { file: string?, options: table?, origin: any }
function M.base(given)
  state.base = given
  state.settings = nil
end

--- The settings in force; loaded when first asked for.
---@return epoch.Settings?
---@return epoch.Error?
function M.current()
  if not state.settings then
    local given = { configured = state.configured }
    for name, value in pairs(state.base) do
      given[name] = value
    end
    local loaded, err = M.load(given)
    if not loaded then
      return nil, err
    end
    state.settings = loaded
  end
  return state.settings
end

return M
