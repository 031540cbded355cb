--- snapshots.json, cocoon's list of what it has: {"snapshots":{ID:RECORD},"names":{NAME:ID}}.
--
--     local db = assert(database.parse(bytes))
--     db.snapshots[db.names.demo].memory    --> 536870912
--     db.snapshots.ID2 = { id = "ID2", name = "copy", created_at = "2026-11-21T05:16:18Z" }
--     db.names.copy = "ID2"
--     bytes = assert(database.encode(db))
--
-- Newer cocoons write more than is known here: what stays in its place is written as it came, to
-- the digit, its unknown members too.
local calendar = require "epoch.calendar"
local errors = require "epoch.errors"
local json = require "epoch.json"
local options = require "epoch.options"
local slices = require "epoch.json_slices"
local text = require "epoch.text"

local M = {}

--- The largest database that is read.
M.MAX = 64 * 1024 * 1024

-- The members of a record in the order in which they are written, and what they are. Empty ones
-- are left out.
local FIELDS = {
  { "id", "text", always = true },
  { "name", "text", always = true },
  { "description", "text" },
  { "image", "text" },
  { "image_blob_ids", "set" },
  { "cpu", "whole" },
  { "memory", "whole" },
  { "storage", "whole" },
  { "nics", "whole" },
  { "created_at", "text", always = true },
  { "pending", "flag" },
  { "data_dir", "text" },
}

local RULES = {
  text = { type = "string" }, whole = { type = "integer", min = 0 }, flag = { type = "boolean" },
  set = { map = { enum = { true } } },
}

-- One that is none and cocoon reads nothing at all any more.
local function is_time(value)
  return calendar.is_strict(value), "is no time that cocoon can read"
end

local RECORD, TIMED, NEW, KIND, ALWAYS = {}, {}, {}, {}, {}
for _, field in ipairs(FIELDS) do
  local name, kind = field[1], field[2]
  RECORD[name], TIMED[name], NEW[name] = RULES[kind], RULES[kind], RULES[kind]
  KIND[name], ALWAYS[name] = kind, field.always
end
NEW.id = { type = "string", required = true, min = 1 }
NEW.created_at = { type = "string", required = true, check = is_time }
TIMED.created_at = NEW.created_at

---@class epoch.cocoon.record
---@field id string
---@field name string
---@field description? string
---@field image? string
---@field image_blob_ids? table<string, true>
---@field cpu? integer
---@field memory? integer
---@field storage? integer
---@field nics? integer
---@field created_at string
---@field pending? boolean cocoon is still making it
---@field data_dir? string

---@class epoch.cocoon.database
---@field snapshots table<string, epoch.cocoon.record> by id
---@field names table<string, string> ids by name
---@field bytes? string as it was read; nil: there was none
---@field as_read? table what of that is written again

local function invalid(where, why)
  return errors.fail("invalid", ("snapshots.json: %s %s"):format(where, why))
end

local function is_object(value)
  return type(value) == "table" and (next(value) == nil or type((next(value))) == "string")
end

-- The value of a known member; nil, and what it must be where it is not that.
local READ = {
  text = function(value)
    return type(value) == "string" and value or nil, "a text"
  end,
  whole = function(value)
    return json.size(value), "a whole number"
  end,
  flag = function(value)
    if type(value) == "boolean" then
      return value
    end
    return nil, "true or false"
  end,
  set = function(value)
    if not is_object(value) then
      return nil, "an object"
    end
    local set = {}
    for name in pairs(value) do
      set[name] = true
    end
    return set
  end,
}

local function read_record(value, where)
  if not is_object(value) then
    return invalid(where, "must be an object")
  end
  local record = {}
  for name, kind in pairs(KIND) do
    if value[name] ~= nil and value[name] ~= json.null then
      local read, wanted = READ[kind](value[name])
      if read == nil then
        return invalid(("%s.%s"):format(where, name), "must be " .. wanted)
      end
      record[name] = read
    end
  end
  return record
end

-- The members of one of the two objects, by name, where the document has it.
local function member_of(members, name)
  for _, member in ipairs(members) do
    if member[1] == name and member[2] ~= "null" then
      return slices.members(member[2])
    end
  end
  return {}
end

local function read_snapshots(db, decoded, members)
  for _, member in ipairs(member_of(members, "snapshots")) do
    local id = member[1]
    local where = "snapshots." .. text.printable(id, 80)
    if decoded[id] ~= json.null then
      local record, err = read_record(decoded[id], where)
      if not record then
        return nil, err
      end
      db.snapshots[id] = record
      db.as_read.records[record] = {
        members = slices.members(member[2]), values = read_record(decoded[id], where),
      }
    end
    db.as_read.ids[#db.as_read.ids + 1] = id
  end
  return true
end

local function read_names(db, decoded, members)
  for _, member in ipairs(member_of(members, "names")) do
    local id = decoded[member[1]]
    if type(id) ~= "string" then
      return invalid("names." .. text.printable(member[1], 80), "must be a text")
    end
    db.names[member[1]] = id
    db.as_read.names[#db.as_read.names + 1] = member[1]
  end
  return true
end

--- A database with nothing in it.
---@return epoch.cocoon.database
function M.empty()
  return {
    snapshots = {}, names = {},
    as_read = { members = { { "snapshots" }, { "names" } }, records = {}, ids = {}, names = {} },
  }
end

--- Reads a database.
---@param bytes string
---@return epoch.cocoon.database?
---@return epoch.Error?
function M.parse(bytes)
  local decoded, err = json.decode(bytes, M.MAX)
  if err then
    return nil, errors.wrap(err, "snapshots.json")
  elseif type(decoded) ~= "table" or not bytes:find("^%s*{") then
    return invalid("it", "is no JSON object")
  end
  local db, members = M.empty(), slices.members(bytes)
  db.bytes = bytes
  for name, read in pairs { snapshots = read_snapshots, names = read_names } do
    local value = decoded[name] ~= json.null and decoded[name] or {}
    if not is_object(value) then
      return invalid(name, "must be an object")
    end
    local ok
    ok, err = read(db, value, members)
    if not ok then
      return nil, err
    end
  end
  for _, one in ipairs(db.as_read.members) do
    if decoded[one[1]] == nil then
      members[#members + 1] = one
    end
  end
  db.as_read.members = members
  return db
end

local function is_empty(value)
  return value == nil or value == "" or value == 0 or value == false
    or type(value) == "table" and next(value) == nil
end

local function encode_value(value)
  if type(value) ~= "table" then
    return assert(json.encode(value))
  end
  local set = {}
  for name in pairs(value) do
    set[name] = json.empty_object
  end
  return assert(json.encode(set))
end

local function is_same(a, b)
  return is_empty(a) and is_empty(b) or a ~= nil and b ~= nil and encode_value(a) == encode_value(b)
end

local function write_record(record, as_read)
  local rules = not as_read and NEW or record.created_at == as_read.values.created_at and RECORD or TIMED
  local checked = options.check("a record of snapshots.json", rules, record)
  local members, written = {}, {}
  for _, member in ipairs(as_read and as_read.members or {}) do
    local name = member[1]
    written[name] = true
    if is_same(checked[name], as_read.values[name]) then -- so is what nobody here knows
      members[#members + 1] = member
    elseif ALWAYS[name] or not is_empty(checked[name]) then
      members[#members + 1] = { name, encode_value(checked[name] or "") }
    end
  end
  for _, field in ipairs(FIELDS) do
    local name, value = field[1], checked[field[1]]
    if not written[name] and (not as_read and ALWAYS[name] or not is_empty(value)) then
      members[#members + 1] = { name, encode_value(value or "") }
    end
  end
  return slices.object(members)
end

-- The keys of a table: those that were there before in their order, then the others, sorted.
local function in_order(map, before)
  local keys, seen, others = {}, {}, {}
  for _, key in ipairs(before) do
    seen[key] = true
    keys[#keys + 1] = map[key] ~= nil and key or nil
  end
  for key in pairs(map) do
    others[#others + 1] = not seen[key] and key or nil
  end
  table.sort(others)
  for _, key in ipairs(others) do
    keys[#keys + 1] = key
  end
  return keys
end

local function write_map(map, before, write)
  local members = {}
  for i, key in ipairs(in_order(map, before)) do
    members[i] = { key, write(map[key]) }
  end
  return slices.object(members)
end

--- The file for it, also where it was not read but made. Records are checked; a wrong one raises.
---@param db epoch.cocoon.database
---@return string
function M.encode(db)
  local read, members = db.as_read or M.empty().as_read, {}
  for i, member in ipairs(read.members) do
    local name, value = member[1], member[2]
    if name == "snapshots" then
      value = write_map(db.snapshots or {}, read.ids, function(record)
        return write_record(record, read.records[record])
      end)
    elseif name == "names" then
      value = write_map(db.names or {}, read.names, json.encode)
    end
    members[i] = { name, value }
  end
  return slices.object(members) .. "\n"
end

return M
