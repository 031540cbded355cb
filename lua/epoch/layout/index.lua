--- index.json of an image layout, changed without touching what others wrote into it: what
-- is kept is the text of each member and of each entry, not what a decoder made of it.
local errors = require "epoch.errors"
local json = require "epoch.json"
local reference = require "epoch.reference"

local M = {}

M.MAX = 4 * 1024 * 1024

local REF_NAME = "org.opencontainers.image.ref.name"
local REPOSITORY = "cocoonstack.repository.name"
local INDEX = "application/vnd.oci.image.index.v1+json"

-- The position after the value at i of a text that json.decode has accepted.
local function after_value(s, i)
  local depth = 0
  repeat
    local c = s:sub(i, i)
    if c == '"' then
      repeat
        i = s:find('["\\]', i + 1)
        local escape = s:sub(i, i) == "\\"
        i = escape and i + 1 or i
      until not escape
      i = i + 1
    elseif c == "{" or c == "[" then
      depth, i = depth + 1, i + 1
    elseif c == "}" or c == "]" then
      depth, i = depth - 1, i + 1
    elseif depth == 0 then
      i = s:find("[%s,%]}]", i) or #s + 1
    else
      i = s:find('["{}%[%]]', i + 1)
    end
  until depth == 0
  return i
end

-- The values in the array or object `s`, as text; of an object, names and values in turn.
local function parts(s)
  local list = {}
  local i = s:match("^%s*[%[{]%s*()")
  while not s:find("^[%]}]", i) do
    local stop = after_value(s, i)
    list[#list + 1] = s:sub(i, stop - 1)
    i = s:match("^%s*[,:]?%s*()", stop)
  end
  return list
end

-- Repository and tag that an entry stands for; both may be nil.
local function name_of(annotations)
  local ref = annotations[REF_NAME]
  if type(ref) ~= "string" then
    return nil
  elseif reference.check_tag(ref) then
    local name = annotations[REPOSITORY]
    return reference.check_name(name) and name or nil, ref
  end
  local parsed = reference.parse(ref) -- whole references, as some tools write them
  if parsed then
    return parsed.name, parsed.tag
  end
end

local function entry_of(value, raw)
  if type(value) ~= "table" or not reference.check_digest(value.digest)
      or not json.size(value.size) or type(value.mediaType) ~= "string" then
    return { raw = raw } -- not ours to judge: kept
  end
  local annotations = type(value.annotations) == "table" and value.annotations or {}
  local name, tag = name_of(annotations)
  return { raw = raw, name = name, tag = tag, digest = value.digest,
           size = json.size(value.size), media_type = value.mediaType }
end

---@class epoch.layout.Entry
---@field raw string its text
---@field name string? the repository, where it says one
---@field tag string?
---@field digest epoch.digest? nil: not a descriptor
---@field size integer?
---@field media_type string?

---@class epoch.layout.Index
---@field entries epoch.layout.Entry[]
---@field members string[] names and texts of the members in turn

--- An index with nothing in it.
---@return epoch.layout.Index
function M.new()
  return { entries = {}, members = {
    '"schemaVersion"', "2", '"mediaType"', json.encode(INDEX), '"manifests"', "[]",
  } }
end

---@param bytes string
---@return epoch.layout.Index?
---@return epoch.Error?
function M.parse(bytes)
  local value, err = json.decode(bytes, M.MAX)
  if err then
    return errors.fail("invalid", "index.json: " .. err.message)
  elseif type(value) ~= "table" or value.schemaVersion ~= 2 or type(value.manifests) ~= "table" then
    return errors.fail("invalid", "index.json is no OCI index: schemaVersion 2 and a list of "
      .. "manifests are expected")
  end
  local index = { entries = {}, members = parts(bytes) }
  for i = 1, #index.members, 2 do
    local raw = index.members[i + 1]
    if json.decode("[" .. index.members[i] .. "]")[1] == "manifests" then
      if raw:sub(1, 1) ~= "[" then
        return errors.fail("invalid", "index.json: its manifests are no list")
      end
      for at, text in ipairs(parts(raw)) do
        index.entries[at] = entry_of(value.manifests[at], text)
      end
      index.members[i] = '"manifests"'
    end
  end
  return index
end

--- The file for an index.
---@param index epoch.layout.Index
---@return string
function M.encode(index)
  local raws, out = {}, {}
  for i, entry in ipairs(index.entries) do
    raws[i] = entry.raw
  end
  for i = 1, #index.members, 2 do
    local name, value = index.members[i], index.members[i + 1]
    if name == '"manifests"' then
      value = "[" .. table.concat(raws, ",") .. "]"
    end
    out[#out + 1] = name .. ":" .. value
  end
  return "{" .. table.concat(out, ",") .. "}"
end

--- The entry for a tag: one of that repository before one that names none.
---@param index epoch.layout.Index
---@param name string
---@param tag string
---@return table? entry
---@return table? other the entry another repository has under that tag
function M.find(index, name, tag)
  local unnamed, other
  for _, entry in ipairs(index.entries) do
    if entry.tag == tag then
      if entry.name == name then
        return entry
      elseif not entry.name then
        unnamed = unnamed or entry
      else
        other = other or entry
      end
    end
  end
  return unnamed, other
end

--- Takes out every entry that `unwanted(entry)` is true for: whether there was one.
---@param index epoch.layout.Index
---@param unwanted fun(entry: table): boolean?
---@return boolean
function M.remove(index, unwanted)
  local kept, any = {}, false
  for _, entry in ipairs(index.entries) do
    if unwanted(entry) then
      any = true
    else
      kept[#kept + 1] = entry
    end
  end
  index.entries = kept
  return any
end

--- Adds an entry under name and tag.
---@param index epoch.layout.Index
---@param entry table digest, size, media_type, artifact_type or nil, name, tag
---@return true?
---@return epoch.Error?
function M.add(index, entry)
  local raw, err = json.encode(json.object {
    { "mediaType", entry.media_type },
    { "digest", entry.digest },
    { "size", entry.size },
    { "annotations", { [REF_NAME] = entry.tag, [REPOSITORY] = entry.name } },
    { "artifactType", entry.artifact_type },
  })
  if not raw then
    return nil, err
  end
  index.entries[#index.entries + 1] = {
    raw = raw, name = entry.name, tag = entry.tag, digest = entry.digest, size = entry.size,
    media_type = entry.media_type,
  }
  return true
end

return M
