--- One request and its answer, and one thing tried as often as makes sense.
local core = require "epoch.core"
local errors = require "epoch.errors"
local failure = require "epoch.client.failure"
local address = require "epoch.client.address"
local retry = require "epoch.client.retry"
local whole = require "epoch.whole"

---@class epoch.client.Answer
---@field status integer
---@field url string where it came from
---@field method string
---@field asked string the URL that was asked
---@field bytes string? the body, where it was read
local Answer = {}
Answer.__index = Answer

local Transport = {}
Transport.__index = Transport

local M = {}

-- A body up to this long is read to its end, so that the connection can be used again.
local SMALL = 64 * 1024

-- Seconds that an answer may come late.
local LATE = 2

--- The first header of that name (in lower case), or nil.
---@param name string
---@return string?
function Answer:header(name)
  for _, header in ipairs(self.headers) do
    if header[1] == name then
      return header[2]
    end
  end
end

--- All headers of that name.
---@param name string
---@return string[]
function Answer:all(name)
  local list = {}
  for _, header in ipairs(self.headers) do
    if header[1] == name then
      list[#list + 1] = header[2]
    end
  end
  return list
end

--- The body's length as the server says, or nil when that is none.
---@return integer?
function Answer:length()
  return whole.from(tonumber((self:header("content-length") or ""):match("^%d+$")))
end

--- The body as a source, whose reader now owns the request.
function Answer:body()
  return self.request:body()
end

--- The whole body, which must not be longer than `max`; the answer is closed.
---@param max integer
---@return string?
---@return epoch.Error?
function Answer:read(max)
  local sink = core.collect(max)
  local moved, err = self.task:flow { source = self.request:body(), sink = sink }
  local bytes = moved and sink:bytes()
  sink:close()
  self:close()
  if moved then
    return bytes
  elseif err.kind == "too_large" then
    return errors.fail("too_large", ("%s %s: the answer is longer than %d bytes"):format(
      self.method, address.shown(self.asked), max), { cause = err })
  end
  return nil, err
end

local function always()
  return true
end

--- Done with it: a short body is read, so that the connection stays. Nobody waits for that.
function Answer:discard()
  local length = self:length()
  if self.method ~= "HEAD" and length and length > 0 and length <= SMALL then
    self.task:attend(function()
      self:read(SMALL)
    end, always)
  else
    self:close()
  end
end

--- The answer as an error; it is closed.
---@return epoch.Error
function Answer:failure()
  local body, err
  if self.method ~= "HEAD" then
    body, err = self:read(failure.MAX)
    if err and err.kind == "cancelled" then
      return err
    end
  end
  self:close()
  return failure.of({ status = self.status, method = self.method, asked = self.asked,
    content_type = self:header("content-type"), secret = self.secret }, body)
end

function Answer:close()
  self.request:close()
end

local function answer_of(self, request, handle, response)
  return setmetatable({
    task = self.task, request = handle, status = response.status, url = response.url,
    headers = response.headers, method = request.method, asked = request.url,
    secret = request.authorization and request.authorization:match("%S+$"),
  }, Answer)
end

--- Sends one request and waits for the head of its answer, whatever its status is. A body that
--- is a source is used up; `on_progress` is told how much of it is sent. `late` gets the answer
--- that comes soon after the work was cancelled.
---@param request { method: string, url: string, headers: table?, authorization: string?, body: any }
---@param on_progress fun(bytes: integer)?
---@param late fun(answer: epoch.client.Answer)?
---@return epoch.client.Answer?
---@return epoch.Error?
function Transport:send(request, on_progress, late)
  local options = { user_agent = self.user_agent }
  for name, value in pairs(self.options) do
    options[name] = value
  end
  for name, value in pairs(request) do
    options[name] = value
  end
  local handle, message, code = self.task.loop:request(options)
  if not handle then
    if type(request.body) == "userdata" then
      request.body:close()
    end
    return errors.fail(code, message)
  end
  local response, err = self.task:watch(handle, "response", "sent", on_progress)
  if response then
    return answer_of(self, request, handle, response)
  elseif late and err.kind == "cancelled" then
    response = self.task:await_for(LATE, handle, "response")
  end
  if response then
    late(answer_of(self, request, handle, response))
  else
    handle:close()
  end
  return nil, err
end

--- Calls `once` until it answers something, or what failed is not worth another try. `once`
--- answers a value, or nil, error, and the seconds that the server asked to wait.
---@param once fun(attempt: integer): any, epoch.Error?, number?
---@param tries integer? fewer than else
---@return any
---@return epoch.Error?
function Transport:attempts(once, tries)
  local attempt = 0
  while true do
    attempt = attempt + 1
    local value, err, after = once(attempt)
    if value ~= nil then
      return value
    end
    local seconds, ok
    seconds, err = retry.delay(attempt, err, after, { tries = tries or self.tries, spread = self.spread })
    if not seconds then
      return nil, err
    end
    ok, err = self.task:sleep(seconds)
    if not ok then
      return nil, err
    end
  end
end

--- `options` are those of loop:request that hold for every request.
---@param task epoch.task
---@param options table
---@param more { tries: integer, user_agent: string, spread: number? }
function M.new(task, options, more)
  return setmetatable({
    task = task, options = options, tries = more.tries, user_agent = more.user_agent, spread = more.spread,
  }, Transport)
end

return M
