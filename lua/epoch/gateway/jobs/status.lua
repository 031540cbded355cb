--- Is the store there? For epoch.gateway.thread.
local catalog = require "epoch.registry.tags"
local impatient = require "epoch.gateway.jobs.impatient"

local M = {}

--- Asks it, and tells all workers: "ready:at" is when it answered or did not, "ready:why" why it did not.
---@param home table
---@param spec table
---@return true
function M.ask(home, spec)
  local nginx = rawget(_G, "ngx")
  local dict = nginx.shared.epoch
  local asked, err = impatient.home(home, spec)
  local info
  if asked then
    info, err = asked.store:head(catalog.CATALOG)
  end
  local there = info or err.kind == "not_found" -- a store may be empty
  dict:set("ready:why", not there and tostring(err) or nil)
  dict:set("ready:at", nginx.now())
  dict:delete("ready:turn")
  return true
end

return M
