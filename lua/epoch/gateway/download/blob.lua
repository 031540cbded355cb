--- The bytes of a blob, a block at a time, for who sends several blobs as one: from nginx's own
-- listener inside, which gives them as it gives blobs to clients, whatever store they are in.
--
-- Where that does not answer any more, because nginx is about to end and only waits for what is
-- going on, a thread reads them.
local errors = require "epoch.errors"
local ngx = require "ngx"
local threads = require "epoch.gateway.threads"
local whole = require "epoch.whole"

local M = {}

--- The size of a block. Larger ones are no quicker, and many downloads have many of them.
M.BLOCK = 32 * 1024

-- What a thread reads at a time: asking one takes longer than a block.
local AT_ONCE = 4 * M.BLOCK

local CONNECT, STALL = 5000, 60000 -- milliseconds

local function failed(digest, why)
  return errors.fail("broken", ("blob %s: %s"):format(digest, why))
end

---------------------------------------------------------------- from nginx

local Answer = {}
Answer.__index = Answer

function Answer:read()
  local wanted = math.min(self.left, M.BLOCK)
  local bytes, why = self.socket:receive(wanted)
  if not bytes then
    return failed(self.digest, ("it broke off %s bytes before its end: %s"):format(whole.format(self.left), why))
  end
  self.left = self.left - wanted
  return bytes
end

function Answer:close()
  self.socket:close()
end

-- The status and the headers that matter.
local function read_head(socket)
  local line, why = socket:receive("*l")
  local status = line and tonumber(line:match("^HTTP/1%.[01] (%d%d%d)"))
  local range
  while line and line ~= "" do
    line, why = socket:receive("*l")
    range = line and line:lower():match("^content%-range:%s*bytes (%d+%-%d+)/") or range
  end
  return line and status, range or why
end

local REQUEST = "GET /%s/%s HTTP/1.1\r\nHost: epoch\r\nConnection: close\r\nRange: bytes=%s\r\n\r\n"

local function ask(socket, segment)
  local range = ("%.0f-%.0f"):format(segment.at, segment.at + segment.length - 1)
  local algorithm, hex = segment.digest:match("^(%w+):(%x+)$")
  local ok, why = socket:send(REQUEST:format(algorithm, hex, range))
  if not ok then
    return failed(segment.digest, why)
  end
  local status, given = read_head(socket)
  if status ~= 206 or given ~= range then
    return failed(segment.digest, ("asked for bytes %s, the store gives %s"):format(range,
      status == 206 and "others" or status and "status " .. status or tostring(given)))
  end
  return true
end

---------------------------------------------------------------- from a thread

local Read = {}
Read.__index = Read

function Read:read()
  local wanted = math.min(self.left, AT_ONCE)
  local bytes, err = threads.call("bytes", "download", "read", self.name, self.digest, self.at, wanted)
  self.at, self.left = self.at + wanted, self.left - wanted
  return bytes, err
end

function Read.close() end

---------------------------------------------------------------- both

-- A connection to nginx itself; nil where there is none to be had.
local function connect()
  local inside = ngx.var.epoch_inside
  if not inside or inside == "" then
    return nil
  end
  local socket = ngx.socket.tcp()
  socket:settimeouts(CONNECT, STALL, STALL)
  return socket:connect(inside) and socket or nil
end

--- Bytes of a blob: `read` answers the next block, as long as there are any `left`.
---@param name string the repository
---@param segment epoch.gateway.segment
---@return { read: function, close: function, left: integer }?
---@return epoch.Error?
function M.open(name, segment)
  local socket = connect()
  if not socket then
    return setmetatable({ name = name, digest = segment.digest, at = segment.at, left = segment.length }, Read)
  end
  local ok, err = ask(socket, segment)
  if not ok then
    socket:close()
    return nil, err
  end
  return setmetatable({ socket = socket, digest = segment.digest, left = segment.length }, Answer)
end

return M
