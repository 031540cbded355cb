--- What a client is told that has to say who it is: the header WWW-Authenticate, and where tokens
-- are given out.
local hosts = require "epoch.host"

local M = {}

M.SERVICE = "epoch"

--- The address that people reach the gateway at, as it is configured, without a slash at its end;
--- nil for what is none. Nothing in it can end a quoted string or a line.
---@param url string
---@return string?
function M.check_url(url)
  local scheme, host, path = url:match("^(https?)://([^/]+)(/?.*)$")
  if not scheme or not hosts.check(host) or path:find("[^%w/._~-]") then
    return nil
  end
  return (url:gsub("/+$", ""))
end

--- The address that a request came in on. Its Host is a client's word: a good one only tells that
--- client itself where to go, and one that is no host is not repeated.
---@param scheme string
---@param host string? the header Host
---@param address string where it was received
---@param port string
---@return string
function M.origin(scheme, host, address, port)
  scheme = scheme == "https" and "https" or "http"
  if not (host and hosts.check(host)) then
    host = (address:find(":", 1, true) and "[" .. address .. "]" or address) .. ":" .. port
  end
  return scheme .. "://" .. host
end

--- For the registry's own interface. Docker uses each scheme that it is offered, and stops where it
--- has no password for Basic: so that is taken, but not offered.
---@param base string as from origin or check_url
---@param scope string? what is needed
---@param problem "invalid_token"|"insufficient_scope"|nil
---@return string
function M.bearer(base, scope, problem)
  return ('Bearer realm="%s/v2/token",service="%s"%s%s'):format(base, M.SERVICE,
    scope and (',scope="%s"'):format(scope) or "", problem and (',error="%s"'):format(problem) or "")
end

--- For browsers and curl.
M.BASIC = 'Basic realm="epoch", charset="UTF-8"'

return M
