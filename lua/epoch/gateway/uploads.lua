--- Uploads of blobs: at once, or in a session that takes them piece by piece.
--
-- The session is read before the body arrives, and changed after it has: nobody holds a lock while
-- a client takes its time. A wrong digest ends the session, because its bytes can be put right by
-- nobody; all other failures leave it as it was.
local access = require "epoch.gateway.access"
local arrival = require "epoch.gateway.arrival"
local core = require "epoch.core"
local errors = require "epoch.errors"
local ngx = require "ngx"
local ranges = require "epoch.gateway.ranges"
local reference = require "epoch.reference"
local reply = require "epoch.gateway.reply"
local settings = require "epoch.gateway.settings"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"

local M = {}

local HOUR, DAY = 3600, 86400

-- Seconds after its last activity that a session may be thrown away.
local function time_to_live()
  return settings.gateway().session_ttl or DAY
end

local function job(fn, ...)
  return threads.call("store", "uploads", fn, ...)
end

-- The same for what moves bytes: into a bucket as far away as that is.
local function heavy_job(fn, ...)
  return threads.call(store.root() and "bytes" or "moves", "uploads", fn, ...)
end

-- How a failure is told: a full disk in words that name no path, a session that is none by its code.
local function failed(err)
  if err.kind == "no_space" then
    ngx.log(ngx.ERR, tostring(err))
    return errors.fail("no_space", "the registry has no space left; nothing was changed")
  end
  return nil, err, err.kind == "not_found" and "BLOB_UPLOAD_UNKNOWN" or nil
end

local function location(request, id)
  return ("/v2/%s/blobs/uploads/%s"):format(request.asked, id)
end

-- Says where a session stands.
local function tell_session(request, id, offset)
  reply.header("Location", location(request, id))
  reply.header("Docker-Upload-UUID", id)
  reply.header("Range", ranges.format(offset))
end

local function created(request, digest)
  reply.header("Location", ("/v2/%s/blobs/%s"):format(request.asked, digest))
  reply.header("Docker-Content-Digest", digest)
  return reply.empty(201)
end

-- A digest from the query: nil where there is none, false and the error where it is none.
local function digest_of(given)
  if given == nil then
    return nil
  end
  local ok, err = reference.check_digest(given)
  if not ok then
    return false, err
  end
  return given
end

local function nothing_hashed(algorithm)
  local hasher = core.hasher(algorithm)
  local state = hasher:state()
  hasher:close()
  return state
end

local function algorithm_of(digest)
  return (digest:match("^[^:]+"))
end

-- A blob that comes as one body.
local function put(request, digest)
  local chunk, err = arrival.receive(nothing_hashed(algorithm_of(digest)), { to = { digest = digest }, from = 0 })
  local ok
  if chunk then
    ok, err = heavy_job("put", digest, chunk)
  end
  if not ok then
    return failed(err)
  end
  request.bytes = chunk.size
  return created(request, digest)
end

-- What has expired is removed by who starts something, once an hour. The client has its answer by
-- then. Where one request of a connection waits for the other, it is told to make a new one.
local function sweeps(ttl)
  return ngx.shared.epoch:add("uploads:sweep", true, math.min(HOUR, ttl))
end

local function sweep(ttl)
  ngx.eof()
  local removed, err = job("sweep", ttl)
  if not removed then
    ngx.log(ngx.ERR, "removing uploads that have expired: ", tostring(err))
  elseif removed > 0 then
    ngx.log(ngx.NOTICE, "uploads that have expired and were removed: ", removed)
  end
end

local ALGORITHMS = { sha256 = true, sha512 = true }

local function start(request, algorithm)
  if not ALGORITHMS[algorithm] then
    return nil, errors.new("invalid", "digest-algorithm must be sha256 or sha512"), "DIGEST_INVALID"
  end
  local session, err = job("start", request.name, algorithm)
  if not session then
    return failed(err)
  end
  local ttl = time_to_live()
  local sweeping = sweeps(ttl)
  tell_session(request, session.id, 0)
  reply.header("OCI-Chunk-Min-Length", session.min_chunk and ("%d"):format(session.min_chunk))
  if sweeping and ngx.req.http_version() < 2 then
    reply.header("Connection", "close")
  end
  reply.empty(202)
  if sweeping then
    sweep(ttl)
  end
  return true
end

-- Blobs are shared: mounted is what is there. Where it comes from only matters to who may read: what
-- may not be pulled there is sent like anything else.
local function mounted(request, digest, from)
  if from ~= nil and not reference.check_name(from) then
    return false
  elseif from ~= nil then
    local may, err = access.may(request, "pull", from)
    if not may then
      return may, err
    end
  end
  return job("mountable", request.name, digest)
end

function M.upload_start(request)
  local args = ngx.req.get_uri_args()
  local digest, err = digest_of(args.digest)
  local mount
  if digest ~= false then
    mount, err = digest_of(args.mount)
  end
  if digest == false or mount == false then
    return nil, err, "DIGEST_INVALID"
  elseif digest then
    return put(request, digest)
  elseif mount then
    local there
    there, err = mounted(request, mount, args.from)
    if there then
      return created(request, mount)
    elseif there == nil then
      return failed(err)
    end
  end
  return start(request, args["digest-algorithm"] or mount and algorithm_of(mount) or "sha256")
end

--- The Go reference's own dialect: PUT /v2/NAME/blobs/DIGEST.
function M.blob_put(request)
  return put(request, request.digest)
end

-- What came does not go on where the session stands: told with where that is.
local function out_of_order(request, offset, message)
  tell_session(request, request.session, offset)
  return nil, errors.new("range", message), "BLOB_UPLOAD_INVALID"
end

-- While bytes arrive slowly the session does not expire.
local function keep_alive(request)
  local pause = time_to_live() / 4
  local due = ngx.now() + pause
  return function()
    ngx.update_time()
    if ngx.now() >= due then
      due = ngx.now() + pause
      job("touch", request.name, request.session)
    end
  end
end

-- Receives the next piece of a session, if the request has the right one: a chunk. `digest`: what all
-- of it will have, where that is known.
local function next_chunk(request, session, digest)
  local range, err, code = ranges.parse(ngx.var.http_content_range, tonumber(ngx.var.http_content_length))
  if range == nil then
    return nil, err, code
  elseif range and range.first ~= session.offset then
    return out_of_order(request, session.offset, ("the upload has %.0f bytes; the next piece begins there, not at %.0f")
      :format(session.offset, range.first))
  end
  local chunk
  chunk, err = arrival.receive(session.hash, {
    to = { id = request.session, name = request.name, digest = digest }, from = session.offset,
    idle = keep_alive(request),
  })
  if not chunk then
    return failed(err)
  elseif range and chunk.size ~= range.size then
    arrival.drop(chunk)
    return nil, errors.new("size_mismatch", ("Content-Range says %.0f bytes, %.0f have come"):format(range.size,
      chunk.size))
  end
  chunk.from = session.offset
  return chunk
end

-- A failure while a session was changed.
local function not_changed(request, err)
  if err.kind == "conflict" then
    local now = job("state", request.name, request.session)
    return out_of_order(request, now and now.offset or 0, err.message)
  end
  return failed(err)
end

function M.upload_append(request)
  local session, err = job("state", request.name, request.session)
  if not session then
    return failed(err)
  end
  local chunk, code, offset
  chunk, err, code = next_chunk(request, session)
  if not chunk then
    return nil, err, code
  end
  offset, err = heavy_job("append", request.name, request.session, chunk)
  if not offset then
    return not_changed(request, err)
  end
  tell_session(request, request.session, offset)
  return reply.empty(202)
end

function M.upload_finish(request)
  local digest, err = digest_of(ngx.req.get_uri_args().digest)
  if not digest then
    return nil, err or errors.new("invalid", "the digest of the blob is missing: PUT …?digest=DIGEST"),
      "DIGEST_INVALID"
  end
  local session, chunk, code, size
  session, err = job("state", request.name, request.session)
  if not session then
    return failed(err)
  elseif session.offset == 0 then -- nothing has been hashed the other way yet
    session.hash = nothing_hashed(algorithm_of(digest))
  end
  chunk, err, code = next_chunk(request, session, digest)
  if not chunk then
    return nil, err, code
  end
  size, err = heavy_job("finish", request.name, request.session, digest, chunk)
  if not size then
    return not_changed(request, err)
  end
  request.bytes = size
  return created(request, digest)
end

function M.upload_status(request)
  local session, err = job("state", request.name, request.session)
  if not session then
    return failed(err)
  end
  tell_session(request, request.session, session.offset)
  return reply.empty(204)
end

function M.upload_cancel(request)
  local ok, err = job("cancel", request.name, request.session)
  if not ok then
    return failed(err)
  end
  return reply.empty(204)
end

return M
