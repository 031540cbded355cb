--- Where an artifact is: the home for a reference, opened with what is configured for it.
--
--     local home, ref = locate.open(task, "registry.example/vms/demo:v1")
--     local manifest = assert(home:get_manifest(ref.name, ref.digest or ref.tag))
--
-- A host in the reference wins, then the registry of the settings ($EPOCH_SERVER, --registry),
-- then the local default, a directory that only this machine knows.
local config = require "epoch.config"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local mirrors = require "epoch.mirrors"
local reference = require "epoch.reference"
local registry_settings = require "epoch.registry.settings"
local text = require "epoch.text"

local M = {}

-- The user's numeric id, without a program to ask.
local function is_root()
  local status = io.open("/proc/self/status")
  local uid = status and status:read("*a"):match("\nUid:%s+%d+%s+(%d+)")
  if status then
    status:close()
  end
  return uid == "0"
end

--- The home that is used when none is named: file://$XDG_DATA_HOME/epoch, for root without
-- that variable /var/lib/epoch.
---@param getenv? fun(name: string): string?
---@param root? boolean
---@return string?
---@return epoch.Error?
function M.default(getenv, root)
  getenv = getenv or os.getenv
  local data = getenv("XDG_DATA_HOME")
  if data and data:sub(1, 1) == "/" then -- a relative one is to be ignored
    return "file://" .. data .. "/epoch"
  elseif root == true or root == nil and is_root() then
    return "file:///var/lib/epoch"
  end
  local own = getenv("HOME")
  if own and own:sub(1, 1) == "/" then
    return "file://" .. own .. "/.local/share/epoch"
  end
  return errors.fail("usage", "no home is named and there is no place for a local one (neither "
    .. "XDG_DATA_HOME nor HOME is set): use --registry HOME or set EPOCH_SERVER")
end

--- The home of a reference (nil: of none in particular) as people write it, and whether it is
-- the local default, which nobody has named.
---@param ref epoch.Reference?
---@param settings epoch.Settings
---@return string?
---@return boolean|epoch.Error is_default
function M.home_of(ref, settings)
  if ref and ref.host then
    return ref.host, false
  elseif settings.values.registry then
    return settings.values.registry, false
  end
  local home, err = M.default()
  return home, err or true
end

-- What a home takes of what is configured, and the mirrors of its host.
local function home_options(name, settings)
  if name:find("^s3:") then
    return registry_settings.s3_options(settings), {} -- the bucket is the home's
  end
  local host = settings.host_of(name)
  if not host then
    return nil, {}
  end
  local given = settings:host(host)
  local others = given.mirrors or {}
  given.mirrors = nil
  given.spool_dir = settings.values.spool_dir
  return given, others
end

-- The home with its mirrors before it.
local function behind_mirrors(task, home, names, settings)
  local opened = {}
  for i, name in ipairs(names) do
    local options = home_options(name, settings)
    local mirror, err = nil, errors.new("config", text.quote(name) .. " is not the address of a registry")
    if options then
      options.retries = 0 -- there is the registry to turn to
      mirror, err = homes.open(task, name, options)
    end
    if not mirror then
      for _, one in ipairs(opened) do
        one:close()
      end
      home:close()
      return nil, errors.wrap(err, "the mirror of " .. home:describe())
    end
    opened[i] = mirror
  end
  return mirrors.new(home, opened)
end

--- What epoch.home.open takes for a home, of what is configured.
---@param name string
---@param settings epoch.Settings
---@return table?
function M.options(name, settings)
  return (home_options(name, settings))
end

--- Opens a home by the name that people write, with what is configured for it. `to_read`: what
-- is asked for may come from the mirrors that are configured for its host.
---@param task epoch.task
---@param name string
---@param settings epoch.Settings? those in force
---@param to_read boolean?
---@return table? home
---@return epoch.Error?
function M.open_home(task, name, settings, to_read)
  local err
  if not settings then
    settings, err = config.current()
    if not settings then
      return nil, err
    end
  end
  local options, others = home_options(name, settings)
  local home
  home, err = homes.open(task, name, options)
  if home and to_read and others[1] then
    return behind_mirrors(task, home, others, settings)
  end
  return home, err
end

--- The home of a reference, opened, and the reference.
---@param task epoch.task
---@param given string|epoch.Reference
---@param settings epoch.Settings? those in force
---@param to_read boolean?
---@return table? home
---@return epoch.Reference|epoch.Error ref
function M.open(task, given, settings, to_read)
  local ref, err = given, nil
  if type(given) == "string" then
    ref, err = reference.parse(given)
  end
  if ref and not settings then
    settings, err = config.current()
  end
  if not (ref and settings) then
    return nil, err
  end
  local name, home
  name, err = M.home_of(ref, settings)
  if name then
    home, err = M.open_home(task, name, settings, to_read)
  end
  return home, home and ref or err
end

return M
