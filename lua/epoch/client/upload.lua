--- Upload sessions of a registry: opened, filled at once or as the bytes come, finished.
local address = require "epoch.client.address"
local bodies = require "epoch.client.body"
local core = require "epoch.core"
local errors = require "epoch.errors"
local whole = require "epoch.whole"

local M = {}

local CREATED = { [201] = true }
local ACCEPTED = { [202] = true }
local STREAM = { ["Content-Type"] = "application/octet-stream" }

--- Where an answer says that an upload goes on, and whether that is the registry itself.
function M.place(self, answer)
  local url, err = self.session:led_to(answer, answer:header("location"), "the upload location")
  answer:discard()
  if not url then
    return nil, err
  end
  local may
  may, err = address.may_lead(self.address, url, "the upload location")
  return may and { url = url, foreign = not may.own }, err
end

--- What opens a session.
function M.begin_call(self, name)
  return {
    method = "POST", path = self:full(name) .. "/blobs/uploads/", bytes = "",
    scopes = { self:scope(name, "pull,push") }, expect = ACCEPTED,
  }
end

local function with_digest(url, digest)
  return url .. (url:find("?", 1, true) and "&" or "?") .. "digest=" .. digest
end

local function upload_call(self, name, place, method)
  return {
    method = method, url = place.url, foreign = place.foreign, headers = STREAM,
    scopes = { self:scope(name, "pull,push") }, expect = method == "PUT" and CREATED or ACCEPTED,
  }
end

--- Politeness: the registry would throw the session away by itself some day.
function M.give_up(self, name, place)
  local call = upload_call(self, name, place, "DELETE")
  call.expect, call.headers = { [200] = true, [202] = true, [204] = true }, nil
  local answer = self.session:once(call)
  if answer then
    answer:discard()
  end
end

-- A session that is gone is a new one's turn; 404 says nothing else here.
local function lost(err)
  if err and err.status == 404 then
    return errors.new("unavailable", err.message .. " (the upload session is gone)", { cause = err })
  end
  return err
end

local function put(self, name, place, digest, body)
  local call = upload_call(self, name, place, "PUT")
  call.url, call.body, call.bytes = with_digest(place.url, digest), body, not body and "" or nil
  local answer, err, after = self.session:once(call)
  if not answer then
    return nil, lost(err), after
  end
  answer:discard()
  return true
end

-- Sends bytes whose number nobody knows; answers where to finish, and how many were sent.
local function patch(self, name, place, body)
  local call = upload_call(self, name, place, "PATCH")
  call.body = body
  local answer, err, after = self.session:once(call)
  if not answer then
    return nil, lost(err), after
  end
  local sent = answer.request:sent()
  local next_place
  next_place, err = M.place(self, answer)
  return next_place, err or sent
end

--- One try of an upload whose digest is known: a session, the bytes, the digest.
---@return true?
---@return epoch.Error?
---@return number? after
function M.whole(self, name, digest, size, body)
  local total, err = body:total()
  if total == nil then
    return nil, err
  end
  local answer, after
  answer, err, after = self.session:once(M.begin_call(self, name))
  if not answer then
    return nil, err, after
  end
  local place
  place, err = M.place(self, answer)
  if not place then
    return nil, err
  elseif total then
    return put(self, name, place, digest, body)
  end
  local next_place, sent
  next_place, sent, after = patch(self, name, place, body)
  if not next_place then
    return nil, sent, after
  elseif sent ~= size then
    M.give_up(self, name, next_place)
    return errors.fail("size_mismatch", ("what was to be uploaded as %s had %s bytes, promised were %s"):format(
      digest, whole.format(sent), whole.format(size)))
  end
  return put(self, name, next_place, digest)
end

-- Sends a source through a pipe, so that it is hashed on the way: where to finish, and what
-- it was.
local function hashed(self, name, place, source)
  local from, into = core.pipe()
  if not from then
    source:close()
    return errors.fail("io", "a pipe for the upload: " .. tostring(into))
  end
  local flow, message, code = self.task.loop:flow { source = source, sink = into, hash = true }
  if not flow then
    from:close()
    return errors.fail(code, message)
  end
  local next_place, sent, after = patch(self, name, place, bodies.new(self.task, from, {}))
  local result, why
  if next_place then
    result, why = self.task:await(flow, "result")
  end
  flow:close()
  if not next_place then
    return nil, sent, after
  elseif not result then
    M.give_up(self, name, next_place)
    return nil, why
  end
  return next_place, { digest = result.digest, size = result.size }
end

--- One try of an upload whose digest is known at its end only.
---@return { digest: string, size: integer }?
---@return epoch.Error?
---@return number? after
---@return { digest: string, size: integer }? sent what was sent, when only the end failed
function M.streamed(self, name, body)
  local answer, err, after = self.session:once(M.begin_call(self, name))
  if not answer then
    return nil, err, after
  end
  local place
  place, err = M.place(self, answer)
  if not place then
    return nil, err
  end
  local source
  source, err = body:open()
  if not source then
    M.give_up(self, name, place)
    return nil, err
  end
  local next_place, sent
  next_place, sent, after = hashed(self, name, place, source)
  if not next_place then
    return nil, sent, after
  end
  local ok
  ok, err, after = put(self, name, next_place, sent.digest)
  if not ok then
    return nil, err, after, sent
  end
  return sent
end

return M
