--- GET /dl/NAME[:TAG]: a cloud image's disk, or the archive of a snapshot, as one file that can be
-- gone on with.
--
-- A thread lays it out; then its head is known, with length and tag, and the bytes come from the
-- blobs. What is sent whole is verified on its way, and cut off where it is wrong: it never ends
-- well. A part cannot be verified by the digests of the whole: it is sent as it is stored.
local conditions = require "epoch.gateway.download.conditions"
local errors = require "epoch.errors"
local keys = require "epoch.objectstore.blobs"
local layouts = require "epoch.gateway.download.layout"
local ngx = require "ngx"
local own_bytes = require "epoch.gateway.download.own"
local pump = require "epoch.gateway.download.pump"
local reply = require "epoch.gateway.reply"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"
local verifiers = require "epoch.gateway.download.verifier"

local M = {}

local function ref_of(request)
  return { name = request.name, tag = request.reference, shown = request.asked }
end

-- Sends the head of the answer: of all of it, or of a part. It goes out before anything can fail.
local function send_head(plan, length, part)
  ngx.status = part and 206 or 200
  reply.header("Content-Range", part)
  reply.header("Content-Type", plan.media_type)
  reply.header("Content-Disposition", ('attachment; filename="%s"'):format(plan.file))
  reply.header("Content-Length", ("%.0f"):format(length))
  ngx.send_headers()
  ngx.flush(true)
end

-- Too late for an answer: what is left is to close the connection before the length is reached. (444
-- could reset it, and take back what the client has not read yet.)
local function cut(request, err)
  if err.kind ~= "gone" then
    ngx.log(ngx.ERR, ("the download of %s:%s was cut off: %s"):format(request.name, request.reference, tostring(err)))
  end
  return ngx.exit(ngx.ERROR)
end

-- Segments as the body, behind a head with their length.
local function send(request, plan, segments, length, part)
  local own, err = own_bytes.open(ref_of(request), plan)
  if not own then
    return nil, err
  end
  send_head(plan, length, part)
  local sent
  sent, err = pump.run(request.name, segments, own.read, not part and verifiers.new() or nil)
  own.close()
  if not sent then
    return cut(request, err)
  end
  return true
end

local function send_part(request, plan, first, last)
  local part = ("bytes %.0f-%.0f/%.0f"):format(first, last, plan.size)
  return send(request, plan, layouts.cut(plan.segments, first, last), last - first + 1, part)
end

local function answer(request, plan)
  if request.method == "HEAD" then
    send_head(plan, plan.size)
    return true
  end
  local headers = ngx.var
  local first, last = conditions.range(headers.http_range, plan.size, headers.http_if_range, plan.etag)
  if first then
    return send_part(request, plan, first, last)
  elseif first == false then
    reply.header("Content-Range", ("bytes */%.0f"):format(plan.size))
    return errors.fail("range", ("it has %.0f bytes, and none of those"):format(plan.size))
  end
  return send(request, plan, plan.segments, plan.size)
end

local function not_modified()
  ngx.status = ngx.HTTP_NOT_MODIFIED
  ngx.send_headers()
  return true
end

function M.download(request)
  local whole = ngx.var.http_range == nil
  local plan, err = threads.call("store", "download", "plan", ref_of(request), whole)
  if not plan and err.kind == "not_found" then
    err = errors.new("not_found", ("%s:%s is not here"):format(request.asked, request.reference))
    return nil, err, "MANIFEST_UNKNOWN"
  elseif not plan then
    return nil, err
  end
  reply.header("ETag", plan.etag)
  reply.header("Accept-Ranges", "bytes")
  reply.header("Cache-Control", "no-cache") -- a tag may move: to be asked again, with the ETag
  if conditions.is_another(ngx.var.http_if_match, plan.etag) then
    return reply.empty(412)
  elseif conditions.is_known(ngx.var.http_if_none_match, plan.etag) then
    return not_modified()
  end
  return answer(request, plan)
end

--- For the listener inside, which only downloads reach: GET /ALGORITHM/HEX answers with that blob.
function M.inside()
  local algorithm, hex = ngx.var.uri:match("^/(%w+)/(%x+)$")
  local key, err = keys.key(("%s:%s"):format(algorithm, hex))
  if not key then
    return reply.fail(err)
  end
  return ngx.exec((store.root() and "/_epoch/file/" or "/_epoch/s3/") .. key)
end

return M
