--- What a client shows to be let in: the header Authorization. A user name says nothing here, the
-- password is the token.
local base64 = require "epoch.client.base64"

local M = {}

local MAX = 8192

--- The secret of a header; nil where there is none, false where it cannot be read.
---@param header string?
---@return string|false|nil
function M.secret(header)
  if not header then
    return nil
  elseif #header > MAX then
    return false
  end
  local scheme, value = header:match("^%s*([%w-]+)%s+([%w._~+/=-]+)%s*$")
  scheme = scheme and scheme:lower()
  if scheme == "bearer" then
    return value
  elseif scheme == "basic" then
    return M.password(value) or false
  end
  return false
end

--- The password in "user:password", which is written in base64.
---@param value string
---@return string?
function M.password(value)
  local pair = base64.decode(value)
  local password = pair and pair:match("^[^:]*:(.*)$")
  return password ~= "" and password or nil
end

return M
