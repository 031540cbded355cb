--- Base64 (RFC 4648, section 4), for the few bytes of a name and a password.

local M = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local VALUE = {}
for i = 1, #ALPHABET do
  VALUE[ALPHABET:byte(i)] = i - 1
end

---@param bytes string
---@return string
function M.encode(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 3, 0, -1 do
      local v = math.floor(n / 64 ^ shift) % 64
      local missing = shift == 0 and not c or shift == 1 and not b
      out[#out + 1] = missing and "=" or ALPHABET:sub(v + 1, v + 1)
    end
  end
  return table.concat(out)
end

--- The bytes, or nil for what is no base64. Padding may be missing.
---@param s string
---@return string?
function M.decode(s)
  local digits, padding = s:match("^([%w+/]*)(=*)$")
  if not digits or #padding > 2 or #digits % 4 == 1 then
    return nil
  end
  local out = {}
  for i = 1, #digits, 4 do
    local a, b, c, d = digits:byte(i, i + 3)
    local n = VALUE[a] * 262144 + VALUE[b] * 4096 + (c and VALUE[c] or 0) * 64 + (d and VALUE[d] or 0)
    local bytes = string.char(math.floor(n / 65536), math.floor(n / 256) % 256, n % 256)
    out[#out + 1] = bytes:sub(1, d and 3 or c and 2 or 1)
  end
  return table.concat(out)
end

return M
