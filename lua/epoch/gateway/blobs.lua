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

local MAX_DIGITS = 18 -- nginx counts in 64 bits

-- Are these ranges as HTTP has them, and is one of them within so many bytes?
local function is_satisfiable(ranges, size)
  local found = false
  ranges = ranges:gsub("%s+", " ") -- so that matching takes no more steps than there are letters
  for range in (ranges .. ","):gmatch("%s*(.-)%s*,") do
    local first, last = range:match("^(%d*)%s*%-%s*(%d*)$")
    if not first or first == "" and last == "" or #first > MAX_DIGITS or #last > MAX_DIGITS then
      return false
    end
    local from, to = tonumber(first), tonumber(last)
    if from and to and to < from then
      return false
    end
    found = found or from and from < size or not from and to > 0 and size > 0
  end
  return found
end

-- nginx finds the same, but tells it as a page for people. What comes before a range is left to it.
local function check_range(etag, size)
  local var = ngx.var
  local ranges = (var.http_range or ""):match("^[Bb][Yy][Tt][Ee][Ss]=%s*(.+)$")
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
    return nil, errors.new("internal", tostring(err)) -- not the client's doing
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
