--- Is the store there? For epoch.gateway.thread.
local catalog = require "epoch.registry.tags"
local core = require "epoch.core"
local errors = require "epoch.errors"
local impatient = require "epoch.gateway.jobs.impatient"

local M = {}

-- True when it answers; a store may be empty, but a directory that is gone is not mounted.
local function answers(home, spec)
  local asked, err = impatient.home(home, spec)
  if not asked then
    return nil, err
  end
  local root = spec.name:match("^file://(/.*)$")
  local stat = root and core.stat(root:gsub("(.)/+$", "%1"))
  if root and not (stat and stat.type ~= "file") then
    return errors.fail("not_found", root .. " is no directory")
  end
  local info
  info, err = asked.store:head(catalog.CATALOG)
  return info and true or err.kind == "not_found" or nil, err
end

--- Asks it, and tells all workers: "ready:at" is when it answered or did not, "ready:why" why it did not.
---@param home table
---@param spec table
---@return true
function M.ask(home, spec)
  local nginx = rawget(_G, "ngx")
  local dict = nginx.shared.epoch
  local there, err = answers(home, spec)
  dict:set("ready:why", not there and tostring(err) or nil)
  dict:set("ready:at", nginx.now())
  dict:delete("ready:turn")
  return true
end

return M
