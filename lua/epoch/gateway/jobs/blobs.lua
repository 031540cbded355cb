--- What the gateway does with blobs besides moving them. For epoch.gateway.thread.
local errors = require "epoch.errors"

local M = {}

local CONCURRENCY = 4 -- manifests that are read at once

--- Is it there?
---@return boolean?
---@return epoch.Error?
function M.exists(home, name, digest)
  return home:blob_exists(name, digest)
end

-- Does a manifest of another repository name it?
local function is_needed_elsewhere(home, name, digest)
  local hex, needed = digest:match(":(%x+)$"), false
  local ok, err = home:each_manifest({ concurrency = CONCURRENCY }, function(one)
    needed = needed or one.name ~= name and one.bytes ~= nil and one.bytes:lower():find(hex, 1, true) ~= nil
  end)
  return ok and needed, err
end

--- True when it was there, false when not. All repositories share the blobs, and the right to delete is
--- one to a single repository: what others need is not theirs to remove who may only delete here.
---@return boolean?
---@return epoch.Error?
function M.delete(home, name, digest)
  local there, err = home:blob_exists(name, digest)
  if not there then
    return there, err
  end
  local needed
  needed, err = is_needed_elsewhere(home, name, digest)
  if err then
    return nil, err
  elseif needed then
    return errors.fail("unsupported", ("manifests of other repositories need blob %s: it stays"):format(digest),
      { status = 405 })
  end
  return home:delete_blob(name, digest)
end

return M
