--- Which manifests are of generation 1: those with schemaVersion 1, and those of the first programs
-- of that generation, whose command line wrote no schemaVersion, called the snapshot's id snapshotID
-- and said nothing but names, files and a time. Files have a filename there, layers of others do not.
local json = require "epoch.json"

local M = {}

local NOT_SAID = { [0] = true, [json.null] = true }

local function names_files(list)
  local one = type(list) == "table" and list[1]
  return type(one) == "table" and type(one.filename) == "string"
end

--- Is a decoded manifest of generation 1?
---@param members table
---@return boolean
function M.is_first(members)
  local version = members.schemaVersion
  return version == 1 or (version == nil or NOT_SAID[version] == true) and names_files(members.layers)
end

--- The snapshot's id, whichever of the two members has it.
---@param members table
---@return any
function M.snapshot_id(members)
  local id = members.snapshotId
  if id == nil or id == json.null then
    id = members.snapshotID
  end
  return id
end

return M
