--- Writing JSON whose bytes are decided here: they get a digest, and other programs read
-- them. (lua-cjson writes members in no order, 1024 as 1024.0 on some, and [] as {}.)
--
--     json.encode(json.object {
--       { "schemaVersion", 2 },
--       { "layers", json.array(layers) },
--       { "annotations", { b = "2", a = "1" } },     -- a plain table: an object, names sorted
--     }, 2)
--
-- A list is always marked with json.array: a plain table is an object, also when it is
-- empty. What Lua cannot mean as JSON raises; text that is not UTF-8 came from outside and
-- is `nil, err`.
local errors = require "epoch.errors"
local text = require "epoch.text"
local utf8 = require "epoch.utf8"
local whole = require "epoch.whole"

local M = {}

local MAX_DEPTH = 64

local Array = { __name = "epoch.json.array" }
local Object = { __name = "epoch.json.object" }
local Raw = { __name = "epoch.json.raw" }

--- Marks a text that is JSON already, to be written as it is: only what json.decode has
-- accepted.
---@param s string
---@return table
function M.raw(s)
  return setmetatable({ text = s }, Raw)
end

--- Marks a list. The items are copied, so the caller's table stays as it is and its own.
---@param items any[]
---@return table
function M.array(items)
  local copy, n = {}, 0
  for key, value in pairs(items) do
    if not (whole.from(key) and key >= 1) then
      error("an array of JSON has the key " .. tostring(key), 2)
    end
    copy[key] = value
    n = n + 1
  end
  for i = 1, n do
    if copy[i] == nil then
      error(("an array of JSON has nothing at %d"):format(i), 2)
    end
  end
  return setmetatable({ items = copy, n = n }, Array)
end

--- Marks an object whose members keep their order: a list of { name, value }. A pair
-- without value is left out; for null there is json.null.
---@param members table[]
---@return table
function M.object(members)
  local names, values, n, seen = {}, {}, 0, {}
  for i, pair in ipairs(members) do
    local name = pair[1]
    if type(name) ~= "string" then
      error(("member %d of an object of JSON has no name"):format(i), 2)
    elseif seen[name] then
      error(("an object of JSON has the member %s twice"):format(text.quote(name)), 2)
    end
    seen[name] = true
    if pair[2] ~= nil then
      n = n + 1
      names[n], values[n] = name, pair[2]
    end
  end
  return setmetatable({ names = names, values = values, n = n }, Object)
end

local ESCAPED = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
  ["\r"] = "\\r", ["\t"] = "\\t", ["\127"] = "\127",
}

local function escape(c)
  return ESCAPED[c] or ("\\u%04x"):format(c:byte())
end

local function encode_string(s)
  local ok, at = utf8.valid(s)
  if not ok then
    error(errors.new("invalid", ("cannot be written as JSON, byte %d is no UTF-8: %s"):format(
      at, text.quote(s))), 0)
  end
  return '"' .. s:gsub('[%c"\\]', escape) .. '"'
end

-- The shortest digits that read back as the same number.
local function encode_number(v)
  if whole.from(v) then
    return whole.format(v)
  elseif v ~= v or v == math.huge or v == -math.huge then
    error("JSON has no number for " .. tostring(v), 0)
  elseif v == math.floor(v) then
    error(("the whole number %.0f is above 2^53 and would not arrive as it is"):format(v), 0)
  end
  for digits = 15, 16 do
    local s = ("%%.%dg"):format(digits):format(v)
    if tonumber(s) == v then
      return s
    end
  end
  return ("%.17g"):format(v)
end

-- The members of a table that is an object: names, values, count.
local function members_of(t)
  if getmetatable(t) == Object then
    return t.names, t.values, t.n
  elseif getmetatable(t) ~= nil then
    error("a table with a metatable cannot be written as JSON", 0)
  end
  local names, values = {}, {}
  for name in pairs(t) do
    if type(name) ~= "string" then
      error(("a plain table is an object in JSON, but this one has the key %s; "
        .. "mark lists with json.array"):format(tostring(name)), 0)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    values[i] = t[name]
  end
  return names, values, #names
end

local encode_value

local function encode_table(t, state, depth)
  if getmetatable(t) == Raw then
    state.out[#state.out + 1] = t.text
    return
  elseif state.open[t] then
    error("a table that contains itself cannot be written as JSON", 0)
  elseif depth > MAX_DEPTH then
    error(("more than %d levels cannot be written as JSON"):format(MAX_DEPTH), 0)
  end
  state.open[t] = true
  local out, step = state.out, state.indent
  local inner = step and "\n" .. step:rep(depth) or ""
  local outer = step and "\n" .. step:rep(depth - 1) or ""
  local is_array = getmetatable(t) == Array
  local names, values, n
  if is_array then
    values, n = t.items, t.n
  else
    names, values, n = members_of(t)
  end
  out[#out + 1] = is_array and "[" or "{"
  for i = 1, n do
    out[#out + 1] = (i > 1 and "," or "") .. inner
    if names then
      out[#out + 1] = encode_string(names[i]) .. (step and ": " or ":")
    end
    encode_value(values[i], state, depth)
  end
  out[#out + 1] = (n > 0 and outer or "") .. (is_array and "]" or "}")
  state.open[t] = nil
end

function encode_value(v, state, depth)
  local t = type(v)
  local out = state.out
  if t == "string" then
    out[#out + 1] = encode_string(v)
  elseif t == "number" then
    out[#out + 1] = encode_number(v)
  elseif t == "boolean" then
    out[#out + 1] = tostring(v)
  elseif t == "table" then
    encode_table(v, state, depth + 1)
  elseif state.null ~= nil and v == state.null then
    out[#out + 1] = "null"
  else
    error(("a %s cannot be written as JSON"):format(t), 0)
  end
end

--- The text of a value, for json.encode. No newline at its end.
---@param value any
---@param indent? integer spaces for each level; all on one line when not given
---@param null? any what stands for null
---@return string?
---@return epoch.Error? error of kind "invalid": a text that is not UTF-8
function M.encode(value, indent, null)
  local state = { out = {}, open = {}, indent = indent and (" "):rep(indent), null = null }
  local ok, err = pcall(encode_value, value, state, 0)
  if ok then
    return table.concat(state.out)
  elseif errors.is(err) then
    return nil, err
  end
  error(err, 3) -- the fault of the caller of json.encode
end

return M
