--- Random names that nobody can guess, from the system's own source.
local errors = require "epoch.errors"

local M = {}

--- So many random bytes, as two hex digits each.
---@param count integer
---@return string?
---@return epoch.Error?
function M.hex(count)
  local file, why = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(count)
  if file then
    file:close()
  end
  if not bytes or #bytes ~= count then
    return errors.fail("io", "/dev/urandom gave no random bytes: " .. tostring(why))
  end
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

return M
