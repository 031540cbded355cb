--- AWS Signature Version 4: what S3 wants to see before it believes who is asking.
--
-- Pure: a request and a time come in, an Authorization header or a query comes out. The one
-- place where names and values are percent-coded, because what is signed must be, byte for
-- byte, what is sent: paths and queries made here go into URLs as they are.
local core = require "epoch.core"

local M = {}

M.UNSIGNED = "UNSIGNED-PAYLOAD"

--- The sha256 of a body, as it is signed.
---@param bytes string
---@return string hex
function M.hash(bytes)
  return (core.digest(bytes):match("%x+$"))
end

M.EMPTY = M.hash("")

--- Seconds for which a presigned URL may be good at most: a week.
M.LONGEST = 7 * 24 * 3600

local ALGORITHM = "AWS4-HMAC-SHA256"

---@class epoch.s3.Credentials
---@field access_key string
---@field secret_key string
---@field session_token string?
---@field region string
---@field service string? s3

---@class epoch.s3.Signable
---@field method string
---@field host string as the Host header has it
---@field path string coded: see M.path
---@field query string[][]? names and values, not coded
---@field headers table<string, string>? others to sign
---@field payload string the sha256 of the body in hex, or UNSIGNED

local function code(c)
  return ("%%%02X"):format(c:byte())
end

--- A name or a value for a query.
---@param s string
---@return string
function M.encode(s)
  return (s:gsub("[^%w._~-]", code))
end

--- A key for a path: its slashes stay. S3 codes once; other services would code this again.
---@param s string
---@return string
function M.path(s)
  return (s:gsub("[^%w._~/-]", code))
end

--- A query in the order of its signature. A name may come several times.
---@param pairs_of string[][]?
---@return string
function M.query(pairs_of)
  local coded = {}
  for i, pair in ipairs(pairs_of or {}) do
    coded[i] = { M.encode(pair[1]), M.encode(pair[2] or "") }
  end
  table.sort(coded, function(a, b)
    if a[1] == b[1] then
      return a[2] < b[2]
    end
    return a[1] < b[1]
  end)
  for i, pair in ipairs(coded) do
    coded[i] = pair[1] .. "=" .. pair[2]
  end
  return table.concat(coded, "&")
end

local function hex(raw)
  return (raw:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- The headers as they are signed, and their names.
local function canonical_headers(headers)
  local names, lines = {}, {}
  for name in pairs(headers) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    lines[i] = name .. ":" .. headers[name]:match("^%s*(.-)%s*$"):gsub("%s+", " ") .. "\n"
  end
  return table.concat(lines), table.concat(names, ";")
end

--- What is hashed into the string to sign: for specs, and for who looks for a difference.
---@param request epoch.s3.Signable
---@param headers table<string, string>
---@param query string
---@return string
---@return string names the signed headers
function M.canonical(request, headers, query)
  local lines, names = canonical_headers(headers)
  return table.concat({ request.method, request.path, query, lines, names, request.payload }, "\n"), names
end

local function scope_of(credentials, day)
  return table.concat({ day, credentials.region, credentials.service or "s3", "aws4_request" }, "/")
end

-- The key of a day, from `keys` where it is there already.
local function key_of(credentials, scope, keys)
  if keys and keys.scope == scope then
    return keys.key
  end
  local key = "AWS4" .. credentials.secret_key
  for part in scope:gmatch("[^/]+") do
    key = core.hmac(key, part)
  end
  if keys then
    keys.scope, keys.key = scope, key
  end
  return key
end

local function signature(credentials, date, scope, canonical, keys)
  local key = key_of(credentials, scope, keys)
  return hex(core.hmac(key, table.concat({ ALGORITHM, date, scope, M.hash(canonical) }, "\n")))
end

local function date_of(now)
  return os.date("!%Y%m%dT%H%M%SZ", now)
end

--- The Authorization of a request, and the headers that must go with it.
---@param request epoch.s3.Signable
---@param credentials epoch.s3.Credentials
---@param now integer seconds since 1970
---@param keys table? where the key of the day is kept, of whoever signs often with these credentials
---@return string authorization
---@return table<string, string> headers
function M.sign(request, credentials, now, keys)
  local date = date_of(now)
  local headers = { ["x-amz-date"] = date, ["x-amz-security-token"] = credentials.session_token }
  if (credentials.service or "s3") == "s3" then
    headers["x-amz-content-sha256"] = request.payload
  end
  for name, value in pairs(request.headers or {}) do
    headers[name:lower()] = value
  end
  headers.host = request.host
  local scope = scope_of(credentials, date:sub(1, 8))
  local canonical, names = M.canonical(request, headers, M.query(request.query))
  headers.host = nil
  return ("%s Credential=%s/%s,SignedHeaders=%s,Signature=%s"):format(ALGORITHM, credentials.access_key, scope,
    names, signature(credentials, date, scope, canonical, keys)), headers
end

--- The query that lets whoever has it make this request, without a header, for a while.
---@param request epoch.s3.Signable `payload` is not looked at: who will send it is not known
---@param credentials epoch.s3.Credentials
---@param now integer
---@param seconds integer how long it is good
---@return string
function M.presign(request, credentials, now, seconds)
  local date = date_of(now)
  local scope = scope_of(credentials, date:sub(1, 8))
  local headers = { host = request.host }
  for name, value in pairs(request.headers or {}) do
    headers[name] = value
  end
  local query = {
    { "X-Amz-Algorithm", ALGORITHM },
    { "X-Amz-Credential", credentials.access_key .. "/" .. scope },
    { "X-Amz-Date", date },
    { "X-Amz-Expires", ("%.0f"):format(seconds) },
    { "X-Amz-SignedHeaders", select(2, canonical_headers(headers)) },
  }
  if credentials.session_token then
    query[#query + 1] = { "X-Amz-Security-Token", credentials.session_token }
  end
  for _, pair in ipairs(request.query or {}) do
    query[#query + 1] = pair
  end
  local text = M.query(query)
  local canonical = M.canonical({ method = request.method, path = request.path, payload = M.UNSIGNED }, headers, text)
  return text .. "&X-Amz-Signature=" .. signature(credentials, date, scope, canonical)
end

return M
