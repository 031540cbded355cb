--- Where a bucket is, and the URLs of what is in it.
--
-- Path-style: https://HOST/BUCKET/KEY, what stores of one's own understand. Virtual-host:
-- https://BUCKET.HOST/KEY, what Amazon wants to see.
local core = require "epoch.core"
local errors = require "epoch.errors"
local hosts = require "epoch.host"
local sigv4 = require "epoch.s3.sigv4"
local text = require "epoch.text"

---@class epoch.s3.Endpoint
---@field scheme "http"|"https"
---@field host string as it is sent and signed
---@field root string the coded path that keys are put behind
---@field bucket string
local Endpoint = {}
Endpoint.__index = Endpoint

local M = {}

local DEFAULT_PORT = { http = 80, https = 443 }

local function bad(name, value, why)
  return errors.fail("config", ("%s = %s: %s"):format(name, text.quote(value), why))
end

--- Is it the name of a bucket, for the most lenient of stores? true, or nil and what is wrong.
---@param bucket string
---@return true?
---@return string?
function M.check_bucket(bucket)
  if #bucket < 3 or #bucket > 255 or not bucket:find("^%w[%w._-]*%w$") or bucket:find("..", 1, true) then
    return nil, "a bucket's name has 3 to 255 letters, digits, \".\", \"-\" and \"_\""
  end
  return true
end

-- No name can stand before an address.
local function is_address(host)
  return host:find("^%[") ~= nil or host:find("^%d+%.%d+%.%d+%.%d+%f[:%z]") ~= nil
end

-- Can it stand before a host's name, also in a certificate's eyes?
local function is_label(bucket)
  return #bucket <= 63 and bucket:find("^[a-z0-9][a-z0-9-]*[a-z0-9]$") ~= nil
end

local function scheme_of(given, secure)
  local scheme, rest = given:match("^(%a[%w+.-]*)://(.*)$")
  scheme, rest = scheme and scheme:lower(), rest or given
  if rest:find("@", 1, true) then -- not quoted: what stands there is a secret
    return errors.fail("config", "s3.endpoint has credentials in it: they are s3.access_key and s3.secret_key")
  elseif scheme and not DEFAULT_PORT[scheme] then
    return bad("s3.endpoint", given, "only http and https are spoken")
  elseif scheme and secure ~= nil and secure ~= (scheme == "https") then
    return bad("s3.endpoint", given, ("s3.secure = %s says otherwise"):format(tostring(secure)))
  end
  return scheme or (secure == false and "http" or "https"), (rest:gsub("/+$", ""))
end

-- The host as it goes into the Host header: lower case, without the port that is understood.
local function host_of(scheme, given, name)
  local ok, err = hosts.check(name)
  if not ok then
    return bad("s3.endpoint", given, err.message)
  end
  local origin, message = core.origin(scheme .. "://" .. name)
  if not origin then
    return bad("s3.endpoint", given, message)
  end
  local host, port = origin:match("^%a+://(.*):(%d+)$")
  return tonumber(port) == DEFAULT_PORT[scheme] and host or host .. ":" .. port
end

---@param options { bucket: string, region: string, endpoint: string?, secure: boolean?, path_style: boolean? }
---@return epoch.s3.Endpoint?
---@return epoch.Error?
function M.new(options)
  local ok, why = M.check_bucket(options.bucket)
  if not ok then
    return bad("s3.bucket", options.bucket, why)
  end
  if options.region:find("[^%w._-]") then -- it is a part of what is signed
    return bad("s3.region", options.region, "a region is letters, digits, \".\", \"-\" and \"_\"")
  end
  local given = options.endpoint or ("s3.%s.amazonaws.com"):format(options.region)
  local scheme, name = scheme_of(given, options.secure)
  if not scheme then
    return nil, name
  end
  local host, err = host_of(scheme, given, name)
  if not host then
    return nil, err
  end
  local path_style = options.path_style
  if path_style == nil then
    local amazon = host:find("%.amazonaws%.com$") or host:find("%.amazonaws%.com%.cn$")
    path_style = not amazon or not is_label(options.bucket)
  elseif not path_style and not is_label(options.bucket) then
    return bad("s3.bucket", options.bucket, "it cannot be part of a host's name; set s3.path_style = true")
  elseif not path_style and is_address(host) then
    return bad("s3.endpoint", given, "the bucket cannot stand before an address; set s3.path_style = true")
  end
  return setmetatable({
    scheme = scheme, bucket = options.bucket,
    host = path_style and host or options.bucket .. "." .. host,
    root = path_style and "/" .. sigv4.path(options.bucket) .. "/" or "/",
  }, Endpoint)
end

--- The coded path of a key; of the bucket itself for nil.
---@param key string?
---@return string
function Endpoint:path(key)
  if not key then
    return self.root == "/" and "/" or (self.root:gsub("/$", ""))
  end
  return self.root .. sigv4.path(key)
end

--- A URL from a path and a query that are coded.
---@param path string
---@param query string
---@return string
function Endpoint:url(path, query)
  return ("%s://%s%s%s%s"):format(self.scheme, self.host, path, query ~= "" and "?" or "", query)
end

return M
