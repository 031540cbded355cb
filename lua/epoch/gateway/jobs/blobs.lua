--- What the gateway does with blobs besides moving them. For epoch.gateway.thread.
local M = {}

--- Is it there?
---@return boolean?
---@return epoch.Error?
function M.exists(home, name, digest)
  return home:blob_exists(name, digest)
end

--- True when it was there, false when not.
function M.delete(home, name, digest)
  local there, err = home:blob_exists(name, digest)
  if not there then
    return there, err
  end
  return home:delete_blob(name, digest)
end

return M
