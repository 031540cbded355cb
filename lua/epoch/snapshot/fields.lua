--- What snapshot.json and the config blob have in common: their members, and how the text of
-- each is read. Values stay text: a number of more digits than Lua's numbers have arrives as
-- it was written.
local errors = require "epoch.errors"
local json = require "epoch.json"
local slices = require "epoch.json_slices"
local text = require "epoch.text"

local M = {}

--- The largest config blob, and the largest snapshot.json.
M.MAX = 16 * 1024 * 1024

-- The member of snapshot.json, that of the blob, what it is, and its name in Lua, in the
-- order in which they are written.
M.LIST = {
  { "id", "snapshotId", "text", "snapshot_id" },
  { "name" },
  { "description", "description", "text", "description" },
  { "image", "image", "text", "image" },
  { "image_digest", "imageDigest", "text", "image_digest" },
  { "image_type", "imageType", "text", "image_type" },
  { "image_blob_ids", "imageBlobIds", "set", "image_blob_ids" },
  { "hypervisor", "hypervisor", "text", "hypervisor" },
  { "cpu", "cpu", "whole", "cpu" },
  { "memory", "memory", "whole", "memory" },
  { "storage", "storage", "whole", "storage" },
  { "nics", "nics", "whole", "nics" },
  { "network", "network", "text", "network" },
  { "windows", "windows", "flag", "windows" },
}

local ENVELOPE, BLOB = 1, 2

--- Members by their names there.
M.OF_ENVELOPE, M.OF_BLOB = {}, {}
for _, field in ipairs(M.LIST) do
  M.OF_ENVELOPE[field[ENVELOPE]] = field
  if field[BLOB] then
    M.OF_BLOB[field[BLOB]] = field
  end
end

--- nil and the error for what is wrong at a place.
function M.invalid(where, why)
  return errors.fail("invalid", ("%s: %s"):format(where, why))
end

--- For table.sort: members by their names.
function M.by_name(a, b)
  return a[1] < b[1]
end

-- The text of a value as it is written: "" for those that are left out, or nil for one that
-- is not of its kind. The second answer is the value for Lua.
local CANONICAL = {
  text = function(s)
    local value = s:find('^"') and json.decode("[" .. s .. "]", #s + 2)[1]
    return value and (value == "" and "" or json.encode(value)), value
  end,
  whole = function(s)
    if not s:find("^%-?%d+$") or #s > 19 then
      return nil
    end
    return s == "0" and "" or s, tonumber(s)
  end,
  flag = function(s)
    return s == "true" and s or s == "false" and "" or nil, s == "true"
  end,
  set = function(s)
    if not s:find("^{") then
      return nil
    end
    local members, set = slices.members(s), {}
    table.sort(members, M.by_name)
    for _, member in ipairs(members) do
      set[member[1]] = true
    end
    return #members > 0 and slices.object(members) or "", set
  end,
}

local KIND = { text = "a text", whole = "a whole number", flag = "true or false", set = "an object" }

--- The text of a member as it is written, "" for one that is left out, and its value.
---@return string?
---@return any
function M.read(field, s, where)
  if s == "null" then
    return ""
  end
  local written, value = CANONICAL[field[3]](s)
  if not written then
    return M.invalid(where, ("must be %s, not %s"):format(KIND[field[3]], text.printable(s, 40)))
  end
  return written, value
end

--- The object that a text of at most MAX bytes is, as decoded, and its members.
function M.open(s, what)
  local decoded, err = json.decode(s, M.MAX)
  if err then
    return nil, errors.new(err.kind, what .. ": " .. err.message)
  elseif type(decoded) ~= "table" or not s:find("^%s*{") then
    return M.invalid(what, "it is no JSON object")
  end
  return decoded, slices.members(s)
end

return M
