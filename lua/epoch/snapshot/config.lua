--- The config blob of a snapshot: what snapshot.json says, under other names, and what is
-- known of the files. What the blob has no member for is in its `extra`, to the digit.
local errors = require "epoch.errors"
local fields = require "epoch.snapshot.fields"
local json = require "epoch.json"
local pieces = require "epoch.pieces"
local slices = require "epoch.json_slices"
local text = require "epoch.text"

local M = {}

--- The largest config blob.
M.MAX = fields.MAX

local BLOB, LUA = 2, 4

-- The members of the blob that are read.
local KNOWN = { schemaVersion = true, files = true, createdAt = true, extra = true }
for name in pairs(fields.OF_BLOB) do
  KNOWN[name] = true
end

local function sorted(files)
  local out = {}
  for i, file in ipairs(files) do
    out[i] = file
  end
  table.sort(out, function(a, b)
    return a.name < b.name
  end)
  return out
end

-- What fields.read has made of a member.
local function write_value(value, write)
  if type(value) == "string" then
    return write(value)
  end
  for i, name in ipairs(value.names) do
    write((i > 1 and "," or "{") .. json.encode(name) .. ":")
    write(value.texts[name])
  end
  write "}"
end

local function write_files(files, write)
  write "{"
  for i, file in ipairs(files) do
    local sparse = file.sparse or {}
    local written, err = json.encode(json.object {
      { "mode", file.mode }, { "sparseMap", sparse.map }, { "sparseSize", sparse.size },
    })
    if not written then
      return nil, err
    end
    write((i > 1 and "," or "") .. json.encode(file.name) .. ":")
    write(written)
  end
  write "}"
  return true
end

-- The members of an envelope that the blob has no place for.
local function write_extra(envelope, write)
  local s, behind = envelope.bytes, ',"extra":{'
  for name, first, last in slices.each(s, envelope.config) do
    if not fields.OF_ENVELOPE[name] then
      write(behind .. json.encode(name) .. ":")
      slices.write(s, first, last, write)
      behind = ","
    end
  end
  write "}"
end

--- The config blob of a snapshot: its envelope, and what is known of its files.
---@param envelope epoch.snapshot.envelope
---@param files { name: string, mode: integer, sparse: { map: string, size: integer }? }[]
---@param created_at string
---@return function? text see epoch.pieces
---@return integer|epoch.Error size
---@return epoch.digest? digest
function M.build(envelope, files, created_at)
  files = sorted(files)
  local function blob(write)
    write '{"schemaVersion":"v1"'
    for _, field in ipairs(fields.LIST) do
      local value = field[BLOB] and envelope.values[field[BLOB]]
      if value and value ~= "" then
        write((',"%s":'):format(field[BLOB]))
        write_value(value, write)
      end
    end
    write ',"files":'
    local ok, err = write_files(files, write)
    if not ok then
      return nil, err
    end
    write(',"createdAt":' .. json.encode(created_at))
    if envelope.others then
      write_extra(envelope, write)
    end
    write "}"
    return true
  end
  local size, digest = pieces.measure(blob)
  if not size then
    return nil, digest
  elseif size > M.MAX then
    return errors.fail("too_large", ("the snapshot's config would have %d bytes, at most %d can "
      .. "be pulled again: its disks are too fragmented; compact them, for example with "
      .. "qemu-img convert, and save the snapshot anew"):format(size, M.MAX))
  end
  return blob, size, digest
end

local OF_FILE = { mode = "mode", sparseSize = "sparse_size", sparseMap = "sparse_map" }

-- A list has none of the members, as an empty object has none.
local function read_file(s, at, where)
  local out, places = {}, {}
  if s:byte(at) == 123 then
    places = fields.places(s, OF_FILE, at)
  elseif s:byte(at) ~= 91 then
    return fields.invalid(where, "must be an object")
  end
  for name, place in pairs(places) do
    local value = fields.value(s, place[1], place[2])
    if value == json.null then
      value = nil
    elseif name == "sparseMap" and type(value) ~= "string" then
      return fields.invalid(where, "sparseMap must be a text")
    elseif name ~= "sparseMap" then
      value = json.size(value)
      if not value then
        return fields.invalid(where, name .. " is not a whole number")
      end
    end
    out[OF_FILE[name]] = value
  end
  return out
end

local function read_files(s, place, where)
  local out = {}
  local first = place and s:byte(place[1])
  if first == 91 and not s:find("^%[%s*%]", place[1]) then
    return fields.invalid(where, "must be an object, not a list")
  elseif not first or first == 91 or s:find("^null", place[1]) then
    return out
  elseif first ~= 123 then
    return fields.invalid(where, "must be an object")
  end
  for title, at in slices.each(s, place[1]) do
    local file, err = read_file(s, at, ("%s %s"):format(where, text.quote(title)))
    if not file then
      return nil, err
    end
    out[title] = file
  end
  return out
end

-- Where the members begin that the blob itself has no place for; false when there are none.
local function read_extra(s, place)
  if not place or s:find("^null", place[1]) then
    return false
  elseif s:byte(place[1]) ~= 123 then
    return fields.invalid("snapshot config: extra", "must be an object")
  end
  local name = next((fields.places(s, fields.OF_ENVELOPE, place[1])))
  if name then
    return fields.invalid("snapshot config: extra", ("%s has a place of its own"):format(
      text.quote(name)))
  end
  return place[1]
end

---@class epoch.snapshot.config
---@field bytes string as received
---@field schema_version string
---@field snapshot_id? string
---@field description? string
---@field image? string
---@field image_digest? string
---@field image_type? string
---@field image_blob_ids? table<string, boolean>
---@field hypervisor? string
---@field cpu? integer
---@field memory? integer
---@field storage? integer
---@field nics? integer
---@field network? string
---@field windows? boolean
---@field files table<string, { mode: integer?, sparse_map: string?, sparse_size: integer? }>
---@field created_at? string
---@field extra integer|false where in `bytes` the object of what has no member here begins
---@field values table<string, any> members by their names in the blob, as fields.read has them

local function is_v1(s, place)
  local version
  if place then
    version = fields.value(s, place[1], place[2])
  end
  if version == "v1" then
    return true
  end
  return errors.fail("unsupported", ("snapshot config: schemaVersion is %s, only v1 can be "
    .. "read; a newer epoch may know it"):format(text.value(version)))
end

local function read_fields(s, places, out)
  for _, field in ipairs(fields.LIST) do
    local name = field[BLOB]
    local place = name and places[name]
    if place then
      local written, value = fields.read(field, s, place,
        "snapshot config: " .. name)
      if not written then
        return nil, value
      end
      out.values[name], out[field[LUA]] = written, value
    end
  end
  return true
end

--- Reads a config blob.
---@param bytes string
---@return epoch.snapshot.config?
---@return epoch.Error?
function M.parse(bytes)
  local ok, err = fields.check(bytes, "snapshot config")
  if not ok then
    return nil, err
  end
  local places = fields.places(bytes, KNOWN)
  local out = { bytes = bytes, schema_version = "v1", values = {} }
  ok, err = is_v1(bytes, places.schemaVersion)
  if ok then
    ok, err = read_fields(bytes, places, out)
  end
  if ok then
    out.extra, err = read_extra(bytes, places.extra)
    ok = out.extra ~= nil
  end
  if ok then
    out.files, err = read_files(bytes, places.files, "snapshot config: files")
    ok = out.files
  end
  if not ok then
    return nil, err
  end
  local created = places.createdAt
  if created and bytes:byte(created[1]) == 34 then
    out.created_at = fields.value(bytes, created[1], created[2])
  end
  return out
end

return M
