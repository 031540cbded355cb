--- What nobody can guess: random bytes, and names made of them, from the system's own source.
local errors = require "epoch.errors"

local M = {}

--- So many random bytes.
---@param count integer
---@return string?
---@return epoch.Error?
function M.bytes(count)
  local file, why = io.open("/dev/urandom", "rb")
  local bytes
  if file then
    file:setvbuf("no") -- else it takes a page of them
    bytes = file:read(count)
    file:close()
  end
  if not bytes or #bytes ~= count then
    return errors.fail("io", "/dev/urandom gave no random bytes: " .. tostring(why))
  end
  return bytes
end

--- So many random bytes, as two hex digits each.
---@param count integer
---@return string?
---@return epoch.Error?
function M.hex(count)
  local bytes, err = M.bytes(count)
  return bytes and (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), err
end

--- A number from 0 to 1, for waits that must not be those of others who wait; without touching the
--- generator that is the script's. Where the system gives nothing it is the middle.
---@return number
function M.fraction()
  local bytes = M.bytes(2)
  return bytes and (bytes:byte(1) * 256 + bytes:byte(2)) / 65535 or 0.5
end

return M
