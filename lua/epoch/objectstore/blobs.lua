--- Blobs in an object store, as object layout and image layout both have them:
-- blobs/ALGORITHM/HEX. For homes: `self.task` and `self.store` are there, the rest is taken
-- from here. Names are checked and otherwise of no matter: blobs are shared.
local bodies = require "epoch.body"
local errors = require "epoch.errors"
local json = require "epoch.json"
local reference = require "epoch.reference"

local M = {}

--- The key of a blob.
---@param digest epoch.digest
---@return string?
---@return epoch.Error?
function M.key(digest)
  local ok, err = reference.check_digest(digest)
  return ok and "blobs/" .. digest:gsub(":", "/"), err
end

local function key_for(name, digest)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  return M.key(digest)
end

local function missing(self, digest, err)
  if err.kind ~= "not_found" then
    return nil, err
  end
  return errors.fail("not_found", ("blob %s is not in %s"):format(digest, self:describe()))
end

function M:blob_size(name, digest)
  local key, err = key_for(name, digest)
  if not key then
    return nil, err
  end
  local info
  info, err = self.store:head(key)
  if not info then
    return missing(self, digest, err)
  end
  return info.size
end

--- The blob, or a range of it: a source, not verified, and how many bytes it gives.
function M:get_blob(name, digest, range)
  local key, err = key_for(name, digest)
  if not key then
    return nil, err
  end
  local source, info = self.store:get(key, range)
  if not source then
    return missing(self, digest, info)
  end
  return source, info.size
end

--- Stores a blob; size and digest are checked before it is there. One of that size that is
--- there is believed, one of another size is what something else has left, and replaced.
--- `on_progress` is told how many bytes have come.
function M:put_blob(name, digest, size, body, on_progress)
  local key, err = key_for(name, digest)
  if key and not json.size(size) then
    key, err = errors.fail("invalid", ("blob %s: %s is no size"):format(digest, tostring(size)))
  end
  local info
  if key then
    info, err = self.store:head(key)
    if not info and err.kind == "not_found" then
      info = { size = nil }
    end
  end
  if not info or info.size == size then
    bodies.drop(body)
    return info and true, err
  end
  local etag
  etag, err = self.store:put(key, size, body, { digest = digest, on_progress = on_progress })
  return etag and true, err
end

--- Is it there, of whatever size?
---@return boolean?
---@return epoch.Error?
function M:blob_exists(name, digest)
  local size, err = self:blob_size(name, digest)
  if size then
    return true
  elseif err.kind == "not_found" then
    return false
  end
  return nil, err
end

--- All names share the blobs: mounted is what is there.
function M:mount_blob(name, digest, from)
  local ok, err = reference.check_name(from)
  if not ok then
    return nil, err
  end
  return M.blob_exists(self, name, digest)
end

--- Removes a blob, whoever needs it, under every name; one that is not there is fine.
---@return true?
---@return epoch.Error?
function M:delete_blob(name, digest)
  local key, err = key_for(name, digest)
  if not key then
    return nil, err
  end
  return self.store:delete(key)
end

return M
