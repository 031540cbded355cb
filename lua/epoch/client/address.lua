--- Addresses of registries, and which of them may be led to where.
--
-- What a registry answers names other places: token servers, upload sessions, next pages.
-- They are compared as origins ("https://host:443"), as the core has them, which knows hosts
-- the way connections are made to them.
local core = require "epoch.core"
local errors = require "epoch.errors"
local hosts = require "epoch.host"
local reference = require "epoch.reference"
local text = require "epoch.text"

---@class epoch.client.Address
---@field url string with a "/" at its end: for messages
---@field root string what paths are put after: "https://host/v2/"
---@field name string host[:port], as credentials are asked for
---@field origin string
---@field scheme "http"|"https"
---@field host string with brackets where it is an IPv6 one
---@field port integer
---@field prefix string what stands before every repository name: "" or "path/"
---@field keys string[] names under which credentials may be kept for it

local M = {}

local DEFAULT_PORT = { http = 80, https = 443 }

local function split(origin)
  local scheme, host, port = origin:match("^(%a+)://(.*):(%d+)$")
  return scheme, host, tonumber(port)
end

-- The eight groups of an IPv6 address, with an IPv4 tail or without.
local function groups_of(s)
  s = s:gsub("(%d+)%.(%d+)%.(%d+)%.(%d+)$", function(a, b, c, d)
    return ("%x:%x"):format(a * 256 + b, c * 256 + d)
  end)
  local function list(part)
    local out = {}
    for group in part:gmatch("%x+") do
      out[#out + 1] = tonumber(group, 16)
    end
    return out
  end
  local head, tail = s:match("^(.-)::(.*)$")
  local all, last = list(head or s), list(tail or "")
  while head and #all + #last < 8 do
    all[#all + 1] = 0
  end
  for _, group in ipairs(last) do
    all[#all + 1] = group
  end
  return all
end

local function ipv4_kind(a, b)
  if a == 127 then
    return "loopback"
  elseif a == 0 or a == 10 or a == 172 and b >= 16 and b <= 31 or a == 192 and b == 168
    or a == 169 and b == 254 or a == 100 and b >= 64 and b <= 127 or a >= 224 then
    return "private"
  end
  return "public"
end

local function ipv6_kind(s)
  local g = groups_of(s)
  if #g ~= 8 then
    return "private" -- none that connections could be made to
  end
  local leading = g[1] + g[2] + g[3] + g[4] + g[5]
  if leading == 0 and (g[6] == 0 or g[6] == 0xffff) then
    if g[6] == 0 and g[7] == 0 then
      return g[8] == 1 and "loopback" or "private"
    end
    return ipv4_kind(math.floor(g[7] / 256), g[7] % 256)
  elseif g[1] == 0x64 and g[2] == 0xff9b then -- IPv4 behind a translator
    return ipv4_kind(math.floor(g[7] / 256), g[7] % 256)
  elseif g[1] == 0x2002 then -- 6to4
    return ipv4_kind(math.floor(g[2] / 256), g[2] % 256)
  elseif g[1] >= 0xfc00 then -- unique local, link local, multicast
    return "private"
  end
  return "public"
end

--- "loopback", "private" (link-local, unspecified and the like too) or "public", by what the
--- host itself says: names are not looked up.
---@param host string as in an origin
---@return "loopback"|"private"|"public"
function M.kind(host)
  local name = host:lower():gsub("%.$", "")
  local inner = name:match("^%[(.*)%]$")
  if inner then
    return ipv6_kind((inner:gsub("%%.*$", "")))
  end
  local a, b = name:match("^(%d+)%.(%d+)%.%d+%.%d+$")
  if a then
    return ipv4_kind(tonumber(a), tonumber(b))
  elseif name == "localhost" or name:find("%.localhost$") then
    return "loopback"
  end
  return "public"
end

-- docker's names for one registry.
local HUB = { ["docker.io"] = true, ["index.docker.io"] = true, ["registry-1.docker.io"] = true }

local function keys_of(host, port, scheme)
  if HUB[host] then
    return { "https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io" }
  elseif port == DEFAULT_PORT[scheme] then
    return { host, ("%s:%d"):format(host, port) }
  end
  return { ("%s:%d"):format(host, port) }
end

local function invalid(url, why)
  return errors.fail("invalid", ("the registry %s: %s"):format(text.quote(url), why))
end

--- Reads the home of a registry: [http[s]://]HOST[:PORT][/PATH].
---@param url string
---@param plain_http boolean? http where no scheme is given
---@return epoch.client.Address?
---@return epoch.Error?
function M.parse(url, plain_http)
  local scheme, rest = url:match("^(%a[%w+.-]*)://(.*)$")
  scheme, rest = scheme and scheme:lower(), rest or url
  if scheme and not DEFAULT_PORT[scheme] then
    return invalid(url, "only http and https are spoken to registries")
  end
  local host, path = rest:match("^([^/]*)/*(.-)/*$")
  local ok, err = hosts.check(host)
  if not ok then
    return invalid(url, err.message)
  end
  if path ~= "" then
    ok, err = reference.check_name(path)
    if not ok then
      return invalid(url, err.message)
    end
  end
  if HUB[host:lower()] then
    host = "registry-1.docker.io"
  end
  -- the host as the core reads it: 2130706433 is 127.0.0.1
  local origin, message = core.origin((scheme or "http") .. "://" .. host)
  if not origin then
    return invalid(url, message)
  end
  local _, name = split(origin)
  scheme = scheme or (plain_http or M.kind(name) == "loopback") and "http" or "https"
  origin = assert(core.origin(scheme .. "://" .. host))
  local _, _, port = split(origin)
  return {
    url = ("%s://%s/%s"):format(scheme, host, path == "" and "" or path .. "/"),
    root = ("%s://%s/v2/"):format(scheme, host),
    name = HUB[name] and "docker.io" or port == DEFAULT_PORT[scheme] and name or ("%s:%d"):format(name, port),
    origin = origin, scheme = scheme, host = name, port = port,
    prefix = path == "" and "" or path .. "/",
    keys = keys_of(name, port, scheme),
  }
end

local function denied(what, url, why)
  return errors.fail("denied", ("%s %s %s"):format(what, text.quote(M.shown(url), 200), why))
end

--- A URL without what may be secret in it: its query.
---@param url string
---@return string
function M.shown(url)
  return (url:gsub("[?#].*$", "?..."))
end

--- May the registry lead to `url` for an upload or the like? Answers whether that is its own
--- origin, where credentials go along.
---@param address epoch.client.Address
---@param url string
---@param what string for messages: "the upload location"
---@return { own: boolean }?
---@return epoch.Error?
function M.may_lead(address, url, what)
  local origin, message, code = core.origin(url)
  if not origin then
    return errors.fail(code, ("%s that %s gave: %s"):format(what, address.url, message))
  elseif origin == address.origin then
    return { own = true }
  end
  local scheme, host = split(origin)
  if address.scheme == "https" and scheme ~= "https" then
    return denied(what, url, "is not used: it leads from https to http; a proxy in front of the registry has to "
      .. "tell it X-Forwarded-Proto")
  elseif M.kind(host) ~= "public" and M.kind(address.host) == "public" then
    return denied(what, url, "is not used: it leads into a private network")
  end
  return { own = false }
end

--- May the registry send us to `url` for tokens? Stricter: a private address only where it is
--- the registry's own host and port.
---@param address epoch.client.Address
---@param url string
---@return boolean?
---@return epoch.Error?
function M.may_ask(address, url)
  if not url:find("^[hH][tT][tT][pP][sS]?://") then
    return denied("the token server", url, "is not asked: it must be an http or https address")
  end
  local origin, message, code = core.origin(url)
  if not origin then
    return errors.fail(code, ("the token server that %s names: %s"):format(address.url, message))
  end
  local scheme, host, port = split(origin)
  if address.scheme == "https" and scheme ~= "https" then
    return denied("the token server", url, "is not asked: the registry speaks https, it must too")
  elseif M.kind(host) ~= "public" and not (host == address.host and port == address.port) then
    return denied("the token server", url,
      "is not asked: a private address must be the registry's own")
  end
  return true
end

--- May secrets be sent to this URL? Over plain http only to this machine, or where plain http
--- was asked for.
---@param url string
---@param plain_http boolean?
---@return boolean?
---@return epoch.Error?
function M.may_confide(url, plain_http)
  local origin, message, code = core.origin(url)
  if not origin then
    return errors.fail(code, message)
  end
  local scheme, host = split(origin)
  if scheme == "https" or plain_http or M.kind(host) == "loopback" then
    return true
  end
  return errors.fail("denied", ("credentials are not sent over plain http to %s; use https, or "
    .. "allow plain http for it where the network is trusted"):format(host))
end

return M
