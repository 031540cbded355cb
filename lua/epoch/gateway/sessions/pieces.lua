--- Files as objects of a bucket: a chunk of an upload, put when it is whole or while it still grows.
--
-- A chunk may begin with the bytes of another object, its `tail`: S3 puts objects together only
-- where each but the last has 5 MiB, so what has less becomes the beginning of what follows it.
local core = require "epoch.core"
local errors = require "epoch.errors"
local parts = require "epoch.s3.parts"

local M = {}

---@class epoch.gateway.Place
---@field key string of the object that is made
---@field tail { key: string, size: integer }? whose bytes it begins with

---@class epoch.gateway.Sent plain values: what is in the store of a file that still grows
---@field key string
---@field tail string? the key of the tail
---@field taken integer bytes of the file
---@field wants integer as many bytes the file has when there is more to be sent
---@field parts epoch.s3.Parts

local function range(path, offset, length)
  return function()
    return core.file(path, { offset = offset, length = length })
  end
end

local function moved_into(task, source, message, code, sink, size, more)
  if not source then
    return errors.fail(code, message)
  end
  return task:flow { source = source, sink = sink, size = size, more = more, what = "a chunk" }
end

-- The tail and the beginning of a file, as one source.
local function joined(store, tail, path, length)
  local spool, why, kind = core.spool { dir = store.options.spool_dir }
  if not spool then
    return errors.fail(kind, why)
  end
  local sink = spool:sink()
  local source, info = store:get(tail.key)
  local ok, err = source, info
  if ok then
    ok, err = moved_into(store.task, source, nil, nil, sink, tail.size, true)
  end
  if ok then
    local file, message, code = core.file(path, { offset = 0, length = length })
    ok, err = moved_into(store.task, file, message, code, sink, length)
  end
  sink:close()
  local all
  if ok then
    all, why, kind = spool:source()
    err = not all and errors.from_core(why, kind) or nil
  end
  spool:close()
  return all, err
end

-- The first bytes: of the tail, where there is one, and of the file.
local function head_of(store, place, path, length)
  if not place.tail then
    return range(path, 0, length), length
  end
  local source, err = joined(store, place.tail, path, length)
  return source, source and place.tail.size + length or err
end

-- Adds the file's next bytes to what was sent.
local function send(store, place, sent, path, length)
  local body, size
  if sent.taken == 0 then
    body, size = head_of(store, place, path, length)
  else
    body, size = range(path, sent.taken, length), length
  end
  local more, err
  if body then
    more, err = parts.add(store, sent.parts, size, body)
  else
    err = size
  end
  if not more then
    return nil, err
  end
  local taken = sent.taken + length
  return {
    key = sent.key, tail = sent.tail, taken = taken, wants = taken + parts.next_size(store, more), parts = more,
  }
end

local function begin(store, place)
  local begun, err = parts.begin(store, place.key)
  return begun and { key = place.key, tail = place.tail and place.tail.key, taken = 0, parts = begun }, err
end

--- Lets go of what was sent of a file that will not be needed.
---@param store table
---@param sent epoch.gateway.Sent
function M.drop(store, sent)
  return parts.abort(store, sent.parts)
end

--- Is a file of so many bytes, and perhaps more to come, worth being sent before it is whole?
---@param store table
---@param size integer
---@return boolean
function M.is_long(store, size)
  return size > store.options.part_size
end

--- Sends what can be sent already of a file that is_long and has `size` bytes so far. What fails is
--- taken back.
---@param store table
---@param place epoch.gateway.Place
---@param sent epoch.gateway.Sent? what was answered before
---@param path string
---@param size integer
---@return epoch.gateway.Sent?
---@return epoch.Error?
function M.ahead(store, place, sent, path, size)
  local err
  if not sent then
    sent, err = begin(store, place)
  end
  while sent do
    local length = parts.next_size(store, sent.parts)
    local count = math.min(math.floor((size - sent.taken) / length), store.options.parallel)
    if count == 0 then
      return sent
    end
    local more
    more, err = send(store, place, sent, path, count * length)
    if not more then
      M.drop(store, sent)
    end
    sent = more
  end
  return nil, err
end

local function finish(store, place, sent, path, size)
  local all, err = sent, nil
  if sent.taken < size then
    all, err = send(store, place, sent, path, size - sent.taken)
  end
  if not all then
    M.drop(store, sent)
    return nil, err
  end
  local etag
  etag, err = parts.finish(store, all.parts)
  return etag and true, err
end

--- Makes a whole file the object: true.
---@param store table
---@param place epoch.gateway.Place
---@param chunk { path: string, size: integer, sent: epoch.gateway.Sent? }
---@param digest epoch.digest? what the store shall look at, where it can
---@return true?
---@return epoch.Error?
function M.put(store, place, chunk, digest)
  local sent = chunk.sent
  if not sent and place.tail and place.tail.size + chunk.size > store.options.multipart_threshold then
    local err
    sent, err = M.ahead(store, place, nil, chunk.path, chunk.size)
    if not sent then
      return nil, err
    end
  end
  if sent then
    return finish(store, place, sent, chunk.path, chunk.size)
  end
  local body, size = head_of(store, place, chunk.path, chunk.size)
  if not body then
    return nil, size
  end
  local etag, err = store:put(place.key, size, body, {
    digest = size <= store.options.multipart_threshold and digest or nil,
  })
  return etag and true, err
end

return M
