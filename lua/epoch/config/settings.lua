--- Settings that were loaded: what holds for a host, and what may be shown of them.
local schema = require "epoch.config.schema"

---@class epoch.Settings
---@field values table the settings, nested as in a file
---@field origins table<string, string> by path ("s3.region"): where a value came from
---@field files string[] the files that were read
local Settings = {}
Settings.__index = Settings

local M = {}

local FOR_HOSTS = {
  "ca_cert", "client_cert", "client_key", "credentials", "plain_http", "proxy",
}

--- The host of a home that is a registry, nil for others.
---@param home string
---@return string?
function Settings.host_of(home)
  local address = home:match("^[hH][tT][tT][pP][sS]?://(.*)$")
  if not address then
    if home:find("^%a[%w+.-]*://") or home:find("^oci:") then
      return nil
    end
    address = home
  end
  return address:match("^[^/?#]*"):gsub("^.*@", ""):lower()
end

--- What holds for a host: its own settings, else those for all. The token without a host is
-- for the registry that is configured, and for no other.
---@param host string HOST[:PORT]
---@return table
function Settings:host(host)
  local out, home = {}, self.values.registry
  host = host:lower()
  for _, name in ipairs(FOR_HOSTS) do
    out[name] = self.values[name]
  end
  if home and self.host_of(home) == host then
    out.token = self.values.token
  end
  for key, own in pairs(self.values.hosts or {}) do
    for name, value in pairs(key:lower() == host and own or {}) do
      out[name] = value
    end
  end
  return out
end

local function shown(name, value)
  if schema.SECRET[name] then
    return "***"
  elseif type(value) == "function" then
    return "(a function)"
  elseif type(value) == "table" then
    local list = {}
    for i, one in ipairs(value) do
      list[i] = shown(name, one)
    end
    return list
  elseif type(value) == "string" then
    return (value:gsub("(://)[^/@]*@", "%1***@")) -- credentials in a URL
  end
  return value
end

local function collect(list, origins, values, prefix)
  for name, value in pairs(values) do
    local path = prefix .. name
    if origins[path] then
      list[#list + 1] = { name = path, value = shown(name, value), origin = origins[path] }
    elseif type(value) == "table" then
      collect(list, origins, value, path .. ".")
    end
  end
end

--- All settings, sorted by name, with their origins; secrets masked.
---@return { name: string, value: any, origin: string }[]
function Settings:list()
  local list = {}
  collect(list, self.origins, self.values, "")
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

--- Lays one layer over what is there: tables of settings are merged, lists are replaced.
---@param layer table
---@param origin string|fun(path: string): string
function Settings:lay(layer, origin, into, prefix)
  into, prefix = into or self.values, prefix or ""
  for name, value in pairs(layer) do
    local path = prefix .. name
    if type(value) == "table" and value[1] == nil and next(value) ~= nil then
      into[name] = type(into[name]) == "table" and into[name] or {}
      self:lay(value, origin, into[name], path .. ".")
    else
      into[name] = value
      self.origins[path] = type(origin) == "function" and origin(path) or origin
    end
  end
end

---@return epoch.Settings
function M.new()
  return setmetatable({ values = {}, origins = {}, files = {} }, Settings)
end

return M
