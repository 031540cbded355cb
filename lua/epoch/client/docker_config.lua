--- docker's config.json: whose credentials are where. Others write this file too, so what is
--- not ours stays in it as it was written.
local base64 = require "epoch.client.base64"
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local members = require "epoch.client.members"
local text = require "epoch.text"

local M = {}

local MAX = 1024 * 1024

--- Where it is when nothing else is said: $DOCKER_CONFIG/config.json, ~/.docker/config.json.
---@return string?
function M.default_path()
  local dir = os.getenv("DOCKER_CONFIG")
  if dir and dir ~= "" then
    return dir .. "/config.json"
  end
  local home = os.getenv("HOME")
  return home and home ~= "" and home .. "/.docker/config.json" or nil
end

local function invalid(path, why)
  return errors.fail("config", ("%s: %s"):format(text.printable(path, 300), why))
end

-- Its text, or false when there is none.
local function read(task, path)
  local source, message, code = core.file(path)
  if not source then
    if code == "not_found" then
      return false
    end
    return errors.fail(code, message)
  end
  local sink = core.collect(MAX)
  local moved, err = task:flow { source = source, sink = sink }
  local bytes = moved and sink:bytes()
  sink:close()
  if not moved then
    return nil, errors.wrap(err, path)
  end
  return bytes
end

--- The file decoded, or false when there is none.
---@param task epoch.task
---@param path string
---@return table|false|nil
---@return epoch.Error?
function M.load(task, path)
  local bytes, err = read(task, path)
  if not bytes then
    return bytes, err
  end
  local value
  value, err = json.decode(bytes, MAX)
  if err or type(value) ~= "table" then
    return invalid(path, err and err.message or "it is no JSON object")
  end
  for _, name in ipairs { "auths", "credHelpers" } do
    if value[name] ~= nil and value[name] ~= json.null and type(value[name]) ~= "table" then
      return invalid(path, name .. " is no object")
    end
  end
  return value
end

local function member(value, name)
  local found = value[name]
  return type(found) == "table" and found or {}
end

--- The helper that keeps the credentials of one of these hosts, and the host as it knows it.
---@param value table
---@param keys string[]
---@return string? helper
---@return string? key
function M.helper(value, keys)
  for _, key in ipairs(keys) do
    local helper = member(value, "credHelpers")[key]
    if type(helper) == "string" and helper ~= "" then
      return helper, key
    end
  end
  local store = value.credsStore
  if type(store) == "string" and store ~= "" then
    return store, keys[1]
  end
end

-- "https://host:1/v2/" means "host:1", as it does for docker.
local function host_of(key)
  local host, path = key:lower():gsub("^https?://", ""):match("^([^/]*)(.*)$")
  if path == "" or path:find("^/v?[12]?/?$") then
    return host
  end
end

local function entry_for(value, keys)
  local auths = member(value, "auths")
  for _, key in ipairs(keys) do
    if type(auths[key]) == "table" then
      return auths[key]
    end
  end
  for _, key in ipairs(keys) do
    local host = host_of(key)
    for name, entry in pairs(auths) do
      if type(entry) == "table" and host and host_of(name) == host then
        return entry
      end
    end
  end
end

local function filled(value)
  return type(value) == "string" and value ~= "" and value or nil
end

--- The credential that `auths` has for one of these hosts, or false.
---@param value table
---@param keys string[]
---@param path string for messages
---@return epoch.Credential|false|nil
---@return epoch.Error?
function M.entry(value, keys, path)
  local entry = entry_for(value, keys)
  if not entry then
    return false
  elseif filled(entry.identitytoken) then
    return { identity_token = entry.identitytoken }
  elseif filled(entry.registrytoken) then
    return { registry_token = entry.registrytoken }
  elseif filled(entry.auth) then
    local user, password = (base64.decode(entry.auth) or ""):match("^([^:]+):(.*)$")
    if not user then
      return invalid(path, ("auth of %s is not the base64 of USER:PASSWORD; log in again")
        :format(text.quote(keys[1])))
    end
    return { username = user, password = (password:gsub("%z+$", "")) }
  elseif filled(entry.username) and filled(entry.password) then
    return { username = entry.username, password = entry.password }
  end
  return false
end

local MODE_FILE, MODE_DIR = tonumber("600", 8), tonumber("700", 8)

local function write(task, path, bytes)
  local dir = path:match("^(.+)/[^/]*$")
  local ok, message, code
  if dir then
    ok, message, code = core.mkdir(dir, MODE_DIR)
    if not ok then
      return errors.fail(code, message)
    end
  end
  local sink
  sink, message, code = core.create(path, { mode = MODE_FILE })
  if not sink then
    return errors.fail(code, message)
  end
  local moved, err = task:flow { source = core.bytes(bytes), sink = sink }
  if not moved then
    return nil, err
  end
  return true
end

-- The members of a member that is an object, none where it is not there.
local function nested(list, name)
  local raw = members.get(list, name)
  if not raw or raw == "null" then
    return {}
  end
  return members.split(raw)
end

--- Changes the entries of `auths`: the first key gets the credential (an empty entry with
--- `elsewhere`: a helper has it), the others go. No credential: all of them go.
---@param task epoch.task
---@param path string
---@param keys string[]
---@param credential epoch.Credential?
---@param elsewhere boolean?
---@return true?
---@return epoch.Error?
function M.update(task, path, keys, credential, elsewhere)
  local bytes, err = read(task, path)
  if bytes == nil then
    return nil, err
  elseif not bytes and not credential then
    return true
  end
  local list, auths
  list, err = members.split(bytes or "{}")
  if list then
    auths, err = nested(list, "auths")
  end
  if not auths then
    return invalid(path, err.message)
  end
  local before = members.join(auths, 1)
  for _, key in ipairs(keys) do
    members.set(auths, key, nil)
  end
  if credential then
    local fields = {}
    if not elsewhere then
      fields = {
        { "auth", base64.encode((credential.username or "") .. ":" .. (credential.password or "")) },
        { "identitytoken", credential.identity_token },
      }
    end
    local raw
    raw, err = json.encode(json.object(fields))
    if not raw then
      return nil, err
    end
    members.set(auths, keys[1], raw)
  end
  local after = members.join(auths, 1)
  if after == before then
    return true
  end
  members.set(list, "auths", after)
  return write(task, path, members.join(list) .. "\n")
end

return M
