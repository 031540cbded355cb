--- What a store keeps of an upload session, as JSON: the same in every kind of store, which may
-- add members of its own, such as json.encode takes: lists are json.array.
--
--     repository   whose session it is
--     offset       how many bytes have come
--     hash         the state of the hasher that has seen them; in JSON its hex digits
--     started, active   seconds since 1970
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"

local M = {}

--- How large it can be: an S3 store keeps a list of up to 10,000 parts.
M.MAX = 2 * 1024 * 1024

---@param name string
---@param algorithm epoch.algorithm
---@return table
function M.new(name, algorithm)
  local hasher = core.hasher(algorithm)
  local hash = hasher:state()
  hasher:close()
  local now = os.time()
  return { repository = name, offset = 0, hash = hash, started = now, active = now }
end

local function to_hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function from_hex(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- The record as it is stored, its last activity being now.
---@param record table
---@return string
function M.encode(record)
  local members = {}
  for key, value in pairs(record) do
    members[key] = value
  end
  members.hash, members.active = to_hex(record.hash), os.time()
  return assert(json.encode(members))
end

-- Is it the state of a hasher?
local function is_state(hash)
  local hasher = core.hasher_from(hash)
  if hasher then
    hasher:close()
  end
  return hasher ~= nil
end

--- The record in these bytes. What is damaged is no session any more: kind "not_found".
---@param bytes string
---@return table?
---@return epoch.Error?
function M.decode(bytes)
  local record = json.decode(bytes)
  if type(record) == "table" and type(record.repository) == "string" and type(record.hash) == "string"
    and json.size(record.offset) and json.size(record.active) then
    record.hash, record.offset = from_hex(record.hash), json.size(record.offset)
    if is_state(record.hash) then
      return record
    end
  end
  return errors.fail("not_found", "the record of an upload session is damaged")
end

--- Is this the digest of what a state has seen? True; false when it is one of the other
--- algorithm; nil and an error of kind "digest_mismatch".
---@param of { hash: string }
---@param digest epoch.digest
---@return boolean?
---@return epoch.Error?
function M.verify(of, digest)
  local hasher = assert(core.hasher_from(of.hash))
  local is = hasher:digest()
  hasher:close()
  if is == digest then
    return true
  elseif is:match("^[^:]+") ~= digest:match("^[^:]+") then
    return false
  end
  return errors.fail("digest_mismatch", ("what was uploaded as %s has the digest %s; send it again"):format(
    digest, is))
end

return M
