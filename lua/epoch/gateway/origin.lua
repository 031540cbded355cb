--- Blobs of a bucket: nginx gets them from the store, with a signature made here, and passes them on.
--
-- The internal location /_epoch/s3/ of nginx's configuration asks for what stands behind its name:
-- `sign` makes the request (nothing of the client's comes along but a range), `filter` what the
-- client sees of the answer, and `failed` the answer where the store gave none. What the store says
-- of itself stays here.
local blobs = require "epoch.objectstore.blobs"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local ngx = require "ngx"
local reply = require "epoch.gateway.reply"
local settings = require "epoch.gateway.settings"
local sigv4 = require "epoch.s3.sigv4"
local store = require "epoch.gateway.store"
local text = require "epoch.text"
local threads = require "epoch.gateway.threads"

local M = {}

local LOCATION = "/_epoch/s3/"

-- Seconds for which a URL is good that a client is sent to.
local GOOD = 900

-- Of the store's headers, what is the client's.
local KEPT = { ["content-length"] = true, ["content-range"] = true, ["last-modified"] = true, connection = true }

local opened

--- Opens the bucket that is served, if it is one: without a connection, for names, URLs and signatures.
---@return true?
---@return epoch.Error?
function M.setup()
  opened = nil
  if store.root() then
    return true
  end
  local spec = store.spec()
  local home, err = homes.open(nil, spec.name, spec.options)
  if not home then
    return nil, err
  end
  opened = home.store
  return true
end

-- The client gets it from the store itself.
local function redirect(request)
  local there, err = threads.call("store", "blobs", "exists", request.name, request.digest)
  local url
  if there then
    url, err = opened:presign(blobs.key(request.digest), { seconds = GOOD })
  elseif there == false then
    return nil, errors.new("not_found", ("blob %s is not here"):format(request.digest)), "BLOB_UNKNOWN"
  end
  if not url then
    return nil, err
  end
  reply.header("Location", url)
  reply.header("Docker-Content-Digest", request.digest)
  reply.header("Cache-Control", "no-store")
  return reply.empty(307)
end

--- Answers a request for a blob.
function M.send(request)
  if settings.gateway().redirect and request.method == "GET" then
    return redirect(request)
  end
  ngx.req.discard_body() -- nginx would spool it, for a store that must not get it
  return ngx.exec(LOCATION .. blobs.key(request.digest))
end

local function key_of(uri)
  return uri:sub(#LOCATION + 1)
end

local function digest_of(uri)
  return (key_of(uri):gsub("^blobs/(%w+)/(%x+)$", "%1:%2"))
end

local function etag_of(uri)
  return '"' .. digest_of(uri) .. '"'
end

-- Does the client have what has this ETag?
local function has(etag)
  local given = ngx.var.http_if_none_match
  if not given then
    return false
  end
  for one in given:gmatch("[^,%s]+") do
    if one == "*" or one:gsub("^W/", "") == etag then
      return true
    end
  end
  return false
end

-- The range that is asked for; what is none, or several, is all of it.
local function range_of(etag)
  local given, only_if = ngx.var.http_range, ngx.var.http_if_range
  if given and #given < 64 and given:find("^bytes=%d*%-%d*$") and given ~= "bytes=-"
    and (only_if == nil or only_if == etag) then
    return given
  end
end

--- Makes the request: for access_by_lua of the location.
function M.sign()
  local etag = etag_of(ngx.var.uri)
  local unneeded = has(etag)
  local method = (unneeded or ngx.req.get_method() == "HEAD") and "HEAD" or "GET"
  local path = opened.endpoint:path(opened.base .. key_of(ngx.var.uri))
  local authorization, headers = sigv4.sign({
    method = method, host = opened.endpoint.host, path = path, payload = sigv4.EMPTY,
  }, opened.session.credentials, ngx.time() + opened.session.skew, opened.session.keys)
  local var = ngx.var
  var.epoch_s3_method, var.epoch_s3_path, var.epoch_s3_host = method, path, opened.endpoint.host
  var.epoch_s3_authorization = authorization
  var.epoch_s3_date, var.epoch_s3_payload = headers["x-amz-date"], headers["x-amz-content-sha256"]
  var.epoch_s3_token = headers["x-amz-security-token"] or ""
  var.epoch_s3_range = not unneeded and range_of(etag) or ""
  ngx.ctx.epoch_unneeded = unneeded
end

--- What the client sees of the answer: for header_filter_by_lua of the location.
function M.filter()
  if ngx.status ~= 200 and ngx.status ~= 206 then
    return
  end
  for name in pairs(ngx.resp.get_headers(0)) do
    if not KEPT[name] then
      ngx.header[name] = nil
    end
  end
  ngx.header["Docker-Content-Digest"] = digest_of(ngx.var.uri)
  ngx.header["ETag"] = etag_of(ngx.var.uri)
  if ngx.ctx.epoch_unneeded then
    ngx.status = 304
    ngx.header["Content-Length"] = nil
    return
  end
  ngx.header["Content-Type"] = "application/octet-stream"
  ngx.header["Accept-Ranges"] = "bytes"
end

-- The last status that the store has answered, if it has.
local function answered()
  return tonumber((ngx.var.upstream_status or ""):match("(%d+)%s*$"))
end

-- What an answer means that is no blob.
local function failure(key, status)
  if status == 404 then
    return errors.new("not_found", ("blob %s is not here"):format(digest_of(LOCATION .. key))), "BLOB_UNKNOWN"
  elseif status == 416 then
    return errors.new("range", "the blob has no such range"), "RANGE_INVALID"
  end
  local what = ("GET %s from %s"):format(key, opened:describe())
  if opened.session:learn_time(status, ngx.var.upstream_http_date) then
    return errors.new("unavailable", what .. ": the clocks are apart; the store's time is used from now on")
  elseif status == 504 then
    return errors.new("unavailable", what .. ": it does not answer in time")
  elseif status == 502 then
    return errors.new("unavailable", what .. ": it cannot be reached, or broke off")
  elseif status and status < 500 and status ~= 408 and status ~= 429 then
    return errors.new("origin", ("%s: it says %d; are the credentials, the region and the bucket those of the store?")
      :format(what, status))
  end
  return errors.new("unavailable", ("%s: it says %s"):format(what, tostring(status)))
end

-- How many bytes the blob has, of which the client wanted others: few stores say it with a 416.
local function size_header()
  local told = (ngx.var.upstream_http_content_range or ""):match("^bytes %*/%d+$")
  if told then
    return told
  end
  local size = threads.call("store", "blobs", "size", ngx.var.epoch_name, digest_of(ngx.var.uri))
  return size and ("bytes */%.0f"):format(size)
end

--- Answers instead of the store: for the location that its errors lead to.
function M.failed()
  if (ngx.var.epoch_s3_path or "") == "" then -- a client has asked for the location itself, which is internal
    return reply.fail(errors.new("not_found", "nothing is here"), "UNSUPPORTED")
  end
  local status = answered()
  ngx.header["WWW-Authenticate"] = nil -- which nginx passes on with a 401: a client would answer it
  if status == 416 then
    reply.header("Content-Range", size_header())
  end
  return reply.fail(failure(text.printable(key_of(ngx.var.uri), 200), status))
end

return M
