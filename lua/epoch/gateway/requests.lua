--- What a request brings along: small bodies, numbers in its query, the type of its body.
local core = require "epoch.core"
local errors = require "epoch.errors"
local ngx = require "ngx"
local semaphore = require "ngx.semaphore"

local M = {}

-- Seconds between two looks at a body that arrives.
local PAUSE = 0.01

local function read_file(path)
  local file, why = io.open(path, "rb")
  if not file then
    return errors.fail("io", "read the body of a request: " .. tostring(why))
  end
  local bytes = file:read("*a")
  file:close()
  return bytes
end

local function size_of(path)
  local stat = path and core.stat(path)
  return stat and stat.size or 0
end

-- Reads a body that does not say how long it is: false as soon as it is longer than that.
local function read_at_most(max)
  local over, news = false, semaphore.new()
  local reader = ngx.thread.spawn(function()
    ngx.req.read_body()
    over = true
    news:post()
  end)
  while not over do
    if size_of(ngx.var.request_body_file) > max then
      ngx.thread.kill(reader)
      return false
    end
    news:wait(PAUSE)
  end
  return true
end

--- The body, at most `max` bytes of it.
---@param max integer
---@param what string
---@return string?
---@return epoch.Error?
function M.body(max, what)
  local said = tonumber(ngx.var.http_content_length)
  local function too_large()
    return errors.fail("too_large", ("%s has at most %d bytes here"):format(what, max))
  end
  if said and said > max then
    return too_large()
  elseif said then
    ngx.req.read_body()
  elseif not read_at_most(max) then
    return too_large()
  end
  local path = ngx.req.get_body_file()
  if not path then
    return ngx.req.get_body_data() or ""
  elseif size_of(path) > max then
    return too_large()
  end
  return read_file(path)
end

--- The media type of the body, without parameters; nil when there is none.
---@return string?
function M.media_type()
  local given = ngx.var.http_content_type
  return given and given:match("^%s*([%w!#$&^_.+/-]+)") or nil
end

--- How much of a listing is asked for: at most `n` (nil: a page) behind `last`.
---@return { n: integer?, last: string? }?
---@return epoch.Error?
---@return string? code
function M.page()
  local args = ngx.req.get_uri_args()
  local n, last = args.n, args.last
  if n ~= nil and not (type(n) == "string" and n:find("^%d%d?%d?%d?%d?%d?%d?%d?%d?$")) then
    return nil, errors.new("invalid", "n must be a whole number"), "PAGINATION_NUMBER_INVALID"
  elseif last ~= nil and type(last) ~= "string" then
    return nil, errors.new("invalid", "last is given once"), "PAGINATION_NUMBER_INVALID"
  end
  return { n = tonumber(n), last = last }
end

return M
