--- Where a server listens: what was typed, and what of it is free.
local errors = require "epoch.errors"
local hosts = require "epoch.host"
local random = require "epoch.random"
local text = require "epoch.text"

local M = {}

-- Ports to choose from: below those that the system gives to clients.
local FIRST_PORT, PORTS = 20000, 12000

local LISTEN = "0A" -- the state, as the kernel shows it

local function wrong(typed, why)
  return errors.fail("usage", ("--addr %s: %s"):format(text.quote(typed), why))
end

--- HOST:PORT, [IPV6]:PORT or :PORT, which is every IPv4 address. Port 0 is one that is free.
---@param typed string
---@return { host: string, port: integer, loopback: boolean }?
---@return epoch.Error?
function M.parse(typed)
  local host, digits = typed:match("^(.*):(%d+)$")
  local port = digits and tonumber(digits)
  if not host then
    return wrong(typed, "it must be HOST:PORT, like 127.0.0.1:8080")
  elseif port > 65535 then
    return wrong(typed, "a port is a number up to 65535")
  elseif host == "" then
    host = "0.0.0.0"
  end
  local ok, err = hosts.check(host)
  if not ok then
    return wrong(typed, err.message)
  end
  host = host:lower()
  if host == "localhost" then
    host = "127.0.0.1"
  end
  local loopback = host:find("^127%.%d+%.%d+%.%d+$") ~= nil or host:find("^%[[0:]*:0*1%]$") ~= nil
  return { host = host, port = port, loopback = loopback }
end

-- What listens in a table of the kernel's: by port, the addresses in its hexadecimal.
local function listeners(path)
  local by_port = {}
  local f = io.open(path)
  for line in f and f:lines() or function() end do
    local address, port, state = line:match("^%s*%d+: (%x+):(%x+) %x+:%x+ (%x+) ")
    if state == LISTEN then
      port = tonumber(port, 16)
      by_port[port] = by_port[port] or {}
      by_port[port][address] = true
    end
  end
  if f then
    f:close()
  end
  return by_port
end

-- An IPv4 address as the kernel shows it: the last number first.
local function hexadecimal(host)
  local a, b, c, d = host:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a and ("%02X%02X%02X%02X"):format(tonumber(d), tonumber(c), tonumber(b), tonumber(a))
end

local ALL_4, ALL_6 = ("0"):rep(8), ("0"):rep(32)

--- Is it known that another listens there? What this cannot know, nginx finds out.
---@param host string
---@param port integer
---@return boolean
function M.is_taken(host, port)
  local four, six = listeners("/proc/net/tcp")[port] or {}, listeners("/proc/net/tcp6")[port] or {}
  if host:find("^%[") then
    return six[ALL_6] or host:find("^%[[0:]*:0*1%]$") and six[("0"):rep(24) .. "01000000"] or false
  end
  local own = hexadecimal(host)
  return own ~= nil and (four[own] or four[ALL_4] or six[ALL_6] or own == ALL_4 and next(four) ~= nil) or false
end

--- A port that nobody listens on now; another may be quicker.
---@return integer
function M.free_port()
  local four, six = listeners("/proc/net/tcp"), listeners("/proc/net/tcp6")
  local port
  repeat
    local a, b = assert(random.bytes(2)):byte(1, 2)
    port = FIRST_PORT + (a * 256 + b) % PORTS
  until not four[port] and not six[port]
  return port
end

return M
