--- Hosts as they stand in references, homes and settings: HOST[:PORT].
local errors = require "epoch.errors"
local text = require "epoch.text"

local M = {}

local function invalid(host, why)
  return errors.fail("invalid", ("host %s: %s"):format(text.quote(host), why))
end

-- Eight groups of up to four hex digits; "::" stands for one or more groups of zeros.
local function is_ipv6(s)
  local head, tail = s:match("^(.-)::(.*)$")
  local groups = 0
  for _, part in ipairs(head and { head, tail } or { s }) do
    if part ~= "" then
      for group in (part .. ":"):gmatch("([^:]*):") do
        if not group:find("^%x%x?%x?%x?$") then
          return false
        end
        groups = groups + 1
      end
    end
  end
  if head then
    return groups <= 7
  end
  return groups == 8
end

local function is_domain(s)
  if #s > 253 then
    return false
  end
  for label in (s .. "."):gmatch("([^.]*)%.") do
    if #label > 63 or not (label:find("^%w[%w-]*%w$") or label:find("^%w$")) then
      return false
    end
  end
  return true
end

--- Is it a host, with or without a port: a name, an IPv4 address, an IPv6 one in brackets?
---@param host any
---@return boolean? ok
---@return epoch.Error?
function M.check(host)
  if type(host) ~= "string" then
    return errors.fail("invalid", "a host must be a string, not a " .. type(host))
  end
  local name, colon, port = host:match("^(%b[])(:?)(.*)$")
  if name then
    if not is_ipv6(name:sub(2, -2)) then
      return invalid(host, "no IPv6 address between the brackets")
    elseif colon == "" and port ~= "" then
      return invalid(host, "only :PORT may follow the bracket")
    end
  else
    name, colon, port = host:match("^([^:]*)(:?)(.*)$")
    if not is_domain(name) then
      return invalid(host, host:find(":.*:") and "an IPv6 address goes in brackets"
        or "host names are letters, digits, \".\" and \"-\"")
    end
  end
  if colon == ":" then
    local n = port:find("^[1-9]%d?%d?%d?%d?$") and tonumber(port)
    if not n or n > 65535 then
      return invalid(host, ("the port %s is not a number from 1 to 65535"):format(
        text.quote(port)))
    end
  end
  return true
end

return M
