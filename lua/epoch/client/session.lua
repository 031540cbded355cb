--- Requests to one registry: with what it wants as Authorization, as often as makes sense.
local core = require "epoch.core"
local errors = require "epoch.errors"
local retry = require "epoch.client.retry"

local Session = {}
Session.__index = Session

local M = {}

---@class epoch.client.Call
---@field method string
---@field path string? after /v2/; or
---@field url string? where the registry has led us
---@field foreign boolean? no credentials: another origin than the registry's
---@field scopes string[]
---@field headers table<string, string>?
---@field bytes string? to send
---@field body table? to send: see epoch.client.body
---@field expect table<integer, boolean> statuses that are answers
---@field patience number? seconds to wait for a connection, and for the answer
---@field late fun(answer: epoch.client.Answer)? gets the answer when the work is cancelled meanwhile
---@field max integer? read the answer's body, at most so long, into answer.bytes

local function authorization(self, call)
  if call.foreign then
    return false
  end
  return self.auth:authorization(call.scopes)
end

local function send(self, call, permit)
  local body = call.bytes
  if call.body then
    local err
    body, err = call.body:open()
    if not body then
      return nil, err
    end
  end
  return self.transport:send({
    method = call.method, url = call.url or self.address.root .. call.path,
    headers = call.headers, authorization = permit or nil, body = body,
    connect_timeout = call.patience, header_timeout = call.patience,
  }, call.body and call.body.on_progress, call.late)
end

local function accept(call, answer)
  if not call.expect[answer.status] then
    local after = retry.after(answer:header("retry-after"))
    return nil, answer:failure(), after
  elseif call.max then
    local err
    answer.bytes, err = answer:read(call.max)
    if not answer.bytes then
      return nil, err
    end
  end
  return answer
end

--- Asks once; a 401 of the registry is answered with fresh credentials, one time.
---@param call epoch.client.Call
---@param refreshed boolean?
---@return epoch.client.Answer?
---@return epoch.Error?
---@return number? after seconds that the server asks to wait
function Session:once(call, refreshed)
  local permit, err = authorization(self, call)
  if permit == nil then
    return nil, err
  end
  local answer
  answer, err = send(self, call, permit)
  if not answer then
    return nil, err
  elseif answer.status ~= 401 or call.foreign then
    return accept(call, answer)
  elseif refreshed then
    return nil, self.auth:explain(answer:failure())
  end
  local ok
  ok, err = self.auth:refused(answer, call.scopes)
  if not ok then
    return nil, err
  elseif call.body and not call.body.again then
    return errors.fail("unauthorized", ("%s %s: the registry asked for other credentials in the middle, "
      .. "and what was sent cannot be sent again"):format(call.method, self.address.url))
  end
  return self:once(call, true)
end

--- Asks, and again where that makes sense.
---@param call epoch.client.Call
---@return epoch.client.Answer?
---@return epoch.Error?
function Session:ask(call)
  local tries = call.body and not call.body.again and 1 or nil
  return self.transport:attempts(function()
    return self:once(call)
  end, tries)
end

--- The URL that a header of an answer names, or nil and an error.
---@param answer epoch.client.Answer
---@param location string?
---@param what string
---@return string?
---@return epoch.Error?
function Session:led_to(answer, location, what)
  if not location then
    return errors.fail("invalid", ("%s %s: the answer does not say %s"):format(answer.method, self.address.url, what))
  end
  local url, message, code = core.resolve(answer.url, location)
  if not url then
    return errors.fail(code, ("%s that %s gave: %s"):format(what, self.address.url, message))
  end
  return url
end

---@param options { task: table, address: table, transport: table, auth: table }
function M.new(options)
  return setmetatable(options, Session)
end

return M
