--- Addresses and networks: 10.0.0.0/8, fd00::/8, 192.0.2.7, and "unix:" for sockets of this machine.
-- An IPv4 address is the same however IPv6 writes it (::ffff:192.0.2.7).
local M = {}

---@class epoch.gateway.Network
---@field bytes integer[] 4 or 16
---@field bits integer how many of them count

-- So many proxies stand behind each other at most.
local HOPS = 32

--- What nginx calls the peer of a socket of this machine.
M.LOCAL = "unix:"

local function ipv4(s)
  local bytes = { s:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  for i, digits in ipairs(bytes) do
    bytes[i] = tonumber(digits)
    if bytes[i] > 255 or digits:find("^0%d") then
      return nil
    end
  end
  return bytes[1] and bytes
end

-- The groups of one side of "::", two bytes each; or nil. At the end there may be an IPv4 address.
local function groups(s, at_end)
  local bytes = {}
  if s == "" then
    return bytes
  end
  for group, at in (s .. ":"):gmatch("([^:]*):()") do
    local v4 = at_end and at > #s and ipv4(group)
    if v4 then
      for _, byte in ipairs(v4) do
        bytes[#bytes + 1] = byte
      end
    elseif group:find("^%x%x?%x?%x?$") then
      local n = tonumber(group, 16)
      bytes[#bytes + 1] = math.floor(n / 256)
      bytes[#bytes + 1] = n % 256
    else
      return nil
    end
  end
  return bytes
end

local MAPPED = ("0,"):rep(10) .. "255,255,"

local function ipv6(s)
  local head, tail = s:match("^(.-)::(.*)$")
  local bytes, rest = groups(head or s, not head), tail and groups(tail, true)
  if not bytes or tail and not rest or tail and #bytes + #rest > 14 then
    return nil
  elseif tail then
    for _ = #bytes + #rest + 1, 16 do
      bytes[#bytes + 1] = 0
    end
    for _, byte in ipairs(rest) do
      bytes[#bytes + 1] = byte
    end
  end
  if #bytes ~= 16 then
    return nil
  elseif table.concat(bytes, ",", 1, 12) .. "," == MAPPED then
    return { bytes[13], bytes[14], bytes[15], bytes[16] }
  end
  return bytes
end

--- The bytes of an address, or nil for what is none.
---@param s string
---@return integer[]?
function M.address(s)
  if #s > 45 then
    return nil
  end
  return ipv4(s) or s:find(":", 1, true) and ipv6(s) or nil
end

--- A network, or nil for what is none. Without a length it is one address.
---@param s string
---@return epoch.gateway.Network|"unix:"|nil
function M.parse(s)
  if s == M.LOCAL then
    return M.LOCAL
  end
  local text, length = s:match("^([^/]+)/(%d%d?%d?)$")
  local bytes = M.address(text or s)
  local bits = bytes and (tonumber(length) or #bytes * 8)
  if bits and text and text:find(":", 1, true) and #bytes == 4 then
    bits = bits - 96 -- the length of ::ffff:10.0.0.0/104 counts the part before it
  end
  if not bits or bits < 0 or bits > #bytes * 8 then
    return nil
  end
  return { bytes = bytes, bits = bits }
end

local function within(network, bytes)
  if #network.bytes ~= #bytes then
    return false
  end
  local whole = math.floor(network.bits / 8)
  for i = 1, whole do
    if network.bytes[i] ~= bytes[i] then
      return false
    end
  end
  local rest = network.bits - whole * 8
  local unit = 2 ^ (8 - rest)
  return rest == 0 or math.floor(network.bytes[whole + 1] / unit) == math.floor(bytes[whole + 1] / unit)
end

--- Is an address in one of the networks?
---@param networks (epoch.gateway.Network|"unix:")[]
---@param address string
---@return boolean
function M.contain(networks, address)
  local bytes = address ~= M.LOCAL and M.address(address)
  for _, network in ipairs(networks) do
    if network == M.LOCAL or not bytes then
      if network == address then
        return true
      end
    elseif within(network, bytes) then
      return true
    end
  end
  return false
end

local LOOPBACK = { M.parse "127.0.0.0/8", M.parse "::1", M.LOCAL }

--- Is it this machine?
---@param address string
---@return boolean
function M.is_loopback(address)
  return M.contain(LOOPBACK, address)
end

--- A part of a header without the blanks around it; "" where there are some inside. Takes no more steps
--- than there are letters, whatever they are.
---@param s string
---@return string
function M.trim(s)
  local at = s:find("%S")
  return at and s:match("^(%S+)%s*$", at) or ""
end

--- Where a request comes from: the peer, or what trusted proxies say in X-Forwarded-For, read from
--- its end up to the first that is not one of them.
---@param peer string
---@param forwarded string? the header
---@param trusted (epoch.gateway.Network|"unix:")[]
---@return string address
---@return boolean proxied by one who is trusted
function M.client(peer, forwarded, trusted)
  if #trusted == 0 or not M.contain(trusted, peer) then
    return peer, false
  end
  local client, list = peer, {}
  for one in (forwarded and forwarded .. "," or ""):gmatch("([^,]*),") do
    list[#list + 1] = one
  end
  for i = #list, math.max(#list - HOPS, 0) + 1, -1 do
    local one = M.trim(list[i])
    one = one:match("^%[(.*)%]$") or one
    if not M.address(one) then
      break
    end
    client = one
    if not M.contain(trusted, client) then
      break
    end
  end
  return client, true
end

--- Who is limited together: an address of IPv4, a network of 64 bits of IPv6, which is one host's.
---@param address string
---@return string
function M.limited_as(address)
  local bytes = M.address(address)
  if not bytes or #bytes == 4 then
    return bytes and table.concat(bytes, ".") or address
  end
  return ("%02x%02x:%02x%02x:%02x%02x:%02x%02x"):format(bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6],
    bytes[7], bytes[8])
end

return M
