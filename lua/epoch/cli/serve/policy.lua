--- Who may write to a server that was started by hand. Where only this machine can come, everybody
-- may until somebody makes a token; elsewhere that has to be said.
local errors = require "epoch.errors"
local tokens = require "epoch.gateway.access.tokens"

local M = {}

---@class epoch.cli.serve.policy.given
---@field host string
---@field loopback boolean? nobody else can come to that host
---@field anonymous_push boolean? said with the command
---@field settings epoch.Settings
---@field home table the store, for its tokens

--- What to lay over the settings of the gateway, and a line to say, if any; nil and the error.
---@param given epoch.cli.serve.policy.given
---@return table?
---@return string|epoch.Error|nil
function M.of(given)
  local values = given.settings.values
  if given.anonymous_push or (values.gateway or {}).anonymous_push ~= nil then
    return { anonymous_push = given.anonymous_push }
  elseif values.token then
    return {}
  end
  local any, err = tokens.any(given.home)
  if any then
    return {}
  elseif any == nil then
    return nil, err
  elseif not given.loopback then
    return errors.fail("usage", ("on %s others could push, too: make a token (epoch token create, or "
      .. "EPOCH_REGISTRY_TOKEN), or say --anonymous-push"):format(given.host))
  end
  return { anonymous_push = true }, "no token is configured, so whoever is on this machine may push and delete"
end

return M
