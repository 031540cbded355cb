--- Blobs of a registry: are they there, read them, link them, upload them.
local bodies = require "epoch.client.body"
local downloads = require "epoch.client.download"
local errors = require "epoch.errors"
local reference = require "epoch.reference"
local retry = require "epoch.client.retry"
local uploads = require "epoch.client.upload"
local whole = require "epoch.whole"

local M = {}

local OK = { [200] = true }

local function check(name, digest)
  local ok, err = reference.check_name(name)
  if ok then
    ok, err = reference.check_digest(digest)
  end
  return ok, err
end

local function head_call(self, name, digest, actions)
  return {
    method = "HEAD", path = ("%s/blobs/%s"):format(self:full(name), digest),
    scopes = { self:scope(name, actions) }, expect = OK,
  }
end

local function size_of(self, name, digest, actions)
  local answer, err = self.session:ask(head_call(self, name, digest, actions))
  if not answer then
    return nil, err
  end
  local size = answer:length()
  answer:close()
  if not size then
    return errors.fail("invalid", ("%s does not say how long %s is"):format(self.address.url, digest))
  end
  return size
end

--- How long a blob is; not_found when it is not there.
---@param name string
---@param digest string
---@return integer?
---@return epoch.Error?
function M:blob_size(name, digest)
  local ok, err = check(name, digest)
  if not ok then
    return nil, err
  end
  return size_of(self, name, digest, "pull")
end

-- Its first and last byte; nil when that is all of the blob.
local function limits(range)
  local offset, length = range.offset or 0, range.length
  if not whole.from(offset) or offset < 0 or length and (not whole.from(length) or length < 1) then
    error("a range of a blob begins at 0 or later and has at least one byte", 3)
  end
  return (offset > 0 or length) and { offset = offset, last = length and offset + length - 1 } or nil
end

--- The bytes of a blob, or a range of them, as a source and how many there are (nil when the
--- registry does not say). Not verified: the flow that takes them does. A connection that
--- breaks in the middle is made again, a few times, while somebody waits in the task.
---@param name string
---@param digest string
---@param range { offset: integer?, length: integer? }?
---@return userdata? source
---@return integer|epoch.Error|nil size
function M:get_blob(name, digest, range)
  range = range and limits(range)
  local ok, err = check(name, digest)
  if not ok then
    return nil, err
  end
  return downloads.open(self, {
    method = "GET", path = ("%s/blobs/%s"):format(self:full(name), digest), scopes = { self:scope(name, "pull") },
  }, digest, range)
end

-- After an upload that failed: only its answer may have been lost, and the registry has what was
-- sent all the same.
local function unless_there(self, name, sent, err, after)
  if not retry.worth(err) then
    return nil, err
  end
  local answer, why = self.session:once(head_call(self, name, sent.digest, "pull,push"))
  if not answer then
    return nil, why.kind == "cancelled" and why or err, after
  end
  local length = answer:length()
  answer:close()
  return length == sent.size and sent or nil, err, after
end

local function tried(self, name, digest, size, body)
  local ok, err, after = uploads.whole(self, name, digest, size, body)
  if ok then
    return ok
  end
  return unless_there(self, name, { digest = digest, size = size }, err, after)
end

--- Uploads a blob, unless it is there. The registry has verified it when this answers true.
---@param name string
---@param digest string
---@param size integer
---@param given function|userdata|table see epoch.client.body
---@param on_progress (fun(sent: integer))? starts anew when the upload does
---@return true?
---@return epoch.Error?
function M:put_blob(name, digest, size, given, on_progress)
  local body = bodies.new(self.task, given, { size = size, dir = self.spool_dir, on_progress = on_progress })
  local ok, err = check(name, digest)
  local there
  if ok then
    there, err = size_of(self, name, digest, "pull,push") -- one token for all of it
  end
  if there == size then
    body:close()
    return true
  elseif there then
    body:close()
    return errors.fail("size_mismatch", ("%s has %s with %s bytes, promised were %s: the blob there is broken")
      :format(self.address.url, digest, whole.format(there), whole.format(size)))
  elseif err.kind == "not_found" then
    ok, err = self.transport:attempts(function()
      return tried(self, name, digest, size, body)
    end, not body.again and 1 or nil)
  else
    ok = nil
  end
  body:close()
  if not ok then
    return nil, errors.wrap(err, ("upload %s to %s%s"):format(digest, self.address.url, name))
  end
  return true
end

--- Makes a blob of another repository of the registry appear in this one. False: it cannot be
--- done, upload it.
---@param name string
---@param digest string
---@param from string
---@return boolean?
---@return epoch.Error?
function M:mount_blob(name, digest, from)
  local ok, err = check(name, digest)
  if ok then
    ok, err = reference.check_name(from)
  end
  if not ok then
    return nil, err
  end
  local call = uploads.begin_call(self, name)
  call.path = ("%s?mount=%s&from=%s"):format(call.path, digest, self:full(from))
  call.scopes = { self:scope(name, "pull,push"), self:scope(from, "pull") }
  call.expect = { [201] = true, [202] = true, [405] = true }
  local answer
  answer, err = self.session:ask(call)
  if not answer then
    return nil, err
  elseif answer.status ~= 202 then
    answer:discard()
    return answer.status == 201
  end
  local place = uploads.place(self, answer)
  if place then
    uploads.give_up(self, name, place)
  end
  return false
end

--- Uploads what has no digest yet: it is sent as it comes, and named at the end. A source is
--- sent once; a function or a reader is asked again after what may be retried. Every byte is
--- sent, also when the registry has them.
---@param name string
---@param given function|userdata|table see epoch.client.body
---@return { digest: string, size: integer }?
---@return epoch.Error?
function M:put_blob_stream(name, given)
  local body = bodies.new(self.task, given, { dir = self.spool_dir })
  local ok, err = reference.check_name(name)
  local result
  if ok then
    result, err = self.transport:attempts(function()
      local put, why, after, sent = uploads.streamed(self, name, body)
      if put or not sent then
        return put, why, after
      end
      return unless_there(self, name, sent, why, after)
    end, not body.again and 1 or nil)
  end
  body:close()
  if not result then
    return nil, errors.wrap(err, ("upload to %s%s"):format(self.address.url, name))
  end
  return result
end

return M
