--- The members of a JSON object as the text they were written in. For what has to be passed
-- on as it came: a number of more digits than Lua's numbers have, members nobody here knows.
--
--     slices.members '{"a": 1.50, "b": [1, 2]}'
--     --> { { "a", "1.50" }, { "b", "[1,2]" } }
--
-- Blanks between the tokens are dropped, nothing else is changed. Only for texts that
-- json.decode has accepted: this walk believes that they are JSON.
local json = require "epoch.json"

local M = {}

-- The position after the string that begins at i.
local function string_end(s, i)
  local at = i + 1
  while true do
    at = s:find('["\\]', at)
    if s:byte(at) == 34 then
      return at + 1
    end
    at = at + 2
  end
end

-- The value at i without its blanks, and the position after it and the blanks that follow.
local function value_at(s, i)
  local out, depth, from = {}, 0, i
  repeat
    local c = s:sub(i, i)
    if c == '"' then
      i = string_end(s, i)
    elseif c == "{" or c == "[" then
      depth, i = depth + 1, i + 1
    elseif c == "}" or c == "]" then
      depth, i = depth - 1, i + 1
    else
      i = s:match(depth == 0 and "^[^%s,}]+()" or '^[^%s"%[%]{}]+()', i)
    end
    local after = s:match("^%s+()", i)
    if after then
      out[#out + 1] = s:sub(from, i - 1)
      from, i = after, after
    end
  until depth == 0
  out[#out + 1] = s:sub(from, i - 1)
  return table.concat(out), i
end

--- Names and texts of the members of the object `s`, in order: { name, text }.
---@param s string
---@return string[][]
function M.members(s)
  local out = {}
  local i = assert(s:match("^%s*{%s*()", 1), "the text is no JSON object")
  while s:sub(i, i) == '"' do
    local after = string_end(s, i)
    local name = json.decode("[" .. s:sub(i, after - 1) .. "]", #s + 2)[1]
    local value
    value, i = value_at(s, s:match("^%s*:%s*()", after))
    out[#out + 1] = { name, value }
    i = s:match("^,?%s*()", i)
  end
  return out
end

--- The object with these members, written the same way.
---@param members string[][]
---@return string
function M.object(members)
  local out = { "{" } -- texts may be large: each is copied once
  for i, member in ipairs(members) do
    out[#out + 1] = (i > 1 and "," or "") .. json.encode(member[1]) .. ":"
    out[#out + 1] = member[2]
  end
  out[#out + 1] = "}"
  return table.concat(out)
end

return M
