--- JSON: reading what strangers wrote, and writing what gets a digest.
--
-- Reading is lua-cjson, in an instance of its own with tight settings, behind a scan of the
-- text for what lua-cjson lets pass. Refused with kind "invalid": a member that is there
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

-- The closing quote of the string whose opening quote is at i; or nil and an error.
local function string_end(s, i)
  local at = i + 1
  while true do
    at = s:find('[%c"\\]', at)
    if not at then
      return invalid(i, "the string has no end")
    end
    local b = s:byte(at)
    if b == 34 then
      return at
    elseif b == 92 then
      at = at + 2 -- which escapes there are is lua-cjson's business
    elseif b == 127 then
      at = at + 1
    else
      return invalid(at, "a raw control character in a string")
    end
  end
end

-- The member names of one object so far. Compared as they mean: "\u0061" is "a".
local function remember(names, s, first, last)
  local name = s:sub(first + 1, last - 1)
  if name:find("\\", 1, true) then
    local ok, decoded = pcall(parser.decode, "[" .. s:sub(first, last) .. "]")
    if not ok then
      return invalid(first, "a name with an escape that is none")
    end
    name = decoded[1]
  end
  if names[name] then
    return invalid(first, ("the member %s is there twice"):format(text.quote(name)))
  end
  names[name] = true
  return true
end

-- One walk over the tokens. The grammar of what stands where is left to lua-cjson; a string
-- with a colon behind it is a name in every text that lua-cjson accepts afterwards.
local function scan(s)
  local open, depth = {}, 0 -- for each level the names of an object, or false for an array
  local i = s:find("[^ \t\r\n,:]")
  while i do
    local c = s:sub(i, i)
    if c == '"' then
      local last, err = string_end(s, i)
      if not last then
        return nil, err
      end
      local names = open[depth]
      if names and s:find("^[ \t\r\n]*:", last + 1) then
        local ok
        ok, err = remember(names, s, i, last)
        if not ok then
          return nil, err
        end
      end
      i = last
    elseif c == "{" or c == "[" then
      depth = depth + 1
      if depth > M.MAX_DEPTH then
        return invalid(i, ("more than %d levels"):format(M.MAX_DEPTH))
      end
      open[depth] = c == "{" and {}
    elseif c == "}" or c == "]" then
      depth = depth - 1
      if depth < 0 then
        return invalid(i, ("a %s with nothing to close"):format(text.quote(c)))
      end
    else
      local _, last = s:find("^[%w+.-]+", i)
      local word = last and s:sub(i, last)
      if not word then
        return invalid(i, ("%s must not stand here"):format(text.quote(c)))
      elseif not (LITERAL[word] or is_number(word)) then
        return invalid(i, ("%s is no number, and not true, false or null"):format(
          text.quote(word, 40)))
      end
      i = last
    end
    i = s:find("[^ \t\r\n,:]", i + 1)
  end
  return true
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
  elseif #s > (max or M.MAX) then
    return errors.fail("too_large", ("JSON of %d bytes, at most %d are read"):format(
      #s, max or M.MAX))
  end
  local good, at = utf8.valid(s)
  if not good then
    return invalid(at, "not valid UTF-8")
  end
  local ok, err = scan(s)
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
