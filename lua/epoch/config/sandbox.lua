--- Running a configuration script where it can do no harm.
--
-- It sees the libraries of epoch.config.libraries, `env`, `read` and `print`, and nothing
-- else: no function that raises, catches, loads or looks at metatables. Strings have no
-- methods while it runs: those would be the real library's (`string.upper(s)` it is).
-- Source text only. Steps, memory and time are bounded, for the script and again for each
-- call of a function that it hands out.
local core = require "epoch.core"
local errors = require "epoch.errors"
local libraries = require "epoch.config.libraries"
local text = require "epoch.text"

local M = {}

M.LIMITS = { steps = 10000000, bytes = 32 * 1024 * 1024, seconds = 5 }

local MOST_LEVELS = 16 -- of tables that go in and out

local function pack(...)
  return { n = select("#", ...), ... }
end

local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

-- What indexing a string does while a script runs; the real library otherwise.
local function set_methods(methods)
  local mt = debug.getmetatable("")
  local before = mt.__index
  mt.__index = methods
  return before
end

local function forbidden(_, name)
  name = tostring(name)
  error(string.format(
    "strings have no methods in a configuration: string.%s(s) instead of s:%s()", name, name), 2)
end

-- A function of ours for the script: in it, strings are as we know them.
local function outside(f)
  return function(...)
    local before = set_methods(string)
    local result = pack(pcall(f, ...))
    set_methods(before)
    if not result[1] then
      error(result[2], 2)
    end
    return unpack(result, 2, result.n)
  end
end

local WORDS = {
  ["too many steps"] = "it takes too many steps (does a loop have no end?)",
  ["too much time"] = "it takes too long",
  ["not enough memory"] = "it needs too much memory",
  ["resulting string too large"] = "it needs too much memory",
}

-- What was raised, in words that begin with the file, and the line where it is known.
local function words(name, what)
  if type(what) ~= "string" then
    return name .. ": it failed with a " .. type(what)
  elseif what:find("interrupted!$") then
    error(what, 0) -- SIGINT came while it ran
  end
  local where, bare = what:match("^(.-:%d+: )(.*)$")
  what = WORDS[bare or what] or bare or what
  return text.printable((where and where:find(name, 1, true) == 1 and where or name .. ": ") .. what)
end

-- Runs f(…) as the script of that name has to run: its results packed, or nil and words.
local function confined(name, limits, f, ...)
  local before = set_methods(forbidden)
  local result = pack(core.bounded(limits, f, ...))
  set_methods(before)
  if not result[1] then
    return nil, words(name, result[2])
  end
  return result
end

-- LuaJIT counts no steps in what it has compiled: this and all functions in it stay as they
-- are.
local function interpreted(f)
  local jit = rawget(_G, "jit")
  if jit then
    jit.off(f, true)
  end
  return f
end

local plain

local function plain_table(t, level, guard)
  if level > MOST_LEVELS then
    error("tables are nested too deeply", 0)
  end
  local out = {}
  for key, value in next, t do
    out[plain(key, level + 1)] = plain(value, level + 1, guard)
  end
  return out
end

-- A copy without metatables; functions through `guard`, other things not at all. It is
-- counted like what it copies: a table can be there a million times in another one.
function plain(value, level, guard)
  local kind = type(value)
  if kind == "table" then
    return plain_table(value, level, guard)
  elseif kind == "function" and guard then
    return guard(value)
  elseif kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then
    return value
  end
  error("a " .. kind .. " cannot be passed on", 0)
end

local function plain_all(...)
  local all = pack(...)
  for i = 1, all.n do
    all[i] = plain(all[i], 1)
  end
  return unpack(all, 1, all.n)
end

-- f with copies of what it is given, and copies of what it answers.
local function call_plainly(f, ...)
  return plain_all(f(plain_all(...)))
end

for _, f in ipairs { plain, plain_table, plain_all, call_plainly } do
  interpreted(f)
end

-- A function of the script as the rest of the program calls it: what it raises is an error
-- of kind "config", answered after nil.
local function guard_for(name, limits)
  return function(f)
    return function(...)
      local result, why = confined(name, limits, call_plainly, f, ...)
      if not result then
        return errors.fail("config", why)
      end
      return unpack(result, 2, result.n)
    end
  end
end

local function compile(source, name, env)
  local setfenv = rawget(_G, "setfenv")
  if source:sub(1, 1) == "\27" then
    return nil, "this is compiled Lua; a configuration is source text"
  end
  local load_text = rawget(_G, "loadstring") or load
  local chunk, why
  if setfenv then
    chunk, why = load_text(source, "@" .. name)
    if chunk then
      setfenv(chunk, env)
    end
  else
    chunk, why = load(source, "@" .. name, "t", env)
  end
  if not chunk then
    return nil, why
  end
  return interpreted(chunk)
end

-- The script's globals: what it sets goes to `set`, where it did it to `lines`.
local function environment(given, set, lines)
  return setmetatable({}, {
    __index = function(_, name)
      local value = set[name]
      if value == nil then
        value = given[name]
      end
      return value
    end,
    __newindex = function(_, name, value)
      set[name] = value
      lines[name] = debug.getinfo(2, "l").currentline
    end,
  })
end

--- Runs a script: what it returned or set, or nil and what is wrong, with name and line.
---@param source string
---@param name string the file, for messages
---@param functions table<string, function> more functions it sees: env, read, print
---@param limits? table
---@return table? settings functions in it can be called safely
---@return table|string lines of the globals, or what is wrong
function M.run(source, name, functions, limits)
  limits = limits or M.LIMITS
  local given, set, lines = libraries.new(), {}, {}
  for what, f in pairs(functions) do
    given[what] = outside(f)
  end
  local env = environment(given, set, lines)
  local loaded, why = confined(name, limits, function()
    local before = set_methods(string)
    local chunk, reason = compile(source, name, env)
    set_methods(before)
    return chunk, reason
  end)
  if not loaded or not loaded[2] then
    return nil, why or words(name, loaded[3])
  end
  local result
  result, why = confined(name, limits, function()
    local returned = loaded[2]()
    if returned ~= nil and type(returned) ~= "table" then
      error("it must return a table, not a " .. type(returned), 0)
    elseif returned ~= nil and next(set) ~= nil then
      error("it sets globals and returns a table: only one of both, please", 0)
    end
    return plain_table(returned or set, 1, guard_for(name, limits))
  end)
  if not result then
    return nil, why
  end
  return result[2], lines
end

return M
