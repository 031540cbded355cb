--- Is the store there? For epoch.gateway.thread.
local catalog = require "epoch.registry.tags"

local M = {}

--- True when the store answers, with or without a catalog.
function M.ready(home)
  local info, err = home.store:head(catalog.CATALOG)
  return (info or err.kind == "not_found") and true or nil, err
end

return M
