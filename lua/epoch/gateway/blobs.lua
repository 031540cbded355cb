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
  reply.header("Docker-Content-Digest", request.digest)
  reply.header("Content-Type", "application/octet-stream")
  reply.header("ETag", '"' .. request.digest .. '"')
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
