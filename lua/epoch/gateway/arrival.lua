--- The body of an upload, while it arrives: nginx spools it into a file, and threads hash that file
-- behind it, so that little is left to do when the last byte has come.
--
-- Waiting costs nearly nothing: a client that sends a byte a second holds no thread, and is looked
-- after a few times a second. A client that goes away ends the request, and all of this with it.
local aheads = require "epoch.gateway.ahead"
local core = require "epoch.core"
local errors = require "epoch.errors"
local ngx = require "ngx"
local semaphore = require "ngx.semaphore"
local threads = require "epoch.gateway.threads"

local M = {}

-- A thread is asked to hash when so many bytes have come, and gets at most so many at once.
local WORTH, MOST = 4 * 1024 * 1024, 16 * 1024 * 1024
-- Seconds between two looks at the file: more each time nothing was worth hashing.
local FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25

-- Reads the body beside what this request does else: `over` when all of it is there.
local function reader()
  local body = { over = false, news = semaphore.new() }
  ngx.thread.spawn(function()
    ngx.req.read_body()
    body.over = true
    body.news:post()
  end)
  return body
end

-- The file as it is now.
local function look(body)
  body.path = body.path or ngx.var.request_body_file
  local stat = body.path and core.stat(body.path)
  return stat and stat.size or 0
end

-- Nothing in a file and something in memory: what nginx was told is not enough for us.
local function check_spooled(body)
  if not body.path and ngx.req.get_body_data() then
    return errors.fail("internal", "nginx keeps small bodies in memory; its configuration needs "
      .. "\"client_body_in_file_only clean\" where uploads arrive")
  end
  return true
end

-- A body that says how long it is gets so much room on the disk ahead of what has come; the next is asked
-- for when half of it is left. Where the kernel looks for room while it writes back what came before,
-- nginx waits for it with each piece it writes, and all its clients with it.
local AHEAD = 256 * 1024 * 1024

-- How many bytes behind those that are hashed have to be reserved now, if any.
local function room_for(body, hashed)
  local length = tonumber(ngx.var.http_content_length)
  if length and length > hashed + WORTH and hashed >= (body.reserved or 0) then
    body.reserved = hashed + AHEAD / 2
    return math.min(AHEAD, length - hashed)
  end
end

-- Hashes what has come until all of it has: its size and the state, or nil and the error.
local function hash_all(body, hash, idle)
  local hashed, pause = 0, FIRST_PAUSE
  while true do
    local over = body.over -- before the size is looked at
    local size = look(body)
    if size - hashed >= WORTH or over and size > hashed then
      local n, state = threads.call("bytes", "uploads", "hash", hash, body.path, hashed, math.min(size - hashed, MOST),
        room_for(body, hashed))
      if not n then
        return nil, state
      end
      hash, hashed, pause = state, hashed + n, FIRST_PAUSE
    elseif over then
      return hashed, hash
    else
      body.news:wait(pause)
      pause = math.min(2 * pause, LONGEST_PAUSE)
    end
    if idle then
      idle()
    end
  end
end

--- Receives the body: its file (nil: it is empty), its size, and the state of a hasher that has gone on
--- from `hash` over it; `sent`: what of it is in the store already, where that is worth it.
---@param hash string
---@param options { to: table, from: integer, idle: fun()? } `to`: as of epoch.gateway.sessions.ahead;
--- `from`: the offset that the body follows; `idle` is called now and then while nothing is done
---@return { path: string?, size: integer, hash: string, sent: table? }?
---@return epoch.Error?
function M.receive(hash, options)
  local body = reader()
  local ahead = aheads.start(body, look, options.to, options.from)
  local size, state = hash_all(body, hash, options.idle)
  local ok, err = size, state
  if size then
    ok, err = check_spooled(body)
  end
  if not ok then
    if ahead then
      ahead:drop()
    end
    return nil, err
  end
  return { path = body.path, size = size, hash = state, sent = ahead and ahead:finish() }
end

--- Lets go of a chunk that was received and is not wanted.
---@param chunk { sent: table? }
function M.drop(chunk)
  if chunk.sent then
    threads.call("moves", "uploads", "drop", chunk.sent)
  end
end

return M
