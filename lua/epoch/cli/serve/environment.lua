--- What nginx gets of the environment: what the configuration is made of, and nothing else.
-- Its workers see only what its own configuration names; values never stand in that file.
local core = require "epoch.core"
local schema = require "epoch.config.schema"

local M = {}

-- Where configurations, certificates and ways out of here are found.
local COMMON = {
  "EPOCH_CONFIG", "HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
  "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
}

-- Names that a configuration asks for by env "NAME", as far as they can be read off it.
local function add_asked(names, source)
  for name in source:gmatch("%f[%w_]env%s*%(?%s*[\"']([%a_][%w_]*)[\"']") do
    names[name] = true
  end
end

--- The variables that are there, for loop:spawn, and their names, sorted.
---@param files string[] the configurations that were read
---@param max integer how long one may be
---@param getenv? fun(name: string): string?
---@return table<string, string>
---@return string[]
function M.of(files, max, getenv)
  getenv = getenv or os.getenv
  local wanted = {}
  for _, name in ipairs(COMMON) do
    wanted[name] = true
  end
  for name in pairs(schema.ENVIRONMENT) do
    wanted[name] = true
  end
  for _, path in ipairs(files) do
    add_asked(wanted, core.read_trusted(path, max) or "")
  end
  local values, names = {}, {}
  for name in pairs(wanted) do
    local value = getenv(name)
    if value then
      values[name] = value
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return values, names
end

return M
