--- What gc does with uploads in parts that nobody has finished, where a store has such things. For
-- epoch.gc, whose state this is.
local M = {}

---@class epoch.gc.Upload
---@field key string of the object that it was to be
---@field size integer bytes of its parts
---@field modified integer when the last of them came
---@field removed boolean

--- Finds them: `found` with its `uploads`.
---@param state table
---@param found epoch.gc.Found
---@return epoch.gc.Found?
---@return epoch.Error?
function M.find(state, found)
  local store, list, err = state.home.store, {}, nil
  if store.unfinished then
    list, err = store:unfinished(state.oldest)
  end
  found.uploads = {}
  for i, one in ipairs(list or {}) do
    found.uploads[i] = { key = one.key, id = one.id, size = one.size, modified = one.modified, removed = false }
  end
  return list and found, err
end

--- Gives them up.
---@param state table
---@param found epoch.gc.Found
---@return true?
---@return epoch.Error?
function M.abandon(state, found)
  return state.task:each(found.uploads, state.concurrency, function(upload)
    local ok, err = state.home.store:abandon(upload)
    upload.removed = ok or false
    return ok, err
  end)
end

return M
