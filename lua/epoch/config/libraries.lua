--- The libraries a configuration script sees: copies, without what reaches outside (dump,
-- randomseed), and with bounds on what one call may do inside of C, where nothing counts
-- its steps. Called with what the real string library does; the sandbox counts the rest.
local utf8 = require "epoch.utf8"

local M = {}

-- The most elementary comparisons one call of a pattern function may come to, in the worst
-- case: a subject of n bytes with q repetitions in the pattern may need n^q of them.
local MOST_WORK = 1e9
local MOST_ITEMS = 1e6

local STRING = { "byte", "char", "format", "len", "lower", "rep", "reverse", "sub", "upper" }
local TABLE = { "concat", "insert", "remove", "unpack", "pack" }
local MATH = {
  "abs", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max", "min", "modf",
  "pi", "rad", "random", "sin", "sqrt", "tan", "tointeger", "type", "ult",
  "maxinteger", "mininteger",
}

local function copy(from, names)
  local to = {}
  for _, name in ipairs(names) do
    to[name] = from[name]
  end
  return to
end

-- Repetitions in a pattern and what else makes it try again; those in [sets] and %escapes
-- are counted too: too careful is cheap here.
local function repetitions(pattern)
  local n = 0
  for _ in string.gmatch(pattern, "[-*+?]") do
    n = n + 1
  end
  for _ in string.gmatch(pattern, "%%[b%d]") do
    n = n + 1
  end
  return n
end

local function check_work(name, subject, pattern, plain)
  if type(subject) ~= "string" or type(pattern) ~= "string" then
    return -- the library says what is wrong
  end
  local n = #subject + 1
  local work = n * (#pattern + 1)
  if not plain then
    work = work * n ^ repetitions(pattern)
  end
  if work > MOST_WORK and n > 1 then
    error(string.format("string.%s: this pattern may take too long on %d bytes; take one with fewer "
      .. "repetitions", name, #subject), 3)
  end
end

local function strings()
  local lib = copy(string, STRING)
  local real = string
  function lib.find(s, pattern, init, plain)
    check_work("find", s, pattern, plain)
    return real.find(s, pattern, init, plain)
  end
  function lib.match(s, pattern, init)
    check_work("match", s, pattern)
    return real.match(s, pattern, init)
  end
  function lib.gmatch(s, pattern)
    check_work("gmatch", s, pattern)
    return real.gmatch(s, pattern)
  end
  function lib.gsub(s, pattern, by, n)
    check_work("gsub", s, pattern)
    return real.gsub(s, pattern, by, n)
  end
  return lib
end

local function less(a, b)
  return a < b
end

local function tables(unpack)
  local lib = copy(table, TABLE)
  lib.unpack = unpack
  -- a comparison written in Lua is one that is counted
  function lib.sort(list, before)
    return table.sort(list, before or less)
  end
  function lib.move(from, first, last, at, to)
    if last - first > MOST_ITEMS then
      error("table.move: too many items", 2)
    end
    to = to or from
    local step = at > first and -1 or 1
    for i = step > 0 and first or last, step > 0 and last or first, step do
      to[at + i - first] = from[i]
    end
    return to
  end
  return lib
end

local function encode(cp)
  local function tail(shift)
    return 0x80 + math.floor(cp / shift) % 64
  end
  if cp < 0x80 then
    return string.char(cp)
  elseif cp < 0x800 then
    return string.char(0xC0 + math.floor(cp / 64), tail(1))
  elseif cp < 0x10000 then
    return string.char(0xE0 + math.floor(cp / 4096), tail(64), tail(1))
  end
  return string.char(0xF0 + math.floor(cp / 262144), tail(4096), tail(64), tail(1))
end

-- The same on every Lua; strict, as epoch.utf8 is.
local function texts()
  local lib = { charpattern = "[%z\1-\127\194-\244][\128-\191]*" }
  function lib.char(...)
    local out = {}
    for i, cp in ipairs { ... } do
      if type(cp) ~= "number" or cp < 0 or cp > 0x10FFFF or cp % 1 ~= 0 then
        error("utf8.char: no code point", 2)
      end
      out[i] = encode(cp)
    end
    return table.concat(out)
  end
  function lib.len(s)
    local n, i = 0, 1
    while i <= #s do
      local _, size = utf8.codepoint(s, i)
      if not size then
        return nil, i
      end
      n, i = n + 1, i + size
    end
    return n
  end
  function lib.codepoint(s, i)
    return (utf8.codepoint(s, i or 1))
  end
  return lib
end

--- New copies of them all.
---@return { string: table, table: table, math: table, utf8: table }
function M.new()
  return {
    string = strings(),
    table = tables(rawget(table, "unpack") or rawget(_G, "unpack")),
    math = copy(math, MATH),
    utf8 = texts(),
  }
end

return M
