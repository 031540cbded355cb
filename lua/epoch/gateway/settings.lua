--- The settings of a gateway: the configuration, loaded once before nginx has workers.
local config = require "epoch.config"
local errors = require "epoch.errors"
local locate = require "epoch.locate"
local store = require "epoch.gateway.store"
local text = require "epoch.text"

local M = {}

-- What gateways can serve: stores of objects. A registry is served by its own server.
local SERVED = { file = true, s3 = true }

---@type epoch.Settings
M.loaded = nil

--- Loads the configuration and says what is served.
---@param given { config: string? } the file (else those of the program), and settings over it
---@return true?
---@return epoch.Error?
function M.load(given)
  local own = {}
  for name, value in pairs(given or {}) do
    own[name] = value
  end
  local file = own.config
  own.config = nil
  local settings, err = config.load { file = file, options = own, origin = "nginx.conf" }
  if not settings then
    return nil, err
  end
  settings.values.gateway = settings.values.gateway or {}
  local name = settings.values.gateway.store
  if not name then
    return errors.fail("config", "gateway.store is not set: say which home is served, as file:///DIR or s3://BUCKET")
  elseif not SERVED[name:match("^(%w+):")] then
    return errors.fail("config", ("gateway.store: %s cannot be served; it must be file:///DIR or s3://BUCKET[/PREFIX]")
      :format(text.quote(name)))
  end
  store.use(name, locate.options(name, settings))
  M.loaded = settings
  return true
end

--- The table `gateway` of the configuration.
---@return table
function M.gateway()
  return M.loaded.values.gateway
end

return M
