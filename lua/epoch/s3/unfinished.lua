--- Uploads in parts that were begun and neither finished nor given up, as who is killed leaves them:
-- nobody sees them, and they take room.
local parts = require "epoch.s3.parts"

local M = {}

-- Keys of ours that may be sent in parts: blobs, and what upload sessions bring.
local PREFIXES = { "blobs/", "uploads/" }

---@class epoch.s3.Unfinished
---@field key string
---@field id string the store's name for it
---@field size integer bytes of its parts
---@field modified integer when its last part came, or it began

--- What an upload has, and when something came last; false when there is no such upload any more.
---@param store table
---@param upload { key: string, id: string, modified: integer }
---@return epoch.s3.Unfinished|false|nil
---@return epoch.Error?
function M.look(store, upload)
  local list, err = parts.list(store, upload)
  if not list then
    return err.kind == "not_found" and false or nil, err
  end
  local one = { key = upload.key, id = upload.id, size = 0, modified = upload.modified }
  for _, part in ipairs(list) do
    one.size = one.size + (part.size or 0)
    one.modified = math.max(one.modified, part.modified or 0)
  end
  return one
end

--- Those to which nothing has come since a time.
---@param store table
---@param oldest number seconds since 1970
---@return epoch.s3.Unfinished[]?
---@return epoch.Error?
function M.find(store, oldest)
  local found = {}
  for _, prefix in ipairs(PREFIXES) do
    local list, err = parts.uploads(store, prefix)
    if not list then
      return nil, err
    end
    for _, upload in ipairs(list) do
      local one = false
      if upload.modified <= oldest then
        one, err = M.look(store, upload)
      end
      if one == nil then
        return nil, err
      elseif one and one.modified <= oldest then
        found[#found + 1] = one
      end
    end
  end
  return found
end

--- Gives one up; who still sends to it is told that it is not there.
M.abandon = parts.abort

return M
