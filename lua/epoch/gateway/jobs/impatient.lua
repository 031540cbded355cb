--- The store that is served, for questions whose answer is worth nothing when it comes late: one try,
-- and a few seconds for it. For jobs.
local homes = require "epoch.home"

local M = {}

local HURRY = { retries = 0, connect_timeout = 3, header_timeout = 5, low_speed_time = 5 }

local opened = {}

--- The home to ask. A directory is there or not, and does not keep anybody waiting.
---@param home table the one that the job was given
---@param spec { name: string, options: table? } of epoch.gateway.store
---@return table?
---@return epoch.Error?
function M.home(home, spec)
  if not spec.name:find("^s3:") then
    return home
  elseif not opened[spec.name] then
    local options = {}
    for _, from in ipairs { spec.options or {}, HURRY } do
      for name, value in pairs(from) do
        options[name] = value
      end
    end
    local err
    opened[spec.name], err = homes.open(home.task, spec.name, options)
    return opened[spec.name], err
  end
  return opened[spec.name]
end

return M
