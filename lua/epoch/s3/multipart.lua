--- Large objects: sent in parts, several at a time, each as often as it takes, and put
-- together at the end. What fails is taken back, so that no parts lie there and cost.
local errors = require "epoch.errors"
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
---@return string?
---@return epoch.Error?
function M.put_part(upload, number, offset, length)
  local payload, err = upload.payload(offset, length)
  if not payload then
    return nil, err
  end
  local answer
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

-- The whole is hashed while its parts are on their way: nothing is put together before.
local function verify(upload)
  local algorithm = upload.digest:match("^[^:]+")
  local digests, err = upload.content:digests(0, upload.size, { algorithm })
  if digests and digests[algorithm] ~= upload.digest then
    return errors.fail("digest_mismatch", ("%s is %s, not %s"):format(upload.what, digests[algorithm], upload.digest))
  end
  return digests and true, err
end

local function send_parts(upload)
  local functions, parts, parallel = {}, {}, upload.parallel
  if upload.digest then
    functions[1], parallel = function() return verify(upload) end, parallel + 1
  end
  local length = part_size(upload.size, upload.part_size)
  local count = math.ceil(upload.size / length)
  for number = 1, count do
    functions[#functions + 1] = function()
      local offset = (number - 1) * length
      local etag, err = M.put_part(upload, number, offset, math.min(length, upload.size - offset))
      parts[number] = etag
      return etag, err
    end
  end
  local ok, err = upload.task:all(functions, parallel)
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
