--- What was worked out before, by the key of a manifest: in memory that all workers and threads of
-- nginx share (lua_shared_dict epoch_api), or where there is none, in that of this Lua state. What it
-- cannot keep is forgotten.
local M = {}

local MOST = 10000

local Own = {}
Own.__index = Own

function Own:get(key)
  return self.values[key]
end

function Own:set(key, value)
  if self.values[key] == nil then
    self.count = self.count + 1
  end
  if self.count > MOST then
    self.values, self.count = {}, 1
  end
  self.values[key] = value
end

local own = setmetatable({ values = {}, count = 0 }, Own)

-- In a thread of nginx it is a global, and no module.
local function dictionary()
  local ngx = rawget(_G, "ngx")
  return ngx and ngx.shared and ngx.shared.epoch_api or own
end

--- What was kept under a key, if that has the same stamp still.
---@param key string
---@param stamp string
---@return string?
function M.get(key, stamp)
  local value = dictionary():get(key)
  if value and value:sub(1, #stamp + 1) == stamp .. "\n" then
    return value:sub(#stamp + 2)
  end
  return nil
end

---@param key string
---@param stamp string
---@param value string
function M.set(key, stamp, value)
  dictionary():set(key, stamp .. "\n" .. value)
end

return M
