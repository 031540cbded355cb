--- Objects made of others inside the store: their bytes do not come here.
--
-- One of up to 5 GiB is copied at once. A larger one, and several that follow each other, are put
-- together from ranges, of which S3 wants 5 MiB each; only the last may have less.
local errors = require "epoch.errors"
local multipart = require "epoch.s3.multipart"
local objectstore = require "epoch.objectstore"
local sigv4 = require "epoch.s3.sigv4"
local xml = require "epoch.s3.xml"

local M = {}

local MIB = 1024 * 1024
local STREAM = "application/octet-stream"

--- What a part has at least, where another one follows.
M.LEAST = 5 * MIB

-- Bytes of a range at most, and how many the store copies at a time: it is its own work, not ours.
local RANGE, PARALLEL = 1024 * MIB, 16

local function source_of(store, key)
  return "/" .. sigv4.path(store.endpoint.bucket .. "/" .. store.base .. key)
end

-- Asks for a copy, of a part or of all: its ETag. That may take the store long, and it says 200
-- before it knows how it ends.
local function ask(store, call, answer_name)
  call.method, call.body, call.xml, call.patience = "PUT", "", answer_name, multipart.PATIENCE
  local answer, err = store.session:ask(call)
  if not answer then
    return nil, err
  end
  local etag = xml.text(answer.xml, "ETag")
  if not etag or etag == "" then
    return errors.fail("invalid", ("PUT %s: the answer names no ETag"):format(store.session:shown(call.key)))
  end
  return etag
end

local function copy_whole(store, from, to)
  return ask(store, {
    key = store.base .. to, headers = { ["x-amz-copy-source"] = source_of(store, from) },
  }, "CopyObjectResult")
end

-- The ranges that make up the objects: { key, first, last } each.
local function ranges_of(objects, most)
  local ranges = {}
  for i, object in ipairs(objects) do
    if object.size < M.LEAST and i < #objects then
      return errors.fail("invalid", ("%s has %.0f bytes: at least %d are needed where another object follows")
        :format(object.key, object.size, M.LEAST))
    end
    local count = math.ceil(object.size / most)
    local length = math.ceil(object.size / count)
    for n = 1, count do
      ranges[#ranges + 1] = {
        key = object.key, first = (n - 1) * length, last = math.min(n * length, object.size) - 1,
      }
    end
  end
  if #ranges > multipart.MAX_PARTS then
    return errors.fail("too_large", ("%d ranges are too many to be put together, at most %d can be")
      :format(#ranges, multipart.MAX_PARTS))
  end
  return ranges
end

local function copy_ranges(store, ranges, upload)
  local functions, parts = {}, {}
  for number, range in ipairs(ranges) do
    functions[number] = function()
      local etag, err = ask(store, {
        key = upload.key, query = { { "partNumber", tostring(number) }, { "uploadId", upload.id } },
        headers = {
          ["x-amz-copy-source"] = source_of(store, range.key),
          ["x-amz-copy-source-range"] = ("bytes=%.0f-%.0f"):format(range.first, range.last),
        },
      }, "CopyPartResult")
      parts[number] = etag
      return etag, err
    end
  end
  local ok, err = store.task:all(functions, PARALLEL)
  return ok and parts, err
end

-- What the keys have now: { key, size, etag } each, and all their bytes.
local function look(store, keys)
  local functions = {}
  for i, key in ipairs(keys) do
    functions[i] = function()
      local info, err = store:head(key)
      return info and { key = key, size = info.size, etag = info.etag }, err
    end
  end
  local objects, err = store.task:all(functions, store.options.parallel)
  if not objects then
    return nil, err
  end
  local size = 0
  for _, object in ipairs(objects) do
    size = size + object.size
  end
  return objects, size
end

-- Ranges of one object are of one state of it.
local function unchanged(store, objects, keys)
  local now, err = look(store, keys)
  for i, object in ipairs(now or {}) do
    if object.etag ~= objects[i].etag then
      return errors.fail("conflict", ("%s was changed while it was copied"):format(object.key))
    end
  end
  return now, err
end

local function copy(store, keys, to)
  local objects, size = look(store, keys)
  if not objects then
    return nil, size
  elseif #objects == 1 and size <= store.options.copy_threshold then
    return copy_whole(store, keys[1], to)
  end
  local ranges, err = ranges_of(objects, math.min(RANGE, store.options.copy_threshold))
  if not ranges then
    return nil, err
  end
  return multipart.object({
    session = store.session, key = store.base .. to, what = to, size = size, headers = { ["content-type"] = STREAM },
  }, function(upload)
    local parts, why = copy_ranges(store, ranges, upload)
    local same
    if parts then
      same, why = unchanged(store, objects, keys)
    end
    return same and parts, why
  end)
end

--- Puts what `from` has to `to`: one key, or several whose bytes follow each other. The ETag.
---@param store table
---@param from string|string[]
---@param to string
---@return string?
---@return epoch.Error?
function M.copy(store, from, to)
  local keys = type(from) == "table" and from or { from }
  local etag
  local ok, err = objectstore.check_key(to)
  if ok then
    etag, err = copy(store, keys, to)
  end
  if not etag then
    return nil, errors.wrap(err, ("copy %s to %s in %s"):format(table.concat(keys, ", "), to, store:describe()))
  end
  return etag
end

return M
