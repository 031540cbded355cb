--- Hostile configuration scripts: what each must come to, on every Lua.
local core = require "epoch.core"
local sandbox = require "epoch.config.sandbox"

local NAME = "/x/config.lua"

local function run(source, functions, limits)
  return sandbox.run(source, NAME, functions or {}, limits)
end

-- The value that an expression has in there, as the only member of what is returned.
local function value(expression)
  local settings, why = run("return { v = " .. expression .. " }")
  assert.is_table(settings, why)
  return settings.v
end

local function fails(pattern, source, functions, limits)
  local settings, why = run(source, functions, limits)
  assert.is_nil(settings)
  assert.matches(pattern, why)
  assert.equal(NAME, why:sub(1, #NAME), "the file is not named: " .. why)
  assert.equal("X", ("x"):upper()) -- whatever it was: ours have their methods again
end

describe("the sandbox of configurations", function()
  it("gives what a script returns, or the globals it sets, and their lines", function()
    assert.same({ a = 1, b = { "x" } }, (run("return { a = 1, b = { 'x' } }")))
    local settings, lines = run("a = 1\n\nb = { c = a + 1 }\na = 3")
    assert.same({ a = 3, b = { c = 2 } }, settings)
    assert.same({ a = 4, b = 3 }, lines)
    assert.same({}, (run("local nothing = 1")))
    fails("must return a table, not a number", "return 1")
    fails("sets globals and returns", "a = 1 return { b = 2 }")
  end)

  it("has nothing but string, table, math, utf8 and what it is given", function()
    for _, name in ipairs { "io", "os", "require", "load", "loadstring", "loadfile", "dofile", "pcall", "xpcall",
      "error", "assert", "getmetatable", "setmetatable", "rawget", "rawset", "getfenv", "setfenv", "debug",
      "coroutine", "package", "_G", "jit", "ffi", "collectgarbage", "newproxy", "next", "module", "string.dump",
      "math.randomseed", "table.foreach", "string.gfind" } do
      assert.is_nil(value(name), name)
    end
    assert.equal("AB", value 'string.upper("ab")')
    assert.equal("a,b", value 'table.concat({ "a", "b" }, ",")')
    assert.equal(3, value "math.floor(3.7)")
    assert.equal("\195\164", value "utf8.char(228)")
    assert.equal(2, value [[utf8.len("\195\164x")]])
    assert.equal("b=a", value [[string.gsub("a=b", "(%w)=(%w)", "%2=%1")]])
  end)

  it("gives copies: what it changes there changes nothing here", function()
    local upper = string.upper
    fails("", "string.upper = nil string.sub = nil x = y.z")
    assert.equal(upper, string.upper)
    assert.equal("a", value 'string.sub("abc", 1, 1)')
  end)

  it("has no methods of strings, and says what to write", function()
    fails(":2: strings have no methods in a configuration: string.upper%(s%) instead",
      'local s = "x"\nreturn { s:upper() }')
    fails("strings have no methods", "return { (('x').rep)('x', 10) }")
    fails("strings have no methods", "return { (''):dump() }")
  end)

  it("takes source text only", function()
    local binary = string.dump(function()
      return {}
    end)
    fails("compiled Lua", binary)
    fails(":2: ", "a = 1\nb = = 2")
  end)

  it("ends loops", function()
    fails(":1: it takes too many steps", "while true do end")
    fails("too many steps", "for i = 1, 1e15 do end")
    fails("too many steps", "repeat until false")
    fails("too many steps", "local function f() return f() end f()")
    fails("too many steps", "table.sort({ 1, 2, 3 }, function() while true do end end)")
    fails("too many steps", "string.gsub('abc', '.', function() while true do end end)")
    fails("too many items", "table.move({}, 1, 1e15, 2)")
    fails("too long", "while true do end", {}, { steps = 1e15, seconds = 0.1 })
  end)

  it("ends bombs of memory", function()
    for _, source in ipairs {
      "string.rep('x', 1e9)",
      "string.rep('x', 1e6, string.rep('y', 1e4))",
      "local s = 'x' while true do s = s .. s end",
      "local s = string.rep('x', 1e6) local t = {} for i = 1, 1000 do t[i] = s end return { table.concat(t) }",
      "local s = string.rep('x', 1e7) return { string.format('%s%s%s%s%s%s', s, s, s, s, s, s) }",
      "local t = {} for i = 1, 1e9 do t[i] = {} end",
      "local s = string.rep('x', 1e6) return { string.gsub(string.rep('a', 1e3), 'a', s) }",
    } do
      local before = core.now()
      fails("it needs too much memory", source, {}, { steps = 1e8, seconds = 30, bytes = 32 * 1024 * 1024 })
      assert.is_true(core.now() - before < 10)
    end
  end)

  it("ends deep recursion and deep nesting", function()
    fails("", "local function f() return 1 + f() end f()")
    fails("", "return " .. ("("):rep(100000) .. "1" .. (")"):rep(100000))
    fails("", "return " .. ("{"):rep(100000))
    fails("nested too deeply", "local t = {} t.t = t return t")
    fails("too many steps", [[
      local t = { 1 }
      for i = 1, 12 do t = { t, t, t, t, t, t, t, t } end
      return t]])
  end)

  -- The matcher is C and looks at no hook: what it may come to is looked at before it runs.
  it("refuses patterns that may take for ever, and takes those that people write", function()
    for _, source in ipairs {
      "string.find(string.rep('a', 1000), string.rep('a*', 30) .. 'b')",
      "string.match(string.rep('a', 30), string.rep('a?', 30) .. string.rep('a', 30))",
      "string.gsub(string.rep('a', 10000), '.-.-.-b', '')",
      "string.gmatch(string.rep('a', 10000), '(.*)(.*)(.*)%1b')()",
      "string.find(string.rep('a', 1e6), string.rep('a', 5e5) .. 'b', 1, true)",
    } do
      local before = core.now()
      fails(":1: string.%w+: this pattern may take too long on %d+ bytes", source)
      assert.is_true(core.now() - before < 1)
    end
    assert.equal("b", value [[string.match("  b  ", "^%s*(.-)%s*$")]])
    assert.equal("example", value [[string.match("https://registry.example/x", "^https?://[^/]*%.(%w+)")]])
    assert.equal(2, value "string.find('a.b', '.', 2, true)")
  end)

  it("says what is raised, whatever that is", function()
    fails(":1: attempt to call", "nothing()")
    fails(":1: attempt to index", "local t; t.x = 1")
    local object = setmetatable({}, { __tostring = function()
      error("never called")
    end })
    fails("it failed with a table", "boom()", { boom = function()
      error(object, 0)
    end })
  end)

  it("calls its functions with our strings, and says where they failed", function()
    local seen
    local settings = run("return { v = up('a'), f = function(x) return up(x) end }", {
      up = function(s)
        seen = s
        return s:upper()
      end,
    })
    assert.equal("A", settings.v)
    assert.equal("B", (settings.f("b")))
    assert.equal("b", seen)
    fails(":2: what", "\nboom()", { boom = function()
      error("what", 0)
    end })
  end)

  it("bounds the functions it hands out, each call anew", function()
    local settings = run [[
      local n = 0
      return {
        loop = function() while true do end end,
        count = function() n = n + 1 return n, "x" end,
        method = function(s) return s:upper() end,
        keep = function(t) t.x = 1 return t end,
        boom = function() return nothing.x end,
        bomb = function() return string.rep("x", 1e9) end,
      }]]
    for name, pattern in pairs { loop = "too many steps", method = "no methods", boom = "attempt to index",
      bomb = "too much memory" } do
      local result, err = settings[name]("s")
      assert.is_nil(result)
      assert.equal("config", err.kind)
      assert.matches(pattern, err.message)
      assert.matches("^/x/config.lua", err.message)
      assert.equal("S", ("s"):upper())
    end
    assert.same({ 1, "x" }, { settings.count() })
    assert.same({ 2, "x" }, { settings.count() })
    local mine = setmetatable({ a = { 1 } }, { __index = function()
      error("looked at")
    end })
    local back = settings.keep(mine)
    assert.same({ a = { 1 }, x = 1 }, back)
    assert.is_nil(rawget(mine, "x"))
    local result, err = settings.keep(io.stdout)
    assert.is_nil(result)
    assert.matches("a userdata cannot be passed on", err.message)
  end)

  it("works in a coroutine, as the branches of a task are", function()
    local settings = run("return { f = function(x) return string.upper(x) end }")
    local co = coroutine.create(function()
      coroutine.yield((settings.f("a")))
      return (select(2, settings.f(nil))).kind
    end)
    assert.same({ true, "A" }, { coroutine.resume(co) })
    assert.same({ true, "config" }, { coroutine.resume(co) })
  end)

  it("leaves no hook behind", function()
    local before = { debug.gethook() }
    run("while true do end")
    assert.same(before, { debug.gethook() })
  end)
end)
