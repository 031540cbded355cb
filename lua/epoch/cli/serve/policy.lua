--- Who may write to a server that was started by hand. Where only this machine can come, everybody
-- may, until somebody makes a token; elsewhere that has to be said.
local errors = require "epoch.errors"

local M = {}

--- What to lay over the settings of the gateway, and a line to say, if any.
---@param given { at: table, anonymous_push: boolean?, tokens: boolean, configured: table? }
---@return table?
---@return string|epoch.Error|nil
function M.of(given)
  local configured = given.configured or {}
  if given.anonymous_push or configured.anonymous_push ~= nil then
    return { anonymous_push = given.anonymous_push }
  elseif given.tokens then
    return {}
  elseif not given.at.loopback then
    return errors.fail("usage", ("on %s others could push, too: make a token (epoch token create, or "
      .. "EPOCH_REGISTRY_TOKEN), or say --anonymous-push"):format(given.at.host))
  end
  return { anonymous_push = true }, "no token is configured, so whoever is on this machine may push and delete"
end

return M
