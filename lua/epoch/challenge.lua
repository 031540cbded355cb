--- What a server wants to see: the WWW-Authenticate header of RFC 9110, section 11.
--
--     challenge.parse 'Bearer realm="https://auth.example/token",service="reg", Basic realm=x'
--     --> { { scheme = "bearer", params = { realm = "https://auth.example/token",
--     -->     service = "reg" } },
--     -->   { scheme = "basic", params = { realm = "x" } } }
--
-- Several challenges in one header, several headers, token68, quoted strings with escapes.
-- Only the grammar: whether a realm may be asked for a token is for others to decide, and
-- the values are a stranger's words.
local errors = require "epoch.errors"
local text = require "epoch.text"

---@class epoch.Challenge
---@field scheme string lower case
---@field params table<string, string> names in lower case; empty when there are none
---@field token68? string instead of parameters

local M = {}

--- All headers together. No honest server needs a tenth of it.
M.MAX = 8192

local TOKEN = "[%w!#$%%&'*+.^_`|~-]+"
local TOKEN68 = "[%w._~+/-]+=*"

local function malformed(header, at, why)
  local near = header:sub(at, at + 30)
  return errors.new("invalid", ("WWW-Authenticate, byte %d%s: %s"):format(at,
    near == "" and " (the end)" or ", at " .. text.quote(near), why))
end

-- The value of the quoted string that begins at i and the position after it. One walk: a
-- stretch without specials at a time.
local function quoted(header, i)
  local out, at = {}, i + 1
  while true do
    local plain, c, after = header:match('^([^%c"\\]*)(.?)()', at)
    out[#out + 1] = plain
    at = after
    if c == '"' then
      return table.concat(out), after
    elseif c == "" then
      return nil, malformed(header, i, "the quoted string has no end")
    elseif c == "\\" then
      c, at = header:match("^([\t\32-\126\128-\255])()", after)
      if not c then
        return nil, malformed(header, after - 1, "a backslash with nothing to escape")
      end
    elseif c ~= "\t" then
      return nil, malformed(header, after - 1, "a control character in a quoted string")
    end
    out[#out + 1] = c
  end
end

local function skip(header, i, what)
  local _, last = header:find("^[" .. what .. "]*", i)
  return last + 1
end

-- `name = value` at i: the position after it, or nil when there is no such thing there, or
-- false and an error.
local function parameter(header, i, current)
  local name, at = header:match("^(" .. TOKEN .. ")[ \t]*=[ \t]*()", i)
  if not name then
    return nil
  end
  local value, after
  if header:sub(at, at) == '"' then
    value, after = quoted(header, at)
    if not value then
      return false, after
    end
  else
    value, after = header:match("^(" .. TOKEN .. ")()", at)
    if not value then
      return false, malformed(header, at, ("the parameter %s has no value"):format(
        text.quote(name)))
    end
  end
  name = name:lower()
  if not current then
    return false, malformed(header, i, ("the parameter %s belongs to no scheme")
      :format(text.quote(name)))
  elseif current.token68 then
    return false, malformed(header, i, "a parameter after a token")
  elseif current.params[name] then
    return false, malformed(header, i, ("the parameter %s is there twice"):format(
      text.quote(name)))
  end
  current.params[name] = value
  return after
end

-- A scheme at i, with its token68 or its first parameter where one follows.
local function scheme(header, i, list)
  local name, at = header:match("^(" .. TOKEN .. ")()", i)
  if not name then
    return nil, malformed(header, i, "a scheme or a parameter must stand here")
  end
  local current = { scheme = name:lower(), params = {} }
  list[#list + 1] = current
  local start = skip(header, at, " ")
  if start == at then
    return at
  end
  -- "abc=" is a token68, "abc=def" a parameter: what follows decides
  local token68, after = header:match("^(" .. TOKEN68 .. ")[ \t]*()", start)
  if token68 and (after > #header or header:sub(after, after) == ",") then
    current.token68 = token68
    return after
  end
  if start > #header or header:sub(start, start) == "," then
    return start
  end
  local next_at, err = parameter(header, start, current)
  if next_at == nil then
    return nil, malformed(header, start, ("neither a token nor a parameter after the scheme %s")
      :format(text.quote(name)))
  end
  return next_at or nil, err
end

local function parse_one(header, list)
  local i, current = skip(header, 1, " \t,"), nil
  while i <= #header do
    local after, err = parameter(header, i, current)
    if after == nil then
      after, err = scheme(header, i, list)
      current = list[#list]
    end
    if not after then
      return nil, err
    end
    i = skip(header, after, " \t")
    if i <= #header and header:sub(i, i) ~= "," then
      return nil, malformed(header, i, "a comma must stand here")
    end
    i = skip(header, i, " \t,")
  end
  return true
end

--- The challenges, in order; an empty list for headers without any.
---@param headers string|string[] the value of the header, or of each of them
---@return epoch.Challenge[]?
---@return epoch.Error?
function M.parse(headers)
  if type(headers) == "string" then
    headers = { headers }
  elseif type(headers) ~= "table" then
    error("the headers must be a string or a list of strings, not a " .. type(headers), 2)
  end
  local list, size = {}, 0
  for _, header in ipairs(headers) do
    size = size + #header
    if size > M.MAX then
      return errors.fail("too_large", ("WWW-Authenticate is longer than %d bytes"):format(M.MAX))
    end
    local ok, err = parse_one(header, list)
    if not ok then
      return nil, err
    end
  end
  return list
end

return M
