--- The members of a JSON object as they were written, to change one and leave the others.
--
-- For files that belong to others as well, docker's config.json: a decode and encode would
-- turn [] into {} and numbers into others. The text is checked by epoch.json before.
local json = require "epoch.json"
local errors = require "epoch.errors"

---@class epoch.client.Member
---@field name string decoded
---@field raw string the value's text

local M = {}

-- The position after the string whose opening quote is at i.
local function after_string(s, i)
  local at = i + 1
  while true do
    local p = s:find('["\\]', at)
    if s:sub(p, p) == '"' then
      return p + 1
    end
    at = p + 2
  end
end

-- The position after the value at i of a text that is JSON.
local function after_value(s, i)
  local c = s:sub(i, i)
  if c == '"' then
    return after_string(s, i)
  elseif c ~= "{" and c ~= "[" then
    return s:find("[%s,%]}]", i) or #s + 1
  end
  local depth, at = 0, i
  while true do
    at = s:find('["{}%[%]]', at)
    c = s:sub(at, at)
    if c == '"' then
      at = after_string(s, at)
    else
      depth = depth + ((c == "{" or c == "[") and 1 or -1)
      at = at + 1
      if depth == 0 then
        return at
      end
    end
  end
end

--- The members of the object that `s` is, in order.
---@param s string
---@return epoch.client.Member[]?
---@return epoch.Error?
function M.split(s)
  local value, err = json.decode(s)
  if err then
    return nil, err
  elseif type(value) ~= "table" or not s:find("^%s*{") then
    return errors.fail("invalid", "it is no JSON object")
  end
  local list = {}
  local at = s:find('["}]', s:find("{", 1, true) + 1)
  while s:sub(at, at) == '"' do
    local name_end = after_string(s, at)
    local from = s:find("%S", s:find(":", name_end, true) + 1)
    local to = after_value(s, from)
    list[#list + 1] = { name = json.decode("[" .. s:sub(at, name_end - 1) .. "]")[1], raw = s:sub(from, to - 1) }
    at = s:find('["}]', to)
  end
  return list
end

--- The text of one member's value, or nil.
---@param list epoch.client.Member[]
---@param name string
---@return string?
function M.get(list, name)
  for _, member in ipairs(list) do
    if member.name == name then
      return member.raw
    end
  end
end

--- Puts text in the place of a member's value, at the end where there is none; nil removes it.
---@param list epoch.client.Member[]
---@param name string
---@param raw string?
function M.set(list, name, raw)
  for i, member in ipairs(list) do
    if member.name == name then
      if raw then
        member.raw = raw
      else
        table.remove(list, i)
      end
      return
    end
  end
  if raw then
    list[#list + 1] = { name = name, raw = raw }
  end
end

--- The object as text; `depth` tabs in front of its closing brace.
---@param list epoch.client.Member[]
---@param depth integer?
---@return string
function M.join(list, depth)
  if #list == 0 then
    return "{}"
  end
  local tabs, lines = ("\t"):rep(depth or 0), {}
  for i, member in ipairs(list) do
    lines[i] = ("%s\t%s: %s"):format(tabs, json.encode(member.name), member.raw)
  end
  return "{\n" .. table.concat(lines, ",\n") .. "\n" .. tabs .. "}"
end

return M
