-- What holds for every WWW-Authenticate header: parsing never raises; what comes out is
-- what the grammar allows; written down again it means the same.
local challenge = require "epoch.challenge"
local errors = require "epoch.errors"

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local function write(list)
  local out = {}
  for _, c in ipairs(list) do
    local params = {}
    for name, value in pairs(c.params) do
      params[#params + 1] = name .. '="' .. value:gsub('["\\]', "\\%0") .. '"'
    end
    out[#out + 1] = c.scheme .. " " .. (c.token68 or table.concat(params, ", "))
  end
  return table.concat(out, ", ")
end

local function check(list)
  for _, c in ipairs(list) do
    assert(c.scheme:find(TOKEN) and c.scheme == c.scheme:lower(), "scheme")
    assert(not c.token68 or next(c.params) == nil, "token68 and parameters")
    assert(not c.token68 or c.token68:find("^[%w._~+/-]+=*$"), "token68")
    for name, value in pairs(c.params) do
      assert(name:find(TOKEN) and name == name:lower(), "name")
      assert(not value:gsub("\t", ""):find("%c"), "a control character in a value")
    end
  end
end

local function same(a, b)
  assert(#a == #b, "another number of challenges")
  for i, c in ipairs(a) do
    assert(c.scheme == b[i].scheme and c.token68 == b[i].token68, "another challenge")
    for name, value in pairs(c.params) do
      assert(b[i].params[name] == value, "another value")
    end
    for name in pairs(b[i].params) do
      assert(c.params[name], "another parameter")
    end
  end
end

return function(input)
  local list, err = challenge.parse(input)
  if not list then
    assert(errors.is(err) and not tostring(err):find("%c"), "the error")
    return
  end
  check(list)
  local again = write(list)
  if #again <= challenge.MAX then
    same(list, assert(challenge.parse(again)))
  end
end
