--- The members of a JSON object as the text they were written in. For what has to be passed
-- on as it came: a number of more digits than Lua's numbers have, members nobody here knows.
--
--     slices.members '{"a": 1.50, "b": [1, 2]}'
--     --> { { "a", "1.50" }, { "b", "[1,2]" } }
--
-- Blanks between the tokens are dropped, nothing else is changed. Only for texts that
-- json.check or json.decode has accepted: this walk believes that they are JSON.
--
-- A text may be large and mostly of no interest: slices.each only tells where the members are.
local json = require "epoch.json"

local M = {}

local PIECE = 64 * 1024

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

-- The position after the value at i.
local function value_end(s, i)
  if not s:find('^["%[{]', i) then
    return s:match("^[^%s,%]}]+()", i)
  end
  local depth = 0
  repeat
    i = s:find('["%[%]{}]', i)
    local b = s:byte(i)
    if b == 34 then
      i = string_end(s, i)
    else
      depth = depth + ((b == 91 or b == 123) and 1 or -1)
      i = i + 1
    end
  until depth == 0
  return i
end

-- No piece is larger than PIECE: whoever is told them may copy each.
local function write_range(s, first, last, write)
  for at = first, last, PIECE do
    write(s:sub(at, math.min(last, at + PIECE - 1)))
  end
end

--- Tells `write` the value from `first` to `last`, piece by piece.
---@param s string
---@param first integer
---@param last integer
---@param write fun(piece: string)
function M.write(s, first, last, write)
  local from, at = first, first
  while true do
    at = s:find('[%s"]', at)
    if not at or at > last then
      return write_range(s, from, last, write)
    elseif s:byte(at) == 34 then
      at = string_end(s, at)
    else
      write_range(s, from, at - 1, write)
      at = s:match("^%s+()", at)
      from = at
    end
  end
end

--- The value from `first` to `last`.
---@param s string
---@param first integer
---@param last integer
---@return string
function M.text(s, first, last)
  local b = s:byte(first)
  if b ~= 123 and b ~= 91 then
    return s:sub(first, last)
  end
  local out = {}
  M.write(s, first, last, function(piece)
    out[#out + 1] = piece
  end)
  return table.concat(out)
end

-- The name whose first quote is at `first` and whose last is at `last`.
local function name_at(s, first, last)
  local name = s:sub(first + 1, last - 1)
  if name:find("\\", 1, true) then
    return json.decode("[" .. s:sub(first, last) .. "]", #s + 2)[1]
  end
  return name
end

--- For each member of the object that begins at `at`, in order: its name, and where its value
-- begins and ends.
---@param s string
---@param at? integer the text's first byte when not given
---@return fun(): string?, integer?, integer?
function M.each(s, at)
  local i = assert(s:match("^%s*{%s*()", at or 1), "the text is no JSON object")
  return function()
    if s:byte(i) ~= 34 then
      return nil
    end
    local after = string_end(s, i)
    local name = name_at(s, i, after - 1)
    local first = s:match("^%s*:%s*()", after)
    local behind = value_end(s, first)
    i = s:match("^%s*,?%s*()", behind)
    return name, first, behind - 1
  end
end

--- Names and texts of the members of the object `s`, in order: { name, text }.
---@param s string
---@return string[][]
function M.members(s)
  local out = {}
  for name, first, last in M.each(s) do
    out[#out + 1] = { name, M.text(s, first, last) }
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
