--- Upload sessions of a registry: opened, filled at once or as the bytes come, finished.
local address = require "epoch.client.address"
local bodies = require "epoch.client.body"
local core = require "epoch.core"
local errors = require "epoch.errors"
local whole = require "epoch.whole"

local M = {}

local ACCEPTED = { [202] = true }
local PATCH = { [202] = true, [307] = true, [308] = true }
local PUT = { [201] = true, [307] = true, [308] = true }
local STREAM = { ["Content-Type"] = "application/octet-stream" }

-- How often an upload may be led on, and the seconds that giving one up may take.
local HOPS = 6
local PATIENCE = 5

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
    scopes = { self:scope(name, "pull,push") }, expect = method == "PUT" and PUT or PATCH,
  }
end

--- Politeness: the registry would throw the session away by itself some day. So the answer is
--- not waited for long.
function M.give_up(self, name, place)
  local call = upload_call(self, name, place, "DELETE")
  call.expect, call.headers, call.patience = { [200] = true, [202] = true, [204] = true }, nil, PATIENCE
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

-- Sends a body to where an upload goes on, or to where that leads.
local function send(self, name, place, method, body)
  for _ = 1, HOPS do
    local call = upload_call(self, name, place, method)
    call.body, call.bytes = body, not body and "" or nil
    local answer, err, after = self.session:once(call)
    if not answer then
      return nil, lost(err), after
    elseif answer.status < 300 then
      return answer
    end
    place, err = M.place(self, answer)
    if not place then
      return nil, err
    elseif body and not body.again then
      return errors.fail("unsupported", ("%s %s: it leads elsewhere in the middle, and what was sent cannot be "
        .. "sent again"):format(method, self.address.url))
    end
  end
  return errors.fail("invalid", ("%s %s: more than %d redirects"):format(method, self.address.url, HOPS - 1))
end

local function put(self, name, place, digest, body)
  local named = { url = with_digest(place.url, digest), foreign = place.foreign }
  local answer, err, after = send(self, name, named, "PUT", body)
  if not answer then
    return nil, err, after
  end
  answer:discard()
  return true
end

-- Sends bytes whose number nobody knows; answers how many they were. The place moves on.
local function patch(self, name, place, body)
  local answer, err, after = send(self, name, place, "PATCH", body)
  if not answer then
    return nil, err, after
  end
  local sent = answer.request:sent()
  local next_place
  next_place, err = M.place(self, answer)
  if not next_place then
    return nil, err
  end
  place.url, place.foreign = next_place.url, next_place.foreign
  return sent
end

-- A session that is opened while the work is cancelled is one to give up, too.
local function begin(self, name)
  local call = M.begin_call(self, name)
  function call.late(late)
    local place = late.status == 202 and M.place(self, late)
    late:close()
    if place then
      M.give_up(self, name, place)
    end
  end
  local answer, err, after = self.session:once(call)
  if not answer then
    return nil, err, after
  end
  return M.place(self, answer)
end

-- Bytes of unknown number whose digest is known.
local function patch_and_put(self, name, place, digest, size, body)
  local sent, err, after = patch(self, name, place, body)
  if not sent then
    return nil, err, after
  elseif sent ~= size then
    return errors.fail("size_mismatch", ("what was to be uploaded as %s had %s bytes, promised were %s"):format(
      digest, whole.format(sent), whole.format(size)))
  end
  return put(self, name, place, digest)
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
  local place, ok, after
  place, err, after = begin(self, name)
  if not place then
    return nil, err, after
  elseif total then
    ok, err, after = put(self, name, place, digest, body)
  else
    ok, err, after = patch_and_put(self, name, place, digest, size, body)
  end
  if not ok then
    M.give_up(self, name, place)
  end
  return ok, err, after
end

-- Sends a source through a pipe, so that it is hashed on the way: what it was.
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
  local sent, err, after = patch(self, name, place, bodies.new(self.task, from, {}))
  local result
  if sent then
    result, err = self.task:await(flow, "result")
  end
  flow:close()
  return result and { digest = result.digest, size = result.size }, err, after
end

-- The bytes, then their digest; the fourth answer is what was sent when only the end failed.
local function fill(self, name, place, body)
  local source, err = body:open()
  if not source then
    return nil, err
  end
  local sent, ok, after
  sent, err, after = hashed(self, name, place, source)
  if not sent then
    return nil, err, after
  end
  ok, err, after = put(self, name, place, sent.digest)
  if not ok then
    return nil, err, after, sent
  end
  return sent
end

--- One try of an upload whose digest is known at its end only.
---@return { digest: string, size: integer }?
---@return epoch.Error?
---@return number? after
---@return { digest: string, size: integer }? sent what was sent, when only the end failed
function M.streamed(self, name, body)
  local place, err, after = begin(self, name)
  if not place then
    return nil, err, after
  end
  local done, sent
  done, err, after, sent = fill(self, name, place, body)
  if not done then
    M.give_up(self, name, place)
  end
  return done, err, after, sent
end

return M
