--- Signed requests to one bucket, as often as makes sense.
local calendar = require "epoch.calendar"
local errors = require "epoch.errors"
local failure = require "epoch.s3.failure"
local retry = require "epoch.client.retry"
local sigv4 = require "epoch.s3.sigv4"
local xml = require "epoch.s3.xml"

local Session = {}
Session.__index = Session

local M = {}

-- A clock that is this far off (seconds) is why a request was refused.
local SKEW = 300

---@class epoch.s3.Call
---@field method string
---@field key string? nil: the bucket
---@field query string[][]?
---@field headers table<string, string>? by names in lower case; all are signed
---@field body any? a source or a string
---@field on_progress (fun(bytes: integer))? is told how much of it is sent
---@field payload string? its sha256 in hex, or sigv4.UNSIGNED; that of no body when not given
---@field expect table<integer, boolean>? statuses that are answers; 200
---@field patience number? seconds to wait for the answer, where the store may need long
---@field xml string? the answer is an XML element of this name, which is read into answer.xml
---@field as_text boolean? into answer.text instead, to be read later, unless it is an error

local EXPECT = { [200] = true }

--- For messages: the address of a key or of the bucket.
---@param key string?
---@return string
function Session:shown(key)
  return self.endpoint:url(self.endpoint:path(key), "")
end

local function send(self, call)
  local endpoint = self.endpoint
  local path = endpoint:path(call.key)
  local authorization, headers = sigv4.sign({
    method = call.method, host = endpoint.host, path = path, query = call.query, headers = call.headers,
    payload = call.payload or sigv4.EMPTY,
  }, self.credentials, os.time() + self.skew, self.keys)
  return self.transport:send({
    method = call.method, url = endpoint:url(path, sigv4.query(call.query)), headers = headers,
    authorization = authorization, body = call.body, header_timeout = call.patience,
  }, call.on_progress)
end

local function read_body(answer)
  if answer.method == "HEAD" then
    answer:close()
    return nil
  end
  return answer:read(failure.MAX)
end

local function refusal(self, call, answer)
  local region = answer:header("x-amz-bucket-region")
  return failure.of({
    status = answer.status, method = call.method, what = self:shown(call.key),
    region = region ~= self.credentials.region and region or nil,
  }, read_body(answer))
end

--- The element that the text of an answer is. A store that has begun to answer before it knows how
--- it ends says 200, and <Error> in it.
---@param call epoch.s3.Call
---@param bytes string
---@return epoch.s3.Element?
---@return epoch.Error?
function Session:element(call, bytes)
  local element, err = xml.parse(bytes)
  if not element then
    return nil, errors.wrap(err, ("%s %s"):format(call.method, self:shown(call.key)))
  elseif element.name == "Error" then
    return nil, failure.of({ status = 200, method = call.method, what = self:shown(call.key) }, bytes)
  elseif element.name ~= call.xml then
    return errors.fail("invalid", ("%s %s: the answer is no %s"):format(call.method, self:shown(call.key), call.xml))
  end
  return element
end

-- Reads the XML that was asked for, as text where that is enough for now.
local function read_xml(self, call, answer)
  local bytes, err = answer:read(xml.MAX)
  if not bytes then
    return nil, errors.wrap(err, ("%s %s"):format(call.method, self:shown(call.key)))
  end
  answer.text = call.as_text and bytes or nil
  if answer.text and not bytes:find("<Error", 1, true) then
    return answer
  end
  answer.xml, err = self:element(call, bytes)
  return answer.xml and answer, err
end

--- Whether the store's clock, as the Date of a refusal shows it, is another one than ours; then its
--- time is used from now on.
---@param status integer
---@param date string?
---@return boolean
function Session:learn_time(status, date)
  local now = status == 403 and calendar.http(date)
  local off = now and now - os.time()
  if not off or math.abs(off - self.skew) <= SKEW then
    return false
  end
  self.skew = off
  return true
end

--- Asks once.
---@param call epoch.s3.Call
---@return epoch.client.Answer?
---@return epoch.Error?
---@return number? after seconds that the store asks to wait
function Session:once(call)
  local answer, err = send(self, call)
  if not answer then
    return nil, err
  elseif (call.expect or EXPECT)[answer.status] then
    if call.xml then
      return read_xml(self, call, answer)
    end
    return answer
  end
  local after = retry.after(answer:header("retry-after"))
  local learned = self:learn_time(answer.status, answer:header("date"))
  err = refusal(self, call, answer)
  if learned then -- a matter of luck no longer
    return nil, errors.new("unavailable", err.message, { cause = err }), 0
  end
  return nil, err, after
end

--- Asks, and again where that makes sense. A call with a source as its body is made anew each
--- time, by a function.
---@param call epoch.s3.Call|fun(): epoch.s3.Call?, epoch.Error?
---@return epoch.client.Answer?
---@return epoch.Error?
function Session:ask(call)
  return self.transport:attempts(function()
    if type(call) ~= "function" then
      return self:once(call)
    end
    local one, err = call()
    if not one then
      return nil, err
    end
    return self:once(one)
  end)
end

---@param endpoint epoch.s3.Endpoint
---@param credentials epoch.s3.Credentials
---@param transport table epoch.client.transport
function M.new(endpoint, credentials, transport)
  return setmetatable({
    endpoint = endpoint, credentials = credentials, transport = transport, skew = 0, keys = {},
  }, Session)
end

return M
