--- What is decided before a request is understood: where it comes from, whether it comes too often,
-- and whether a web page may have sent it.
local errors = require "epoch.errors"
local limits = require "epoch.gateway.limits"
local networks = require "epoch.gateway.access.networks"
local challenge = require "epoch.gateway.access.challenge"
local ngx = require "ngx"

local M = {}

-- Credentials that are wrong, from one address.
local FAILURES = { requests = 0.5, burst = 10 }

-- Those who look after the gateway ask often, and from one place.
local LOOKED_AFTER = { ["/healthz"] = true, ["/readyz"] = true }

local METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
local HEADERS = "Authorization, Content-Type, Content-Range, Range, If-None-Match, If-Range, Accept"
local EXPOSED = "Accept-Ranges, Content-Range, Docker-Content-Digest, ETag, Link, Location, OCI-Filters-Applied, "
  .. "OCI-Subject, Range, Retry-After, WWW-Authenticate"
local PREFLIGHT_AGE = "600"

local trusted, origins, limit, public_url = {}, {}, nil, nil


--- Takes the settings over: once, before there are workers.
---@param values table the whole configuration
---@return true?
---@return epoch.Error?
function M.configure(values)
  local given = values.gateway
  trusted, origins, limit, public_url = {}, {}, given.rate_limit, nil
  for i, one in ipairs(given.trusted_proxies or {}) do
    trusted[i] = networks.parse(one)
    if not trusted[i] then
      return errors.fail("config", ('gateway.trusted_proxies: %q is no network; it looks like 10.0.0.0/8, fd00::/8, '
        .. '192.0.2.7 or unix:'):format(one))
    end
  end
  for _, one in ipairs(given.cors or {}) do
    if challenge.check_url(one) ~= one or one:find("^https?://[^/]*/") then
      return errors.fail("config", ('gateway.cors: %q is no origin; it looks like https://ui.example'):format(one))
    end
    origins[one:lower()] = true
  end
  if values.public_url then
    public_url = challenge.check_url(values.public_url)
    if not public_url then
      return errors.fail("config", ("public_url: %q is no address of a gateway; it looks like https://registry.example")
        :format(values.public_url))
    end
  end
  return true
end

-- Where a request comes from, and what a trusted proxy says of it; found out once.
local function origin()
  local ctx = ngx.ctx
  if not ctx.epoch_client then
    ctx.epoch_client, ctx.epoch_proxied = networks.client(ngx.var.remote_addr, #trusted > 0
      and ngx.var.http_x_forwarded_for or nil, trusted)
  end
  return ctx.epoch_client, ctx.epoch_proxied
end

--- The address of the client.
---@return string
function M.client()
  return (origin())
end

--- Does it come from this machine? What somebody sends on, whom nobody trusts, does not.
---@return boolean
function M.is_local()
  local address, proxied = origin()
  return networks.is_loopback(address)
    and (proxied or not (ngx.var.http_x_forwarded_for or ngx.var.http_forwarded or ngx.var.http_via))
end

-- What the nearest of several proxies has said.
local function last_of(header)
  return header and networks.trim(header:match("^.*,(.*)$") or header)
end

--- The address that the client knows the gateway by, for links and challenges.
---@return string
function M.base()
  if public_url then
    return public_url
  end
  local _, proxied = origin()
  local scheme, host = ngx.var.scheme, ngx.var.http_host
  if proxied then
    scheme = last_of(ngx.var.http_x_forwarded_proto) or scheme
    host = last_of(ngx.var.http_x_forwarded_host) or host
  end
  return challenge.origin(scheme, host, ngx.var.server_addr, ngx.var.server_port)
end

local function too_many(wait, what)
  return errors.new("rate_limited", ("too many %s; try again in %d second%s"):format(what, wait,
    wait == 1 and "" or "s"))
end

local function take(key, of, cost)
  local ok, wait = limits.take(ngx.shared.epoch, key, of, ngx.now(), cost)
  return ok, wait and math.max(1, math.ceil(wait))
end

--- Counts a request of an address, or of a token: true, or nil, the error and the seconds to wait.
---@param token string? its name
---@return true?
---@return epoch.Error?
---@return integer? wait
function M.count(token)
  if not limit or LOOKED_AFTER[ngx.var.uri] then
    return true
  end
  local ok, wait = take(token and "limit:token:" .. token or "limit:" .. networks.limited_as(M.client()), limit)
  if ok then
    return true
  end
  return nil, too_many(wait, "requests"), wait
end

--- Has the client shown too much that was wrong?
---@return boolean
function M.guessing()
  return not take("failed:" .. networks.limited_as(M.client()), FAILURES, 0)
end

--- Counts credentials that were wrong: true, or nil, the error and the seconds to wait.
---@return true?
---@return epoch.Error?
---@return integer? wait
function M.count_failure()
  local ok, wait = take("failed:" .. networks.limited_as(M.client()), FAILURES)
  if ok then
    return true
  end
  return nil, too_many(wait, "credentials that are not accepted"), wait
end

local function allow_page(page)
  ngx.header["Access-Control-Allow-Origin"] = page
  ngx.header["Access-Control-Expose-Headers"] = EXPOSED
end

local READING = { GET = true, HEAD = true, OPTIONS = true }

--- What a web page may: read and write from the origins that are configured. From others nothing
--- is written, whoever the browser's user is: a page could otherwise write to a gateway on the
--- machine that it is looked at. "answered" after the question that browsers ask first.
---@param method string
---@return true|"answered"|nil
---@return epoch.Error?
function M.page(method)
  local page = ngx.var.http_origin
  if next(origins) then
    ngx.header["Vary"] = "Origin"
  end
  if not page then
    return true
  elseif not origins[page:lower()] then
    if READING[method] then
      return true
    end
    return errors.fail("denied", "web pages may not write here: this one's origin is not among gateway.cors")
  end
  allow_page(page)
  if method == "OPTIONS" and ngx.var.http_access_control_request_method then
    ngx.header["Access-Control-Allow-Methods"] = METHODS
    ngx.header["Access-Control-Allow-Headers"] = HEADERS
    ngx.header["Access-Control-Max-Age"] = PREFLIGHT_AGE
    ngx.status = 204
    ngx.send_headers()
    return "answered"
  end
  return true
end

return M
