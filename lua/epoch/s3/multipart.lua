--- Large objects: sent in parts, several at a time, each as often as it takes, and put
-- together at the end. What fails is taken back, so that no parts lie there and cost.
local core = require "epoch.core"
local errors = require "epoch.errors"
local queues = require "epoch.queue"
local retry = require "epoch.client.retry"
local sigv4 = require "epoch.s3.sigv4"
local xml = require "epoch.s3.xml"

local M = {}

--- How many parts an object can be made of: S3's own limit.
M.MAX_PARTS = 10000

--- Seconds for an answer, where the store moves bytes before it gives one.
M.PATIENCE = 300

local MIB = 1024 * 1024

-- Bytes in each part but the last: as configured, more where there would be too many parts.
local function part_size(size, wanted)
  return math.max(wanted, math.ceil(size / M.MAX_PARTS / MIB) * MIB)
end

--- Begins an upload: the store's name for it.
---@param upload { session: table, key: string, headers: table<string, string>? }
---@return string?
---@return epoch.Error?
function M.begin(upload)
  local answer, err = upload.session:ask {
    method = "POST", key = upload.key, query = { { "uploads" } }, headers = upload.headers, body = "",
    xml = "InitiateMultipartUploadResult",
  }
  if not answer then
    return nil, err
  end
  local id = xml.text(answer.xml, "UploadId")
  if not id or id == "" or #id > 1024 then
    return errors.fail("invalid", ("POST %s: the answer names no upload"):format(upload.session:shown(upload.key)))
  end
  return id
end

-- What tells of a part how far it is, as how far all of them are.
local function progress_of(upload, number)
  local sent = upload.sent
  return upload.on_progress and function(bytes)
    sent.all = sent.all + bytes - (sent[number] or 0)
    sent[number] = bytes
    upload.on_progress(sent.all)
  end
end

--- Sends a part, from a range of the content: its ETag.
---@param upload epoch.s3.Upload
---@param number integer
---@param offset integer
---@param length integer
---@param payload string? what it is signed with, where that is known
---@return string?
---@return epoch.Error?
function M.put_part(upload, number, offset, length, payload)
  local answer, err
  if not payload then
    payload, err = upload.payload(offset, length)
  end
  if not payload then
    return nil, err
  end
  answer, err = upload.session:ask(function()
    local source, why = upload.content:part(offset, length)
    return source and {
      method = "PUT", key = upload.key, query = { { "partNumber", tostring(number) }, { "uploadId", upload.id } },
      body = source, payload = payload, on_progress = progress_of(upload, number),
    }, why
  end)
  if not answer then
    return nil, err
  end
  local etag = answer:header("etag")
  answer:discard()
  if not etag then
    return errors.fail("invalid", ("PUT %s: the answer to part %d has no ETag"):format(
      upload.session:shown(upload.key), number))
  end
  return etag
end

-- Where each part is.
local function ranges_of(upload)
  local length, ranges = part_size(upload.size, upload.part_size), {}
  for number = 1, math.ceil(upload.size / length) do
    local offset = (number - 1) * length
    ranges[number] = { number = number, offset = offset, length = math.min(length, upload.size - offset) }
  end
  return ranges
end

-- Hashes a part, and all of them with the same bytes: what the part is signed with.
local function seal(upload, range, all)
  local source, err = upload.content:part(range.offset, range.length)
  local hashed
  if source then
    hashed, err = upload.task:flow {
      source = source, sink = all, more = true, hash = "sha256", size = range.length, what = upload.what,
    }
  end
  return hashed and hashed.digest:match("%x+$"), err
end

-- Seals the parts one after the other, and puts each where it is sent from. What changes before that is
-- refused by the store, for it has been signed.
local function seal_all(upload, ranges, queue)
  local algorithm = upload.digest:match("^[^:]+")
  local all = core.tap(nil, { hash = algorithm })
  local ok, err = true, nil
  for _, range in ipairs(ranges) do
    if ok then
      range.payload, err = seal(upload, range, all)
      ok = range.payload
    end
    if ok then
      ok, err = queue:put(range)
    end
  end
  local digest = ok and all:digest(algorithm)
  all:close()
  if ok and digest ~= upload.digest then
    return errors.fail("digest_mismatch", ("%s is %s, not %s"):format(upload.what, digest, upload.digest))
  end
  return ok and true, err
end

-- Sends the parts while those behind them are hashed: nothing is put together before all of them are.
local function send_sealed(upload, ranges, send)
  local queue = queues.new(upload.task, upload.parallel)
  local functions = { function()
    local ok, err = seal_all(upload, ranges, queue)
    queue:finish()
    return ok, err
  end }
  for _ = 1, upload.parallel do
    functions[#functions + 1] = function()
      local range, err, ok
      repeat
        range, err = queue:take()
        ok = range == false or nil
        if range then
          ok, err = send(range)
        end
      until not range or not ok
      return ok, err
    end
  end
  local ok, err = upload.task:all(functions)
  queue:close()
  return ok, err
end

local function send_parts(upload)
  local ranges, parts = ranges_of(upload), {}
  local function send(range)
    local etag, err = M.put_part(upload, range.number, range.offset, range.length, range.payload)
    parts[range.number] = etag
    return etag, err
  end
  local ok, err
  if upload.digest then
    ok, err = send_sealed(upload, ranges, send)
  else
    ok, err = upload.task:each(ranges, upload.parallel, send)
  end
  return ok and parts, err
end

local function completion(parts)
  local lines = {}
  for number, etag in ipairs(parts) do
    lines[number] = ("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>"):format(number, xml.escape(etag))
  end
  return ('<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s</CompleteMultipartUpload>')
    :format(table.concat(lines))
end

-- Puts the parts together. Who asks again after an answer that was lost may hear that there is
-- no such upload any more: then it has worked, or `check` will tell.
local function complete(upload, parts)
  local bytes, lost = completion(parts), false
  return upload.session.transport:attempts(function()
    local answer, err, after = upload.session:once {
      method = "POST", key = upload.key, query = { { "uploadId", upload.id } }, body = bytes,
      payload = sigv4.hash(bytes), xml = "CompleteMultipartUploadResult", patience = M.PATIENCE,
    }
    if answer or lost and err.kind == "not_found" then
      return true
    end
    lost = lost or retry.worth(err)
    return nil, err, after
  end)
end

-- The ETag of what there is now; not every store tells it when the parts are put together.
local function check(upload)
  local answer, err = upload.session:ask { method = "HEAD", key = upload.key }
  if not answer then
    return nil, err
  end
  local size, etag = answer:length(), answer:header("etag")
  answer:close()
  if size ~= upload.size or not etag then
    return errors.fail("size_mismatch", ("%s has %s bytes there, sent were %.0f"):format(
      upload.what, size and ("%.0f"):format(size) or "no", upload.size))
  end
  return etag
end

--- Takes back what was begun; what is not there any more is fine.
---@param upload { session: table, key: string, id: string }
---@return true?
---@return epoch.Error?
function M.abort(upload)
  local answer, err = upload.session:ask {
    method = "DELETE", key = upload.key, query = { { "uploadId", upload.id } },
    expect = { [200] = true, [204] = true, [404] = true },
  }
  if not answer then
    return nil, err
  end
  answer:discard()
  return true
end

---@class epoch.s3.Upload
---@field task epoch.task
---@field session table
---@field key string with the store's prefix
---@field what string its name in messages
---@field size integer
---@field content table epoch.s3.content
---@field digest epoch.digest? what the whole must be
---@field payload fun(offset: integer, length: integer): string?, epoch.Error? what a part is signed with
---@field headers table<string, string>? of the object
---@field part_size integer
---@field parallel integer how many parts at a time
---@field on_progress (fun(bytes: integer))? is told how much of all is sent

--- Puts the parts together: the ETag of the object.
---@param upload { session: table, key: string, id: string, what: string, size: integer }
---@param parts string[] their ETags
---@return string?
---@return epoch.Error?
function M.finish(upload, parts)
  local ok, err = complete(upload, parts)
  if not ok then
    M.abort(upload)
    return nil, err
  end
  return check(upload)
end

--- An object of the parts that `send(upload)` has sent: its ETag.
---@param upload { session: table, key: string, what: string, size: integer, headers: table<string, string>? }
---@param send fun(upload: table): string[]?, epoch.Error?
---@return string?
---@return epoch.Error?
function M.object(upload, send)
  local err
  upload.id, err = M.begin(upload)
  if not upload.id then
    return nil, err
  end
  local parts
  parts, err = send(upload)
  if not parts then
    M.abort(upload)
    return nil, err
  end
  return M.finish(upload, parts)
end

--- Puts an object: its ETag.
---@param upload epoch.s3.Upload
---@return string?
---@return epoch.Error?
function M.put(upload)
  upload.sent = { all = 0 }
  return M.object(upload, send_parts)
end

return M
