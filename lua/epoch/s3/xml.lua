--- The XML that S3 speaks, read strictly: elements, text, the five named entities and numeric
-- ones. No document types, no entities of their own, no processing instructions, no CDATA:
-- nothing that makes a small answer large or refers to elsewhere.
local errors = require "epoch.errors"

local M = {}

M.MAX = 4 * 1024 * 1024 -- a list of 1000 keys of the longest kind is less than half of it
local MAX_DEPTH = 16
local MAX_ELEMENTS = 100000
local LESS = ("<"):byte()

---@class epoch.s3.Element
---@field name string without the prefix of its namespace
---@field text string what it says, where it has no elements in it
---@field [integer] epoch.s3.Element

local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'" }

local function invalid(at, what)
  return errors.fail("invalid", ("the XML of the answer is broken at byte %d: %s"):format(at, what))
end

-- The UTF-8 of a character by its number, or nil.
local function utf8_of(n)
  if n < 0x80 then
    return string.char(n)
  end
  local tail, first = {}, 0x40
  repeat
    table.insert(tail, 1, string.char(0x80 + n % 0x40))
    n, first = math.floor(n / 0x40), first / 2
  until n < first
  return string.char(0x100 - 2 * first + n) .. table.concat(tail)
end

local function entity(name)
  if NAMED[name] then
    return NAMED[name]
  end
  local decimal, hexadecimal = name:match("^#(%d+)$"), name:match("^#x(%x+)$")
  local digits = decimal or hexadecimal or ""
  local n = #digits <= 7 and tonumber(digits, decimal and 10 or 16)
  return n and n <= 0x10ffff and utf8_of(n) or nil
end

--- Text with its entities resolved; nil for one that XML does not have.
---@param raw string
---@return string?
function M.resolve(raw)
  if not raw:find("&", 1, true) then
    return raw
  end
  local text = raw:gsub("&quot;", '"') -- as in every ETag
  if not text:find("&", 1, true) then
    return text
  end
  local unknown = false
  text = raw:gsub("&([^;&]*)(;?)", function(name, stop)
    local value = stop == ";" and entity(name)
    unknown = unknown or not value
    return value
  end)
  return not unknown and text or nil
end

-- Passes over attributes, which S3 uses for namespaces only: where the tag goes on, or nil.
local function after_attributes(s, at)
  while true do
    local _, stop = s:find('^%s+[%a_:][%w_:.-]*%s*=%s*"[^<"]*"', at)
    if not stop then
      _, stop = s:find("^%s+[%a_:][%w_:.-]*%s*=%s*'[^<']*'", at)
    end
    if not stop then
      return s:match("^%s*()", at)
    end
    at = stop + 1
  end
end

-- Puts text into the innermost element. Beside elements only space is allowed.
local function add_text(state, raw, at)
  local element = state.open[#state.open]
  if not raw:find("%S") and (not element or element[1] or raw == "") then
    return true
  end
  local text = M.resolve(raw)
  if not element then
    return invalid(at, "text outside of the element")
  elseif not text then
    return invalid(at, "an entity that is none of XML's own")
  end
  element.text = element.text .. text
  return true
end

-- Puts an element below the innermost one that is open.
local function place(state, name, text, at)
  local depth = #state.open
  local parent = state.open[depth]
  state.count = state.count + 1
  if state.count > MAX_ELEMENTS then
    return invalid(at, ("more than %d elements"):format(MAX_ELEMENTS))
  elseif depth >= MAX_DEPTH then
    return invalid(at, ("elements more than %d deep"):format(MAX_DEPTH))
  elseif not parent and state.root then
    return invalid(at, "a second element after the first")
  elseif parent and parent.text ~= "" and parent.text:find("%S") then
    return invalid(at, "an element in the middle of text")
  end
  local element = { name = name, text = text }
  if parent then
    parent[#parent + 1], parent.text = element, ""
  else
    state.root = element
  end
  return element
end

local function open_tag(state, name, at)
  local element, err = place(state, name:match("[^:]*$"), "", at)
  if element then
    local depth = #state.open + 1
    state.open[depth], state.names[depth] = element, name
  end
  return element, err
end

local function close_tag(state, name, at)
  local depth = #state.open
  if state.names[depth] ~= name then
    return invalid(at, ("</%s> closes nothing"):format(name))
  end
  state.open[depth], state.names[depth] = nil, nil
  return true
end

-- One tag at `at`: the position after it, or nil and the error.
local function tag(state, s, at)
  local name, after = s:match("^</([%a_][%w_:.-]*)%s*>()", at)
  if name then
    local ok, err = close_tag(state, name, at)
    return ok and after, err
  end
  name, after = s:match("^<([%a_][%w_:.-]*)()", at)
  if not name then
    return invalid(at, "neither the beginning nor the end of an element")
  end
  after = after_attributes(s, after)
  local slash, stop = s:match("^(/?)>()", after)
  if not slash then
    return invalid(after, ("<%s has no end"):format(name))
  end
  local ok, err = open_tag(state, name, at)
  if ok and slash == "/" then
    ok, err = close_tag(state, name, at)
  end
  return ok and stop, err
end

-- The local part of a name; false when it is none. Each is looked at once: a listing has few.
local function local_name(state, name)
  local known = state.known[name]
  if known == nil then
    known = name:find("^[%a_][%w_:.-]*$") and name:match("[^:]*$") or false
    state.known[name] = known
  end
  return known
end

-- At `at`, if it is there, an element with nothing but text in it, which is most of a listing. The
-- position after it; false when something else is there; nil and the error.
local function leaf(state, s, at)
  local name, raw, after = s:match("^<([^<>]*)>([^<]*)</%1>()", at)
  local short = name and local_name(state, name)
  local text = short and M.resolve(raw)
  if not text then
    return false
  end
  local element, err = place(state, short, text, at)
  return element and after, err
end

-- At `at`, if it is there, the beginning or the end of an element with nothing but a name in it. As
-- leaf() answers.
local function plain_tag(state, s, at)
  local slash, name, after = s:match("^<(/?)([%a_][%w_.-]*)>()", at)
  if not name then
    return false
  end
  local ok, err = (slash == "" and open_tag or close_tag)(state, name, at)
  return ok and after, err
end

-- What comes at `at`, text or a tag: the position after it, or nil and the error.
local function piece(state, s, at)
  if s:byte(at) ~= LESS then
    local start = s:find("<", at, true) or #s + 1
    local ok, err = add_text(state, s:sub(at, start - 1), at)
    return ok and start, err
  end
  local after, err = leaf(state, s, at)
  if after == false then
    after, err = plain_tag(state, s, at)
  end
  if after == false then
    return tag(state, s, at)
  end
  return after, err
end

--- Reads a document: its element. Space may come before it; S3 sends that to keep a
--- connection open.
---@param s string
---@return epoch.s3.Element?
---@return epoch.Error?
function M.parse(s)
  if #s > M.MAX then
    return errors.fail("too_large", ("an XML answer of %d bytes, at most %d are read"):format(#s, M.MAX))
  end
  local at = s:match("^\239\187\191()") or 1
  at = s:match("^%s*<%?xml%s[^<>]-%?>()", at) or at
  local state = { open = {}, names = {}, known = {}, count = 0, root = nil }
  local err
  while at and at <= #s do
    at, err = piece(state, s, at)
  end
  if not at then
    return nil, err
  elseif state.open[1] then
    return invalid(#s + 1, ("<%s> is not closed"):format(state.open[#state.open].name))
  elseif not state.root then
    return invalid(#s + 1, "there is no element")
  end
  return state.root
end

--- The text of the first element of this name in another one, or nil.
---@param element epoch.s3.Element
---@param name string
---@return string?
function M.text(element, name)
  for _, child in ipairs(element) do
    if child.name == name then
      return child.text
    end
  end
end

local ESCAPED = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["\r"] = "&#13;" }

--- Text fit to stand in an element.
---@param text string
---@return string
function M.escape(text)
  return (text:gsub('[&<>"\r]', ESCAPED))
end

return M
