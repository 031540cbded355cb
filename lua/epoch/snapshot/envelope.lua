--- `snapshot.json`: what cocoon writes first and wants to read first. What nobody here knows
-- of it is kept as it was written.
local errors = require "epoch.errors"
local fields = require "epoch.snapshot.fields"
local json = require "epoch.json"
local slices = require "epoch.json_slices"
local text = require "epoch.text"

local M = {}

local ENVELOPE, BLOB = 1, 2

---@class epoch.snapshot.envelope what snapshot.json says
---@field name? string
---@field snapshot_id? string
---@field values table<string, any> members of the blob, by their names there, as fields.read has
--- them
---@field bytes string as received
---@field config integer where the config object begins in it
---@field others boolean has that members that the blob has no place for?

-- Where the config object is, or what is wrong with the rest.
local function find_config(s)
  local places = fields.places(s, { version = true, config = true })
  local version, config = places.version, places.config
  if version then
    version = fields.value(s, version[1], version[2])
    if version ~= 1 then
      return errors.fail("unsupported", ("snapshot.json: version %s, only 1 is known; a newer "
        .. "epoch may know it"):format(text.value(version)))
    end
  end
  if not config or s:byte(config[1]) ~= 123 then
    return fields.invalid("snapshot.json", "it has no config object")
  end
  return config[1]
end

--- Reads a snapshot.json.
---@param s string
---@return epoch.snapshot.envelope?
---@return epoch.Error?
function M.read(s)
  local ok, err = fields.check(s, "snapshot.json")
  local config
  if ok then
    config, err = find_config(s)
  end
  if not config then
    return nil, err
  end
  local places, others = fields.places(s, fields.OF_ENVELOPE, config)
  local out = { values = {}, bytes = s, config = config, others = others }
  for _, field in ipairs(fields.LIST) do
    local place = places[field[ENVELOPE]]
    if place and field[BLOB] then
      local written, value = fields.read(field, s, place,
        "snapshot.json: config." .. field[ENVELOPE])
      if not written then
        return nil, value
      end
      out.values[field[BLOB]] = written
      out.snapshot_id = field[ENVELOPE] == "id" and value ~= "" and value or out.snapshot_id
    end
  end
  if places.name and s:byte(places.name[1]) == 34 then
    out.name = fields.value(s, places.name[1], places.name[2])
  end
  return out
end

-- An object on lines of its own, as Go indents it: begin, a line for each member, finish.
local function begin(write, depth)
  local behind, margin = "{\n", ("  "):rep(depth)
  local function member(name)
    write(behind .. margin .. "  " .. json.encode(name) .. ": ")
    behind = ",\n"
  end
  local function finish()
    write("\n" .. margin .. "}")
  end
  return member, finish
end

local function write_set(set, write, depth)
  local member, finish = begin(write, depth)
  for _, name in ipairs(set.names) do
    member(name)
    write(set.texts[name])
  end
  finish()
end

--- The snapshot.json for cocoon, under the name that the snapshot is to have there.
---@param config epoch.snapshot.config
---@param local_name string
---@return function text see epoch.pieces
function M.write(config, local_name)
  return function(write)
    local outer, finish_outer = begin(write, 0)
    outer "version"
    write "1"
    outer "config"
    local member, finish = begin(write, 1)
    for _, field in ipairs(fields.LIST) do
      local value = field[BLOB] and config.values[field[BLOB]]
      if not field[BLOB] then
        member(field[ENVELOPE])
        write(json.encode(local_name))
      elseif value and value ~= "" then
        member(field[ENVELOPE])
        if type(value) == "table" then
          write_set(value, write, 2)
        else
          write(value)
        end
      end
    end
    if config.extra then
      for name, first, last in slices.each(config.bytes, config.extra) do
        member(name)
        slices.write(config.bytes, first, last, write)
      end
    end
    finish()
    finish_outer()
    write "\n"
    return true
  end
end

return M
