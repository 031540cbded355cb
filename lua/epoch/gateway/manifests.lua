--- Manifests: given as they were stored, taken when they are whole.
--
-- What is small and in a directory is read here, and kept in memory with the stamp of its file:
-- one look at the file says whether it is still that. The rest is a thread's work.
local errors = require "epoch.errors"
local limits = require "epoch.objectstore.manifests"
local lrucache = require "resty.lrucache"
local ngx = require "ngx"
local reply = require "epoch.gateway.reply"
local requests = require "epoch.gateway.requests"
local settings = require "epoch.gateway.settings"
local store = require "epoch.gateway.store"
local text = require "epoch.text"
local threads = require "epoch.gateway.threads"

local M = {}

-- At most so many bytes are read in the worker; a manifest in memory has no more either.
local SMALL = 32 * 1024
local REMEMBERED = 256

local remembered = lrucache.new(REMEMBERED)

-- Why there is no answer. What else is wrong with what is stored is not the client's doing.
local function unknown(request, err)
  if err.kind ~= "not_found" then
    return nil, reply.status_of(err) < 500 and errors.new("internal", err.message) or err
  end
  return nil, errors.new("not_found", ("%s%s%s is not here"):format(request.asked,
    request.kind == "tag" and ":" or "@", request.reference)), "MANIFEST_UNKNOWN"
end

-- From a directory, when it is small: the manifest; nil when a thread has to read it.
local function read_here(request)
  local home = store.here()
  local key = home and home:manifest_key(request.name, request.reference)
  local info = key and home.store:head(key)
  if not info or info.size > SMALL then
    return nil
  end
  local known = remembered:get(key)
  if not known or known.stamp ~= info.etag then
    local found = home:get_manifest(request.name, request.reference)
    if not found then
      return nil
    end
    known = { stamp = info.etag, found = found }
    remembered:set(key, known)
  end
  return known.found
end

function M.manifest_get(request)
  local found = read_here(request)
  if not found then
    local err
    found, err = threads.call("store", "manifests", "get", request.name, request.reference)
    if not found then
      return unknown(request, err)
    end
  end
  reply.header("Docker-Content-Digest", found.digest)
  reply.header("ETag", '"' .. found.digest .. '"') -- nginx compares it with If-None-Match
  return reply.bytes(200, found.bytes, found.media_type)
end

-- What happens after a push: the configuration's own function, whose failure is not the client's.
local function tell_pushed(request, put)
  local on_pushed = settings.loaded.values.on_pushed
  if not on_pushed then
    return
  end
  local ok, answer, err = pcall(on_pushed, {
    name = request.name, tag = request.kind == "tag" and request.reference or put.tags[1], digest = put.digest,
    kind = put.kind, size = put.size,
  })
  if not ok or errors.is(err) then -- one of a configuration file tells what it raised as its second result
    ngx.log(ngx.ERR, "the hook on_pushed of the configuration failed: ", text.printable(tostring(ok and err or answer)))
  end
end

-- Tags that a manifest gets besides, as parameters.
local function tag_params(request)
  local args, more = ngx.req.get_uri_args()
  local given = args.tag
  if more then -- what stands behind those that were read would be left out, and nobody told
    return nil, errors.new("unsupported", "there are more than 100 parameters; give some tags in another request",
      { status = 414 })
  elseif given == nil then
    return {}
  elseif request.kind ~= "digest" then
    return nil, errors.new("invalid", "tag parameters go with a manifest put by digest"), "MANIFEST_INVALID"
  end
  return type(given) == "table" and given or { given }
end

function M.manifest_put(request)
  local tags, err, code = tag_params(request)
  local bytes
  if tags then
    bytes, err = requests.body(limits.MAX, "a manifest")
    code = "MANIFEST_INVALID"
  end
  if not bytes then
    return nil, err, code
  end
  local put
  put, err = threads.call("store", "manifests", "put", request.name, request.reference, bytes, {
    media_type = requests.media_type(), tags = tags, sparse = settings.gateway().sparse,
  })
  if not put then
    return nil, err, err.kind == "invalid" and "MANIFEST_INVALID" or nil
  end
  reply.header("Location", ("/v2/%s/manifests/%s"):format(request.asked, request.reference))
  reply.header("Docker-Content-Digest", put.digest)
  reply.header("OCI-Subject", put.subject)
  reply.header("OCI-Tag", put.tags[1] and table.concat(put.tags, ", ") or nil)
  reply.empty(201)
  tell_pushed(request, put)
  return true
end

function M.manifest_delete(request)
  local ok, err = threads.call("store", "manifests", "delete", request.name, request.reference)
  if not ok then
    return unknown(request, err)
  end
  return reply.empty(202)
end

return M
