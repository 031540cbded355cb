--- Who we are to a registry: a function of the caller's, docker's config.json, its helpers.
--- Everything is kept under the exact host[:port], and asked for only when it is needed.
local address = require "epoch.client.address"
local docker_config = require "epoch.client.docker_config"
local errors = require "epoch.errors"
local helper = require "epoch.client.helper"

---@class epoch.Credential one of: a name and a password, an identity token, a registry token
---@field username string?
---@field password string?
---@field identity_token string? to be exchanged for tokens
---@field registry_token string? sent as it is

local Credentials = {}
Credentials.__index = Credentials

local M = {}

--- `lookup(host)` of the caller comes first; it answers a name and a password, or a table, or
--- nothing. `path`: of docker's config.json; false: none is read. `search`: where helpers are,
--- instead of PATH.
---@param task epoch.task
---@param options { lookup: function?, path: string|false|nil, search: string? }?
function M.new(task, options)
  options = options or {}
  local path = options.path
  if path == nil then
    path = docker_config.default_path()
  end
  return setmetatable({
    task = task, lookup = options.lookup, path = path or nil, search = options.search,
  }, Credentials)
end

local FIELDS = { "username", "password", "identity_token", "registry_token" }

-- What the caller's function answered, as a credential.
local function from_caller(host, first, second)
  if first == nil or first == false then
    return false
  elseif type(first) == "string" and type(second) == "string" then
    return { username = first, password = second }
  elseif type(first) == "table" then
    local credential = {}
    for _, name in ipairs(FIELDS) do
      if type(first[name]) == "string" and first[name] ~= "" then
        credential[name] = first[name]
      end
    end
    if credential.identity_token or credential.registry_token or credential.username and credential.password then
      return credential
    end
  end
  return errors.fail("config", ("the credentials function answered for %s neither a name and a "
    .. "password nor a token"):format(host))
end

--- The credential for a registry, or false when there is none.
---@param at epoch.client.Address
---@return epoch.Credential|false|nil
---@return epoch.Error?
function Credentials:get(at)
  if self.lookup then
    local first, second = self.lookup(at.name)
    if first == nil and errors.is(second) then
      return nil, second
    end
    local found, err = from_caller(at.name, first, second)
    if found ~= false then
      return found, err
    end
  end
  if not self.path then
    return false
  end
  local config, err = docker_config.load(self.task, self.path)
  if not config then
    return config, err
  end
  local name, key = docker_config.helper(config, at.keys)
  if name then
    local found
    found, err = helper.get(self.task, name, key, self.search)
    if found ~= false then
      return found, err
    end
  end
  return docker_config.entry(config, at.keys, self.path)
end

-- Where a host's credentials are written to, or nil and an error.
local function place(self, host)
  local at, err = address.parse(host)
  if not at then
    return nil, err
  elseif not self.path then
    return errors.fail("not_found", "there is no place for credentials: neither DOCKER_CONFIG nor HOME is set")
  end
  local config
  config, err = docker_config.load(self.task, self.path)
  if config == nil then
    return nil, err
  end
  return { at = at, config = config or {} }
end

--- Keeps a name and a password, or an identity token, for a host: in the helper that the
--- config names for it, else in the config itself. Answers where: "helper NAME" or the path.
---@param host string host[:port]
---@param credential epoch.Credential
---@return string?
---@return epoch.Error?
function Credentials:store(host, credential)
  if not (credential.identity_token or credential.username and credential.password) then
    error("a credential to keep has a username and a password, or an identity_token", 2)
  elseif credential.username and (credential.username == "" or credential.username:find("[:%c]")) then
    return errors.fail("invalid", "a user name is not empty and has no colon and no control characters")
  end
  local found, err = place(self, host)
  if not found then
    return nil, err
  end
  local name, key = docker_config.helper(found.config, found.at.keys)
  local ok
  if name then
    ok, err = helper.store(self.task, name, key, credential, self.search)
    if not ok then
      return nil, err
    end
  end
  ok, err = docker_config.update(self.task, self.path, found.at.keys, credential, name ~= nil)
  if not ok then
    return nil, err
  end
  return name and "helper " .. name or self.path
end

--- Forgets what is kept for a host; nothing kept is fine.
---@param host string
---@return true?
---@return epoch.Error?
function Credentials:erase(host)
  local found, err = place(self, host)
  if not found then
    return nil, err
  end
  local name, key = docker_config.helper(found.config, found.at.keys)
  if name then
    local ok
    ok, err = helper.erase(self.task, name, key, self.search)
    if not ok then
      return nil, err
    end
  end
  return docker_config.update(self.task, self.path, found.at.keys, nil)
end

return M
