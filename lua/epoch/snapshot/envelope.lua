--- `snapshot.json`: what cocoon writes first and wants to read first. What nobody here knows
-- of it is kept as it was written.
local errors = require "epoch.errors"
local fields = require "epoch.snapshot.fields"
local json = require "epoch.json"
local slices = require "epoch.json_slices"
local text = require "epoch.text"

local M = {}

local ENVELOPE, BLOB, KIND = 1, 2, 3

---@class epoch.snapshot.envelope what snapshot.json says
---@field name? string
---@field snapshot_id? string
---@field values table<string, string> members of the blob, by their names there, as JSON
---@field extra string[][] members that the blob has no place for: { name, JSON }

--- Reads a snapshot.json.
---@param s string
---@return epoch.snapshot.envelope?
---@return epoch.Error?
function M.read(s)
  local decoded, members = fields.open(s, "snapshot.json")
  if not decoded then
    return nil, members
  elseif decoded.version ~= nil and decoded.version ~= 1 then
    return errors.fail("unsupported", ("snapshot.json: version %s, only 1 is known; a newer "
      .. "epoch may know it"):format(text.value(decoded.version)))
  end
  local config
  for _, member in ipairs(members) do
    config = member[1] == "config" and member[2] or config
  end
  if not config or not config:find("^{") then
    return fields.invalid("snapshot.json", "it has no config object")
  end
  local out = { values = {}, extra = {} }
  for _, member in ipairs(slices.members(config)) do
    local name, value = member[1], member[2]
    local field = fields.OF_ENVELOPE[name]
    if not field then
      out.extra[#out.extra + 1] = member
    elseif field[BLOB] then
      local written, err = fields.read(field, value, "snapshot.json: config." .. name)
      if not written then
        return nil, err
      end
      out.values[field[BLOB]] = written
    end
  end
  local name = decoded.config.name
  out.name = type(name) == "string" and name or nil
  local id = decoded.config.id
  out.snapshot_id = type(id) == "string" and id ~= "" and id or nil
  return out
end

-- An object on lines of its own, as Go indents it.
local function lines(members, depth)
  local out, margin = {}, ("  "):rep(depth)
  for i, member in ipairs(members) do
    out[i] = ("%s  %s: %s"):format(margin, json.encode(member[1]), member[2])
  end
  return "{\n" .. table.concat(out, ",\n") .. "\n" .. margin .. "}"
end

--- The snapshot.json for cocoon, under the name that the snapshot is to have there.
---@param config epoch.snapshot.config
---@param local_name string
---@return string
function M.write(config, local_name)
  local members = {}
  for _, field in ipairs(fields.LIST) do
    local value = field[BLOB] and config.values[field[BLOB]]
    if not field[BLOB] then
      members[#members + 1] = { field[ENVELOPE], json.encode(local_name) }
    elseif value and value ~= "" then
      members[#members + 1] = { field[ENVELOPE],
                                field[KIND] == "set" and lines(slices.members(value), 2) or value }
    end
  end
  for _, member in ipairs(config.extra) do
    members[#members + 1] = member
  end
  return lines({ { "version", "1" }, { "config", lines(members, 1) } }, 0) .. "\n"
end

return M
