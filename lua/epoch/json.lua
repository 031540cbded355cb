--- JSON: reading what strangers wrote, and writing what gets a digest.
--
-- Reading is lua-cjson, in an instance of its own with tight settings, behind a walk over the
-- text that is stricter and makes no values: json.check is that walk alone, for texts too large
-- to be decoded. Refused with kind "invalid": what is not JSON, a member that is there
-- twice (two readers may believe different ones), numbers that are none (nan, 0x10, 01,
-- 1., 1e999), raw control characters in strings, invalid UTF-8, more than 64 levels.
--
-- Decoded tables do not know whether they were `[]` or `{}`, and 5.4 gets floats for all
-- numbers. So nothing that was decoded is ever encoded again to be stored: what is kept is
-- the received bytes. Sizes and counts are read with json.size.
--
-- Writing is epoch.json_encode: members in the order given, whole numbers as digits.
local cjson = require "cjson"
local encode = require "epoch.json_encode"
local errors = require "epoch.errors"
local text = require "epoch.text"
local utf8 = require "epoch.utf8"
local whole = require "epoch.whole"

local M = {}

--- What is decoded when nothing else is said: the size of a manifest.
M.MAX = 4 * 1024 * 1024
M.MAX_DEPTH = 64

--- JSON's null, in what was decoded and for what is encoded.
M.null = cjson.null

M.array = encode.array
M.object = encode.object
M.raw = encode.raw
M.empty_array = encode.array {}
M.empty_object = encode.object {}

local parser = cjson.new()
parser.decode_invalid_numbers(false)
parser.decode_max_depth(M.MAX_DEPTH)

--- Encodes as epoch.json_encode does, json.null as null.
---@param value any
---@param indent? integer spaces for each level; all on one line when not given
---@return string?
---@return epoch.Error? error of kind "invalid": a text that is not UTF-8
function M.encode(value, indent)
  local s, err = encode.encode(value, indent, M.null)
  return s, err
end

local function invalid(at, why)
  return errors.fail("invalid", ("JSON, byte %d: %s"):format(at, why))
end

local LITERAL = { ["true"] = true, ["false"] = true, ["null"] = true }

-- A number as RFC 8259 has it, of a size that Lua's numbers have; 400 characters write any.
local function is_number(s)
  if s == "0" or #s < 16 and s:find("^[1-9]%d*$") then
    return true -- nearly all of them
  elseif #s > 400 then
    return false
  end
  local rest = s:match("^%-?0(.*)$") or s:match("^%-?[1-9]%d*(.*)$")
  if not rest then
    return false
  end
  rest = rest:match("^%.%d+(.*)$") or rest
  if not (rest == "" or rest:find("^[eE][+-]?%d+$")) then
    return false
  end
  local n = tonumber(s)
  return n ~= nil and n > -math.huge and n < math.huge
end

-- What stands at i cannot: there is something else to come first, or nothing more.
local function misplaced(s, i, depth)
  local c = s:sub(i, i)
  if c == "" then
    return invalid(i, "the text ends where it must not")
  elseif depth == 0 and (c == "}" or c == "]") then
    return invalid(i, ("a %s with nothing to close"):format(text.quote(c)))
  end
  return invalid(i, ("%s must not stand here"):format(text.quote(s:sub(i, i + 80), 40)))
end

local function after_blanks(s, i)
  local b = s:byte(i)
  if b and b > 32 then
    return i
  end
  return s:match("^[ \t\r\n]*()", i)
end

-- The position after the escape at i, or nil when it is none. Halves of a character above
-- U+FFFF come in pairs.
local function escape_end(s, i)
  if s:find('^["\\/bfnrt]', i + 1) then
    return i + 2
  end
  local unit = tonumber(s:match("^u(%x%x%x%x)", i + 1) or "", 16)
  if not unit or unit >= 0xDC00 and unit <= 0xDFFF then
    return nil
  elseif unit < 0xD800 or unit > 0xDFFF then
    return i + 6
  end
  return s:find("^\\u[dD][c-fC-F]%x%x", i + 6) and i + 12
end

-- The position after the string whose opening quote is at i; or nil and an error.
local function string_end(s, i)
  local at = i + 1
  while true do
    at = s:find('[%c"\\]', at)
    if not at then
      return invalid(i, "the string has no end")
    end
    local b = s:byte(at)
    if b == 34 then
      return at + 1
    elseif b == 92 then
      local after = escape_end(s, at)
      if not after then
        return invalid(at, "an escape that is none")
      end
      at = after
    elseif b == 127 then
      at = at + 1
    else
      return invalid(at, "a raw control character in a string")
    end
  end
end

-- The position after the number, true, false or null at i; or nil and an error.
local function word_end(s, i, depth)
  local _, last = s:find("^[%w+.-]+", i)
  if not last then
    return misplaced(s, i, depth)
  end
  local word = s:sub(i, math.min(last, i + 400))
  if not (LITERAL[word] or is_number(word)) then
    return invalid(i, ("%s is no number, and not true, false or null"):format(
      text.quote(word, 40)))
  end
  return last + 1
end

-- The member names of one object so far. Compared as they mean: "\u0061" is "a".
local function remember(names, s, first, last)
  local name = s:sub(first + 1, last - 1)
  if name:find("\\", 1, true) then
    name = parser.decode("[" .. s:sub(first, last) .. "]")[1]
  end
  if names[name] then
    return invalid(first, ("the member %s is there twice"):format(text.quote(name)))
  end
  names[name] = true
  return true
end

-- A name and its colon at i: where the value begins.
local function name_end(s, i, names)
  if s:byte(i) ~= 34 then
    return misplaced(s, i)
  end
  local after, err = string_end(s, i)
  local ok = after
  if after then
    ok, err = remember(names, s, i, after - 1)
  end
  if not ok then
    return nil, err
  end
  local colon = after_blanks(s, after)
  if s:byte(colon) ~= 58 then
    return misplaced(s, colon)
  end
  return after_blanks(s, colon + 1)
end

local value_end

-- The position after the list or object whose first byte is at i. At most MAX_DEPTH calls
-- are open at a time.
local function nested_end(s, i, depth, close)
  if depth > M.MAX_DEPTH then
    return invalid(i, ("more than %d levels"):format(M.MAX_DEPTH))
  end
  local at, err = after_blanks(s, i + 1), nil
  if s:byte(at) == close then
    return at + 1
  end
  local names = close == 125 and {}
  while true do
    if names then
      at, err = name_end(s, at, names)
    end
    if at then
      at, err = value_end(s, at, depth)
    end
    if not at then
      return nil, err
    end
    at = after_blanks(s, at)
    local b = s:byte(at)
    if b == close then
      return at + 1
    elseif b ~= 44 then
      return misplaced(s, at, depth)
    end
    at = after_blanks(s, at + 1)
  end
end

function value_end(s, i, depth)
  local b = s:byte(i)
  if b == 34 then
    return string_end(s, i)
  elseif b == 123 or b == 91 then
    return nested_end(s, i, depth + 1, b + 2)
  end
  return word_end(s, i, depth)
end

local function scan(s)
  local at, err = value_end(s, after_blanks(s, 1), 0)
  if not at then
    return nil, err
  end
  at = after_blanks(s, at)
  if at <= #s then
    return misplaced(s, at, 0)
  end
  return true
end

--- Is a text of at most `max` bytes (4 MiB when not given) what json.decode would take? In the
-- memory that the names of one object need at each level, whatever the values are.
---@param s string
---@param max? integer
---@return true?
---@return epoch.Error?
function M.check(s, max)
  if type(s) ~= "string" then
    error("JSON text must be a string, not a " .. type(s), 2)
  elseif #s > (max or M.MAX) then
    return errors.fail("too_large", ("JSON of %d bytes, at most %d are read"):format(
      #s, max or M.MAX))
  end
  local good, at = utf8.valid(s)
  if not good then
    return invalid(at, "not valid UTF-8")
  end
  return scan(s)
end

--- Decodes a text of at most `max` bytes (4 MiB when not given). `false` and json.null are
-- values too: where a text may be those alone, look at the error.
---@param s string
---@param max? integer
---@return any value
---@return epoch.Error?
function M.decode(s, max)
  if type(s) ~= "string" then
    error("JSON text must be a string, not a " .. type(s), 2)
  end
  local ok, err = M.check(s, max)
  if not ok then
    return nil, err
  end
  local value
  ok, value = pcall(parser.decode, s)
  if not ok then
    return errors.fail("invalid", "JSON: " .. tostring(value))
  end
  return value
end

--- The value as a size or count, or nil: a number, whole, from 0 to 2^53 - 1. (2^53 itself
-- is what 2^53 + 1 decodes to, so it is not believed.) An integer on 5.4.
---@param v any
---@return integer?
function M.size(v)
  local n = whole.from(v)
  if n and n >= 0 and n < whole.MAX then
    return n
  end
  return nil
end

return M
