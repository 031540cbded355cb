--- Blobs: found here, sent by nginx.
local errors = require "epoch.errors"
local keys = require "epoch.objectstore.blobs"
local ngx = require "ngx"
local origin = require "epoch.gateway.origin"
local reply = require "epoch.gateway.reply"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"

local M = {}

local function unknown(digest)
  return nil, errors.new("not_found", ("blob %s is not here"):format(digest)), "BLOB_UNKNOWN"
end

-- Is one of these ranges within so many bytes? True, too, where nginx takes none of it for a range.
local function is_satisfiable(ranges, size)
  for range in (ranges .. ","):gmatch("%s*(.-)%s*,") do
    local first, last = range:match("^(%d*)%-(%d*)$")
    if not first or first == "" and last == "" then
      return true
    elseif first ~= "" and tonumber(first) < size or first == "" and tonumber(last) > 0 and size > 0 then
      return true
    end
  end
  return false
end

-- nginx finds the same, but tells it as a page for people. What comes before a range is left to it.
local function check_range(etag, size)
  local var = ngx.var
  local ranges = (var.http_range or ""):match("^bytes=(.*)$")
  if not ranges or var.http_if_none_match or (var.http_if_range or etag) ~= etag or is_satisfiable(ranges, size) then
    return true
  end
  reply.header("Content-Range", ("bytes */%.0f"):format(size))
  return errors.fail("range", ("the blob has %.0f bytes"):format(size))
end

-- From a directory: the file is nginx's business.
local function send_file(request)
  local key = keys.key(request.digest)
  local info, err = store.here().store:head(key)
  if not info then
    if err.kind == "not_found" then
      return unknown(request.digest)
    end
    return nil, err
  end
  local etag = '"' .. request.digest .. '"'
  local ok
  ok, err = check_range(etag, info.size)
  if not ok then
    return nil, err
  end
  reply.header("Docker-Content-Digest", request.digest)
  reply.header("Content-Type", "application/octet-stream")
  reply.header("ETag", etag)
  return ngx.exec("/_epoch/file/" .. key)
end

function M.blob_get(request)
  return (store.root() and send_file or origin.send)(request)
end

function M.blob_delete(request)
  local ok, err = threads.call("store", "blobs", "delete", request.name, request.digest)
  if ok == false then
    return unknown(request.digest)
  elseif not ok then
    return nil, err
  end
  return reply.empty(202)
end

return M
