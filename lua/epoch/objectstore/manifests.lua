--- What a home on an object store has to know of a manifest: that it is one, what it is
-- served as, and which blobs must be there before it.
local core = require "epoch.core"
local descriptors = require "epoch.descriptor"
local early = require "epoch.manifest.early"
local errors = require "epoch.errors"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local reference = require "epoch.reference"
local text = require "epoch.text"

local M = {}

M.MAX = 4 * 1024 * 1024
M.IMAGE = "application/vnd.oci.image.manifest.v1+json"
M.INDEX = "application/vnd.oci.image.index.v1+json"
--- How long a media type can be: that of a manifest is a header of each answer that has it.
M.MAX_TYPE = 255

local function invalid(what)
  return errors.fail("invalid", "manifest: " .. what)
end

--- Reads a manifest that is stored or to be stored: its members, and its media type: what
--- it says itself, else what it came as, else what it looks like.
---@param bytes string
---@param media_type string?
---@return table? members
---@return string|epoch.Error media_type
function M.read(bytes, media_type)
  if #bytes > M.MAX then
    return errors.fail("too_large", ("a manifest of %d bytes, at most %d are allowed; use fewer "
      .. "or shorter annotations"):format(#bytes, M.MAX))
  end
  local members, err = json.decode(bytes, M.MAX)
  if err then
    return invalid(err.message)
  elseif type(members) ~= "table" or not bytes:find("^%s*{") then
    return invalid("it is no JSON object")
  end
  local said = members.mediaType
  if said == json.null then
    said = nil
  elseif said ~= nil and (type(said) ~= "string" or not said:find("^[%w!#$&^_.+/-]+$")) then
    return invalid("its mediaType is none")
  end
  if said and media_type and said ~= media_type then
    return invalid(("it says that it is %s, and came as %s"):format(text.quote(said),
      text.quote(media_type)))
  end
  return members, said or media_type or (members.manifests ~= nil and M.INDEX or M.IMAGE)
end

-- Digest and size of a descriptor; generation 1 has bare hex digits.
local function descriptor(value, first_generation)
  if type(value) ~= "table" then
    return invalid("a descriptor is none")
  end
  local digest, size = value.digest, json.size(value.size)
  if first_generation and type(digest) == "string" and digest:find("^%x+$") then
    digest = "sha256:" .. digest
  end
  local ok, err = reference.check_digest(digest)
  if not ok then
    return invalid(err.message)
  elseif not size then
    return invalid("the size of " .. digest .. " is none")
  end
  return { digest = digest, size = size }
end

--- The blobs a manifest refers to, that is config and layers.
---@param members table
---@return { digest: epoch.digest, size: integer }[]?
---@return epoch.Error?
function M.blobs(members)
  local first = early.is_first(members)
  local values, found = {}, {}
  if members.config ~= nil and members.config ~= json.null then
    values[1] = members.config
  end
  for _, field in ipairs { "layers", first and "baseImages" or nil } do
    local list = members[field]
    if type(list) == "table" and (list[1] ~= nil or next(list) == nil) then
      for _, value in ipairs(list) do
        values[#values + 1] = value
      end
    elseif list ~= nil and list ~= json.null then
      return invalid("its " .. field .. " are no list")
    end
  end
  for _, value in ipairs(values) do
    if not descriptors.is_foreign(value) then
      local one, err = descriptor(value, first)
      if not one then
        return nil, err
      end
      found[#found + 1] = one
    end
  end
  return found
end

-- So many blobs are asked for at once: a store that is far away takes its time for each.
local ASKED = 8

-- Each once: a manifest may name the same blob as often as it has room for.
local function distinct(blobs)
  local seen, found = {}, {}
  for _, blob in ipairs(blobs) do
    local key = ("%s %.0f"):format(blob.digest, blob.size)
    if not seen[key] then
      seen[key] = true
      found[#found + 1] = blob
    end
  end
  return found
end

--- Are these blobs there, with the sizes that a manifest says?
---@param home table
---@param name string
---@param blobs { digest: epoch.digest, size: integer }[]
---@return true?
---@return epoch.Error?
function M.check_blobs(home, name, blobs)
  return home.task:each(distinct(blobs), ASKED, function(blob)
    local size, err = home:blob_size(name, blob.digest)
    if not size and err.kind == "not_found" then
      return errors.fail("blob_unknown", ("the manifest needs blob %s, which is not in %s; it has to be stored "
        .. "first, and again when a gc has removed it meanwhile"):format(blob.digest, home:describe()))
    elseif not size then
      return nil, err
    elseif size ~= blob.size then
      return errors.fail("size_mismatch", ("blob %s has %.0f bytes in %s, the manifest says "
        .. "%.0f"):format(blob.digest, size, home:describe(), blob.size))
    end
    return true
  end)
end

--- Checks a manifest before it is stored in `home` under `name` and `given`: its digest and
--- media type, when it is whole and, unless it is `sparse`, all its blobs are there.
---@param home table
---@param name string
---@param given string tag or digest
---@param bytes string
---@param media_type string?
---@param sparse boolean?
---@return epoch.digest?
---@return string|epoch.Error media_type
---@return table? members
function M.check(home, name, given, bytes, media_type, sparse)
  local kind, err = reference.tag_or_digest(given)
  if not kind then
    return nil, err
  end
  local members
  members, media_type = M.read(bytes, media_type)
  if not members then
    return nil, media_type
  elseif #media_type > M.MAX_TYPE then
    return invalid(("its media type has %d bytes, at most %d are allowed"):format(#media_type, M.MAX_TYPE))
  end
  local ok
  ok, err = manifest.check_type(members, media_type)
  if not ok then
    return nil, err
  end
  local digest = core.digest(bytes, kind == "digest" and given:match("^[^:]+") or nil)
  if kind == "digest" and digest ~= given then
    return errors.fail("digest_mismatch", ("the manifest is %s, not %s"):format(digest, given))
  end
  local blobs
  blobs, err = M.blobs(members)
  if blobs and not sparse then
    blobs, err = M.check_blobs(home, name, blobs)
  end
  if not blobs then
    return nil, err
  end
  return digest, media_type, members
end

return M
