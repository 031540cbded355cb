--- A bucket of an S3 store, or what lies there under a prefix, as an object store. ETags are the
-- store's own, as it writes them.
local bodies = require "epoch.body"
local calendar = require "epoch.calendar"
local copies = require "epoch.s3.copy"
local core = require "epoch.core"
local downloads = require "epoch.client.download"
local endpoint = require "epoch.s3.endpoint"
local errors = require "epoch.errors"
local listing = require "epoch.s3.listing"
local objectstore = require "epoch.objectstore"
local options = require "epoch.options"
local puts = require "epoch.s3.put"
local sessions = require "epoch.s3.session"
local sigv4 = require "epoch.s3.sigv4"
local transport = require "epoch.client.transport"
local unfinished = require "epoch.s3.unfinished"
local version = require "epoch.version"
local whole = require "epoch.whole"

local MIB = 1024 * 1024
local SECONDS = { type = "number", min = 0 }
-- A store that says SlowDown means it; many who change one object fail together, and shall not meet again.
local TRIES, SPREAD = 8, 0.5

local OPTIONS = {
  bucket = { type = "string", required = true },
  prefix = { type = "string", default = "" },
  endpoint = { type = "string" },
  secure = { type = "boolean" },
  path_style = { type = "boolean" },
  region = { type = "string", default = "us-east-1" },
  access_key = { type = "string" },
  secret_key = { type = "string" },
  session_token = { type = "string" },
  multipart_threshold = { type = "integer", min = 1, max = puts.MAX, default = 64 * MIB },
  part_size = { type = "integer", min = 5 * MIB, max = puts.MAX, default = 16 * MIB },
  copy_threshold = { type = "integer", min = 10 * MIB, max = puts.MAX, default = puts.MAX },
  parallel = { type = "integer", min = 1, max = 64, default = 4 },
  spool_dir = { type = "string" },
  retries = { type = "integer", min = 0, max = 20, default = TRIES - 1 },
  ca_cert = { type = "string" },
  client_cert = { type = "string" },
  client_key = { type = "string" },
  proxy = { type = "string" },
  connect_timeout = SECONDS,
  header_timeout = SECONDS,
  low_speed_limit = { type = "integer", min = 0 },
  low_speed_time = SECONDS,
  user_agent = { type = "string", default = "epoch/" .. version },
}

local RANGE = { offset = { type = "integer", min = 0 }, length = { type = "integer", min = 0 } }
local PUT = {
  digest = { type = "string" }, on_progress = { type = "function" },
  if_match = { type = "string" }, if_none_match = { enum = { "*" } },
  private = { type = "boolean" }, -- as everything in a bucket is
}
local PRESIGN = {
  method = { enum = { "GET", "HEAD", "PUT" }, default = "GET" },
  seconds = { type = "integer", min = 1, max = sigv4.LONGEST, default = 900 },
}

local S3 = { __name = "epoch.objectstore.s3", copy = copies.copy }
S3.__index, S3.unfinished, S3.abandon = S3, unfinished.find, unfinished.abandon

local M = {}

local function credentials_of(given)
  for _, name in ipairs { "access_key", "secret_key" } do
    if not given[name] then
      return errors.fail("config", ("s3.%s is not set, nor EPOCH_S3_%s; a script gives %s as an option, or has "
        .. "epoch.locate.open_home read the settings"):format(name, name:upper(), name))
    end
  end
  for _, name in ipairs { "access_key", "session_token" } do
    if given[name] and given[name]:find("[^\33-\126]") then
      return errors.fail("config", ("s3.%s has characters that none has"):format(name))
    end
  end
  return { access_key = given.access_key, secret_key = given.secret_key, session_token = given.session_token,
           region = given.region }
end

-- What holds for every request. A redirect would have to be signed anew: the setting that
-- leads elsewhere is told instead.
local function request_options(given)
  return {
    ca_file = given.ca_cert, client_cert = given.client_cert, client_key = given.client_key, proxy = given.proxy,
    connect_timeout = given.connect_timeout, header_timeout = given.header_timeout,
    low_speed_limit = given.low_speed_limit, low_speed_time = given.low_speed_time,
    redirects = 0, any_encoding = true,
  }
end

--- A store. Nothing is sent yet.
---@param task epoch.task stays the caller's
---@param given table see OPTIONS; those with an equal name as in epoch.client or the settings' `s3`
---@return table?
---@return epoch.Error?
function M.open(task, given)
  given = options.check("epoch.objectstore.s3", OPTIONS, given)
  local base = given.prefix == "" and "" or given.prefix:gsub("/+$", "") .. "/"
  local ok, err = objectstore.check_prefix(base)
  local at, credentials
  if ok then
    at, err = endpoint.new(given)
  else
    err = errors.new("config", "s3.prefix: " .. err.message)
  end
  if at then
    credentials, err = credentials_of(given)
  end
  if not credentials then
    return nil, err
  end
  local how = { tries = given.retries + 1, user_agent = given.user_agent, spread = SPREAD }
  local wire = transport.new(task, request_options(given), how)
  local self = setmetatable({
    task = task, options = given, base = base, endpoint = at, transport = wire,
    session = sessions.new(at, credentials, wire),
  }, S3)
  self.address = { url = self:describe() }
  return self
end

-- The whole key, or nil and the error.
local function full(self, key)
  local ok, err = objectstore.check_key(key)
  if not ok then
    return nil, err
  end
  return self.base .. key
end

local function missing(self, key, err)
  if err.kind == "not_found" then
    return errors.new("not_found", ("%s is not in %s"):format(key, self:describe()), { cause = err })
  end
  return errors.wrap(err, ("%s/%s"):format(self:describe(), key))
end

-- What the headers of an answer say of an object; or nil and the error.
local function info_of(self, key, answer)
  local size, etag = whole.from(answer:length()), answer:header("etag")
  local modified = calendar.http(answer:header("last-modified"))
  if not size or not etag or not modified then
    return errors.fail("invalid", ("%s does not say size, ETag and time of %s"):format(self:describe(), key))
  end
  return { size = size, etag = etag, modified = modified }
end

function S3:head(key)
  local at, err = full(self, key)
  if not at then
    return nil, err
  end
  local answer
  answer, err = self.session:ask { method = "HEAD", key = at }
  if not answer then
    return nil, missing(self, key, err)
  end
  answer:close()
  return info_of(self, key, answer)
end

local function no_range(self, key)
  return errors.fail("invalid", ("%s in %s has no such range"):format(key, self:describe()))
end

-- No bytes of an object, which HTTP has no range for.
local function nothing_of(self, key, offset)
  local info, err = self:head(key)
  if not info then
    return nil, err
  elseif offset > info.size then
    return no_range(self, key)
  end
  info.size = 0
  return core.bytes(""), info
end

-- As epoch.client.download wants it; nil for all of an object.
local function range_of(range)
  local offset, length = range.offset or 0, range.length
  return (offset > 0 or length) and { offset = offset, last = length and offset + length - 1 } or nil
end

-- Why an object or a part of it was not given. 416: the part begins at its end or behind that.
local function not_given(self, key, range, err)
  if err.status == 416 and not range.length then
    return nothing_of(self, key, range.offset)
  elseif err.status == 416 then
    return no_range(self, key)
  end
  return nil, missing(self, key, err)
end

function S3:get(key, range)
  range = options.check("store:get", RANGE, range)
  local at, err = full(self, key)
  if not at then
    return nil, err
  elseif range.length == 0 then
    return nothing_of(self, key, range.offset or 0)
  end
  local source, size, answer = downloads.open(self, { method = "GET", key = at }, key, range_of(range))
  if not source then
    return not_given(self, key, range, size)
  end
  local info
  info, err = info_of(self, key, answer)
  if info and range.length and size ~= range.length then
    info, err = no_range(self, key)
  end
  if not info then
    source:close()
    return nil, err
  end
  return source, info
end

function S3:read(key, max)
  local at, err = full(self, key)
  if not at then
    return nil, err
  end
  local answer
  answer, err = self.session.transport:attempts(function()
    local one, why, after = self.session:once { method = "GET", key = at }
    if not one then
      return nil, why, after
    end
    one.bytes, why = one:read(max)
    return one.bytes and one, why
  end)
  if not answer then
    return nil, missing(self, key, err)
  end
  local info
  info, err = info_of(self, key, answer)
  return info and answer.bytes, info or err
end

function S3:put(key, size, body, given)
  given = options.check("store:put", PUT, given)
  objectstore.check_size(size)
  local at, err = full(self, key)
  if not at then
    bodies.drop(body)
    return nil, err
  end
  return puts.put(self, key, size, body, given)
end

function S3:delete(key)
  local at, err = full(self, key)
  if not at then
    return nil, err
  end
  local answer
  answer, err = self.session:ask { method = "DELETE", key = at, expect = { [200] = true, [204] = true } }
  if answer then
    answer:discard()
  elseif err.kind ~= "not_found" then
    return nil, errors.wrap(err, ("delete %s from %s"):format(key, self:describe()))
  end
  return true
end

function S3:list(prefix, given)
  return listing.page(self, prefix, given)
end

--- A URL that lets whoever has it read (or write) one object, without more, for a while.
---@param key string
---@param given { method: "GET"|"HEAD"|"PUT"|nil, seconds: integer? }? GET, 900
---@return string?
---@return epoch.Error?
function S3:presign(key, given)
  given = options.check("store:presign", PRESIGN, given)
  local at, err = full(self, key)
  if not at then
    return nil, err
  end
  local path = self.endpoint:path(at)
  return self.endpoint:url(path, sigv4.presign({ method = given.method, host = self.endpoint.host, path = path },
    self.session.credentials, os.time() + self.session.skew, given.seconds))
end

function S3:describe()
  return (("s3://%s/%s"):format(self.endpoint.bucket, self.base):gsub("/$", ""))
end

function S3:close() -- luacheck: ignore 212
  return true
end

return M
