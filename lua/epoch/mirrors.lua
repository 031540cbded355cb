--- A registry read by way of its mirrors: what is asked for is looked for there first. What no
-- mirror has or can give comes from the registry itself, which alone is written to.
--
--     local home = mirrors.new(registry, { cache })
--
-- A tag may mean an older manifest in a mirror, as it does for docker.
local M = {}

-- The first good answer of the mirrors, else the registry's. A mirror that fails otherwise
-- than by not having something is not asked again.
local function first(self, method, ...)
  for _, mirror in ipairs(self.mirrors) do
    if not self.given_up[mirror] then
      local answer, err = mirror[method](mirror, ...)
      if answer or err.kind == "cancelled" then
        return answer, err
      end
      self.given_up[mirror] = err.kind ~= "not_found"
    end
  end
  return self.registry[method](self.registry, ...)
end

local Mirrored = { __name = "epoch.mirrors" }

function Mirrored:get_manifest(name, reference)
  return first(self, "get_manifest", name, reference)
end

function Mirrored:get_blob(name, digest)
  return first(self, "get_blob", name, digest)
end

function Mirrored:close()
  for _, mirror in ipairs(self.mirrors) do
    mirror:close()
  end
  self.registry:close()
end

-- Everything else is the registry's own.
function Mirrored:__index(key)
  local method = rawget(Mirrored, key)
  if method then
    return method
  end
  local value = self.registry[key]
  if type(value) ~= "function" then
    return value
  end
  return function(_, ...)
    return value(self.registry, ...)
  end
end

--- The home that reads from mirrors, in their order; closes all of them in the end.
---@param registry table
---@param mirrors table[]
---@return table home
function M.new(registry, mirrors)
  return setmetatable({ registry = registry, mirrors = mirrors, given_up = {} }, Mirrored)
end

return M
