--- The config blob of a snapshot: what snapshot.json says, under other names, and what is
-- known of the files. What the blob has no member for is in its `extra`, to the digit.
local errors = require "epoch.errors"
local fields = require "epoch.snapshot.fields"
local json = require "epoch.json"
local slices = require "epoch.json_slices"
local text = require "epoch.text"

local M = {}

--- The largest config blob.
M.MAX = fields.MAX

local BLOB, LUA = 2, 4

local function write_files(files)
  local members = {}
  for i, file in ipairs(files) do
    local sparse = file.sparse or {}
    local written, err = json.encode(json.object {
      { "mode", file.mode }, { "sparseMap", sparse.map }, { "sparseSize", sparse.size },
    })
    if not written then
      return nil, err
    end
    members[i] = { file.name, written }
  end
  table.sort(members, fields.by_name)
  return slices.object(members)
end

--- The config blob of a snapshot: its envelope, and what is known of its files.
---@param envelope epoch.snapshot.envelope
---@param files { name: string, mode: integer, sparse: { map: string, size: integer }? }[]
---@param created_at string
---@return string?
---@return epoch.Error?
function M.build(envelope, files, created_at)
  local members = { { "schemaVersion", '"v1"' } }
  for _, field in ipairs(fields.LIST) do
    local value = field[BLOB] and envelope.values[field[BLOB]]
    if value and value ~= "" then
      members[#members + 1] = { field[BLOB], value }
    end
  end
  local written, err = write_files(files)
  if not written then
    return nil, err
  end
  members[#members + 1] = { "files", written }
  members[#members + 1] = { "createdAt", json.encode(created_at) }
  if #envelope.extra > 0 then
    members[#members + 1] = { "extra", slices.object(envelope.extra) }
  end
  local s = slices.object(members)
  if #s > M.MAX then
    return errors.fail("too_large", ("the snapshot's config would have %d bytes, at most %d can "
      .. "be pulled again: its disks are too fragmented; compact them, for example with "
      .. "qemu-img convert, and save the snapshot anew"):format(#s, M.MAX))
  end
  return s
end

local function read_file(value, where)
  if type(value) ~= "table" then
    return fields.invalid(where, "must be an object")
  end
  local out = { sparse_map = value.sparseMap }
  if out.sparse_map == json.null then
    out.sparse_map = nil
  elseif out.sparse_map ~= nil and type(out.sparse_map) ~= "string" then
    return fields.invalid(where, "sparseMap must be a text")
  end
  for name, key in pairs { mode = "mode", sparseSize = "sparse_size" } do
    if value[name] ~= nil and value[name] ~= json.null then
      out[key] = json.size(value[name])
      if not out[key] then
        return fields.invalid(where, name .. " is not a whole number")
      end
    end
  end
  return out
end

local function read_files(value, where)
  local out = {}
  if value == nil or value == json.null then
    return out
  elseif type(value) ~= "table" then
    return fields.invalid(where, "must be an object")
  end
  for title, one in pairs(value) do
    if type(title) ~= "string" then
      return fields.invalid(where, "must be an object, not a list")
    end
    local file, err = read_file(one, ("%s %s"):format(where, text.quote(title)))
    if not file then
      return nil, err
    end
    out[title] = file
  end
  return out
end

local function read_extra(s, out)
  if s == "null" then
    return true
  elseif not s:find("^{") then
    return fields.invalid("snapshot config: extra", "must be an object")
  end
  for _, member in ipairs(slices.members(s)) do
    if fields.OF_ENVELOPE[member[1]] then
      return fields.invalid("snapshot config: extra", ("%s has a place of its own"):format(
        text.quote(member[1])))
    end
    out.extra[#out.extra + 1] = member
  end
  return true
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
---@field extra string[][] { name, JSON }
---@field values table<string, string> members by their names in the blob, as JSON

--- Reads a config blob.
---@param bytes string
---@return epoch.snapshot.config?
---@return epoch.Error?
function M.parse(bytes)
  local decoded, members = fields.open(bytes, "snapshot config")
  if not decoded then
    return nil, members
  elseif decoded.schemaVersion ~= "v1" then
    return errors.fail("unsupported", ("snapshot config: schemaVersion is %s, only v1 can be "
      .. "read; a newer epoch may know it"):format(text.value(decoded.schemaVersion)))
  end
  local out, err = { bytes = bytes, schema_version = "v1", values = {}, extra = {} }, nil
  for _, member in ipairs(members) do
    local name, value = member[1], member[2]
    local field, ok = fields.OF_BLOB[name], true
    if field then
      ok, err = fields.read(field, value, "snapshot config: " .. name)
      if ok then
        out.values[name], out[field[LUA]] = ok, err
      end
    elseif name == "extra" then
      ok, err = read_extra(value, out)
    end
    if not ok then
      return nil, err
    end
  end
  out.created_at = type(decoded.createdAt) == "string" and decoded.createdAt or nil
  out.files, err = read_files(decoded.files, "snapshot config: files")
  if not out.files then
    return nil, err
  end
  return out
end

return M
