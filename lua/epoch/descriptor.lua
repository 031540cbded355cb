--- Descriptors: what a manifest says of a blob or of another manifest. All of it is a
-- stranger's word until it has been looked at here.
local errors = require "epoch.errors"
local json = require "epoch.json"
local media = require "epoch.media"
local reference = require "epoch.reference"
local text = require "epoch.text"

---@class epoch.Descriptor
---@field media_type string
---@field digest string
---@field size integer
---@field title? string its annotation org.opencontainers.image.title
---@field artifact_type? string
---@field annotations table<string, string>
---@field platform? {os?: string, architecture?: string, variant?: string}
---@field foreign? true it is stored elsewhere

local M = {}

local function invalid(where, why)
  return errors.fail("invalid", ("%s: %s"):format(where, why))
end

--- The value as a text, or nil where it is missing or null; false and an error for others.
function M.text(object, name, where)
  local value = object[name]
  if value == nil or value == json.null then
    return nil
  elseif type(value) ~= "string" then
    return false, errors.new("invalid", ("%s: %s is not a text"):format(where, name))
  end
  return value
end

--- The annotations of a manifest or descriptor, an empty table where there are none.
---@param object table
---@param where string
---@return table<string, string>?
---@return epoch.Error?
function M.annotations(object, where)
  local given, out = object.annotations, {}
  if given == nil or given == json.null then
    return out
  elseif type(given) ~= "table" then
    return invalid(where, "annotations must be an object")
  end
  for key, value in pairs(given) do
    if type(key) ~= "string" then
      return invalid(where, "annotations must be an object, not a list")
    elseif type(value) ~= "string" then
      return invalid(where, ("the annotation %s is not a text"):format(text.quote(key)))
    end
    out[key] = value
  end
  return out
end

local function platform(value, where)
  if value == nil or value == json.null then
    return nil
  elseif type(value) ~= "table" then
    return false, errors.new("invalid", where .. ": platform must be an object")
  end
  local out = {}
  for _, name in ipairs { "os", "architecture", "variant" } do
    local word, err = M.text(value, name, where .. ": platform")
    if word == false then
      return false, err
    end
    out[name] = word
  end
  return out
end

--- Does a decoded descriptor speak of something that is stored elsewhere, by decision of whoever
--- made it? Registries then take a manifest without it.
---@param value any
---@return boolean
function M.is_foreign(value)
  if type(value) ~= "table" then
    return false
  elseif type(value.urls) == "table" and value.urls[1] ~= nil then
    return true
  end
  local media_type = type(value.mediaType) == "string" and value.mediaType or ""
  return (media_type:find("nondistributable", 1, true)
    or media_type:find(".foreign.", 1, true)) ~= nil
end

--- Reads a decoded descriptor; `where` is its place in messages ("layers[2]").
---@param value any
---@param where string
---@return epoch.Descriptor?
---@return epoch.Error?
function M.read(value, where)
  if type(value) ~= "table" then
    return invalid(where, "must be an object")
  end
  local ok, err = reference.check_digest(value.digest)
  if not ok then
    return invalid(where, err.message)
  end
  local size = json.size(value.size)
  if not size then
    return invalid(where, ("size must be a whole number of bytes, from 0 to 2^53 - 1, not %s")
      :format(text.value(value.size)))
  end
  local out = { digest = value.digest, size = size, foreign = M.is_foreign(value) or nil }
  out.media_type, err = M.text(value, "mediaType", where)
  if not out.media_type then
    return nil, err or errors.new("invalid", where .. ": mediaType is missing")
  end
  out.artifact_type, err = M.text(value, "artifactType", where)
  if out.artifact_type == false then
    return nil, err
  end
  out.annotations, err = M.annotations(value, where)
  if not out.annotations then
    return nil, err
  end
  out.title = out.annotations[media.TITLE]
  out.platform, err = platform(value.platform, where)
  if out.platform == false then
    return nil, err
  end
  return out
end

--- A list of descriptors, empty where there is none.
---@param value any
---@param where string
---@return epoch.Descriptor[]?
---@return epoch.Error?
function M.list(value, where)
  local out, n = {}, 0
  if value == nil or value == json.null then
    return out
  elseif type(value) ~= "table" then
    return invalid(where, "must be a list")
  end
  for key in pairs(value) do
    if type(key) ~= "number" then
      return invalid(where, "must be a list, not an object")
    end
    n = n + 1
  end
  for i = 1, n do
    local one, err = M.read(value[i], ("%s[%d]"):format(where, i - 1))
    if not one then
      return nil, err
    end
    out[i] = one
  end
  return out
end

--- The descriptor as it is written, for json.encode.
---@param d epoch.Descriptor
---@return table
function M.write(d)
  local annotations = d.annotations or (d.title and { [media.TITLE] = d.title })
  return json.object {
    { "mediaType", d.media_type }, { "digest", d.digest }, { "size", d.size },
    { "annotations", annotations and next(annotations) and annotations or nil },
  }
end

return M
