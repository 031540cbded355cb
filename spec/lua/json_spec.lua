local json = require("epoch.json")

local function refused(s, max)
  local value, err = json.decode(s, max)
  assert.is_nil(value)
  local good, why = json.check(s, max)
  assert.is_nil(good)
  assert.same({ err.kind, err.message }, { why.kind, why.message })
  return err
end

describe("json.decode", function()
  it("reads JSON", function()
    local v = json.decode('{"a":[1,2.5,"x\\u00e4\\n",true,false,null],"b":{"a":{}}}')
    assert.same({ a = { 1, 2.5, "xä\n", true, false, json.null }, b = { a = {} } }, v)
    assert.equal("x", json.decode('"x"'))
    assert.equal(false, json.decode("false"))
    assert.same({ 0, -0.5, 1e5, 1.5e-3 }, json.decode("[0,-0.5,1E+5, 1.5e-3\n]"))
    assert.same({ "a\0b" }, json.decode('["a\\u0000b"]'))
  end)

  it("refuses a member that is there twice, however it is spelled", function()
    for _, s in ipairs({
      '{"layers":1,"layers":2}', '{"a":1,"\\u0061":2}', '{"x":[{"a":1,"b":{},"a":2}]}',
      '{"a":{"a":1},"a":2}', '{"\\n":1, "\\u000a" : 2}', '{"":1,"":2}', '{"a":1,"b":[{"c":"a:"}],"a"\n:2}',
    }) do
      assert.matches("is there twice", refused(s).message)
    end
    assert.is_table(json.decode('{"a":{"a":["a","a"]},"b":{"a":"a"},"c":"a"}'))
    assert.is_table(json.decode('[{"a":1},{"a":1}]'))
    assert.is_table(json.decode('{"a":"\\"b\\":1,\\"b\\":2"}'))
  end)

  it("refuses numbers that are none", function()
    for _, s in ipairs({
      "nan", "NaN", "-nan", "Infinity", "-Infinity", "inf", "0x10", "01", "-01", "1.", ".5", "+1", "-", "1e", "1e+",
      "1e999", "-1e999", "1_000", "1.2.3", "--1", "0b1", "1f", ("1"):rep(500), "tRue", "nul", "nullx",
    }) do
      assert.equal("invalid", refused('{"size":' .. s .. "}").kind, s)
    end
  end)

  it("refuses broken text", function()
    for _, s in ipairs({
      "", "  ", "[", "]", "{", "}", "[1,]", "[1 2]", "[1}", '{"a"}', '{"a":}', '{a:1}', "{'a':1}", '{"a":1,}', "[1]]",
      "[1]x", '["a]', '["\\x"]', '["\\u12"]', '["\\ud800"]', '["a\nb"]', '["a\0b"]', "[1\0]", "[//x\n1]", '{"a" "b":1}',
      '["a":1]', "\239\187\191[]", "[\194\160]", '["\255"]', '["\237\160\128"]', '{"\192\175":1}', "[,1]", "{,}", ":1",
      ",1", '[1],[2]', '{"\\ud800":1}', '["a\\"]',
    }) do
      assert.equal("invalid", refused(s).kind, s)
    end
    assert.matches("byte 3: a raw control character", refused('["\1"]').message)
  end)

  it("goes 64 levels deep and no further", function()
    assert.is_table(json.decode(("["):rep(64) .. ("]"):rep(64)))
    assert.equal("invalid", refused(("["):rep(65) .. ("]"):rep(65)).kind)
    assert.matches("more than 64 levels", refused(("["):rep(1e6)).message)
    assert.matches("more than 64 levels", refused(('{"a":'):rep(1e5)).message)
  end)

  it("reads no more than it was told", function()
    assert.equal("too_large", refused("[    ]", 5).kind)
    assert.is_table(json.decode("[   ]", 5))
    assert.equal("too_large", refused((" "):rep(4 * 1024 * 1024) .. "1").kind)
    assert.is_table(json.decode('["' .. ("x"):rep(5e6) .. '"]', 16 * 1024 * 1024))
  end)

  it("has a check beside it that makes no values", function()
    local s = '{"n":[' .. ("{},"):rep(100000) .. "1]}"
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    local ok = json.check(s)
    local kib = collectgarbage("count") - before
    collectgarbage("restart")
    assert.is_true(ok)
    assert.is_true(kib < 1024, ("%.0f KiB"):format(kib))
  end)

  it("takes time in proportion to the text", function()
    local function seconds(n)
      local s = '{"files":{"disk":{"sparseMap":"' .. ('{\\"o\\":1,\\"l\\":2},'):rep(n) .. '"}},"n":['
        .. ('{"a":1},'):rep(n) .. "0]}"
      local best = math.huge
      for _ = 1, 3 do
        local start = os.clock()
        assert(json.decode(s, 2 ^ 25))
        best = math.min(best, os.clock() - start)
      end
      return best
    end
    local small, large = seconds(2000), seconds(16000)
    assert.is_true(large < 8 * 4 * small + 0.05, ("8 times the text took %.1f times as long"):format(large / small))
  end)

  it("leaves the settings of others' cjson alone", function()
    json.decode("[1]")
    assert.is_number(require("cjson").decode("[nan]")[1])
  end)

  it("raises for what is no string", function()
    assert.error_matches(function() json.decode(nil) end, "must be a string")
  end)
end)

describe("json.size", function()
  local function size(s)
    return json.size(json.decode('{"size":' .. s .. "}").size)
  end

  it("takes whole numbers below 2^53", function()
    assert.equal("0", tostring(size("0")))
    assert.equal("1024", tostring(size("1024")))
    assert.equal(2 ^ 53 - 1, size("9007199254740991"))
    assert.equal("Content-Length: 1024", "Content-Length: " .. size("1024"))
  end)

  it("takes nothing else", function()
    for _, s in ipairs({ "1.5", '"5"', "-1", "9007199254740992", "9007199254740993", "9223372036854775808", "1e300",
                         "null", "true", "[]", "{}" }) do
      assert.is_nil(size(s), s)
    end
    assert.is_nil(json.size(nil))
    assert.is_nil(json.size(0 / 0))
  end)
end)

describe("json.encode", function()
  it("keeps the order it is given", function()
    assert.equal('{"b":1,"a":[1,2.5,"x"],"n":null}', json.encode(json.object {
      { "b", 1 }, { "a", json.array { 1, 2.5, "x" } }, { "left out" }, { "n", json.null },
    }))
  end)

  it("sorts the names of a plain table, which is an object", function()
    assert.equal('{"A":1,"a":2,"b":{},"c":false}', json.encode({ c = false, a = 2, A = 1, b = {} }))
  end)

  it("tells an empty list from an empty object", function()
    assert.equal('{"a":[],"b":{},"c":{},"d":[]}', json.encode({
      a = json.empty_array, b = json.empty_object, c = {}, d = json.array {} }))
  end)

  it("writes whole numbers as digits and others so that they read back", function()
    local cases = {
      ["1024"] = 1024.0, ["0"] = -0.0, ["-7"] = -7, ["1099511627776"] = 2 ^ 40, ["100000000000000"] = 1e14,
      ["9007199254740992"] = 2 ^ 53, ["0.1"] = 0.1, ["1.5"] = 1.5,
    }
    for want, v in pairs(cases) do
      assert.equal(want, json.encode(v))
    end
    for _, v in ipairs({ 1 / 3, 0.1 + 0.2, 1e-7, 123456.789, 2 ^ -1074, -1e-300 }) do
      assert.equal(v, json.decode(json.encode(v)))
    end
  end)

  it("escapes what must be and nothing more", function()
    assert.equal([["a\"b\\c/d\b\f\n\r\t\u0000\u001f]] .. '\127<é>"', json.encode('a"b\\c/d\b\f\n\r\t\0\31\127<é>'))
  end)

  it("indents", function()
    assert.equal('{\n  "a": [\n    1,\n    {\n      "b": {}\n    }\n  ],\n  "c": []\n}', json.encode({
      a = json.array { 1, { b = {} } }, c = json.empty_array }, 2))
  end)

  it("writes a text that is JSON already as it is", function()
    assert.equal('{\n  "a": [1.50, {} ],\n  "b": true\n}',
      json.encode(json.object { { "a", json.raw "[1.50, {} ]" }, { "b", true } }, 2))
  end)

  it("reads back as it was", function()
    local v = { a = "x", b = { c = 1.25, d = true } }
    assert.same(v, json.decode(json.encode(v)))
    assert.same(v, json.decode(json.encode(v, 4)))
  end)

  it("answers nil, err for text that is not UTF-8", function()
    for _, v in ipairs({ "\255", { a = "ok\192\175" }, { ["\128"] = 1 }, json.array { "\237\160\128" } }) do
      local s, err = json.encode(v)
      assert.is_nil(s)
      assert.equal("invalid", err.kind)
      assert.matches("is no UTF%-8", err.message)
    end
  end)

  it("raises, at the caller, for what JSON cannot mean", function()
    local circle = {}
    circle.a = { circle }
    circle.a = { b = circle }
    local deep = {}
    for _ = 1, 65 do
      deep = { a = deep }
    end
    local cases = {
      ["no number for"] = 0 / 0, ["no number for %-?inf"] = { a = 1 / 0 }, ["above 2%^53"] = 2 ^ 53 + 2,
      ["a function cannot"] = { a = print }, ["a thread cannot"] = { a = coroutine.create(function() end) },
      ["contains itself"] = circle, ["mark lists with json%.array"] = { 1, 2 }, ["has the key 1"] = { 1, a = 2 },
      ["a metatable"] = setmetatable({}, {}), ["more than 64 levels"] = deep, ["a userdata cannot"] = io.stdout,
    }
    for want, v in pairs(cases) do
      local ok, why = pcall(function()
        local s = json.encode(v)
        return s
      end)
      assert.is_false(ok)
      assert.matches("json_spec%.lua:%d+: .*" .. want, why)
    end
  end)

  it("takes the same table twice where it is no circle", function()
    local t = { x = 1 }
    assert.equal('{"a":{"x":1},"b":{"x":1}}', json.encode({ a = t, b = t }))
  end)

  it("raises for markers that mark nothing sensible", function()
    assert.error_matches(function() json.array { 1, nil, 3 } end, "has nothing at 2")
    assert.error_matches(function() json.array { a = 1 } end, "has the key a")
    assert.error_matches(function() json.object { { "a", 1 }, { "a", 2 } } end, 'the member "a" twice')
    assert.error_matches(function() json.object { { 1, 2 } } end, "has no name")
  end)

  it("does not follow what happens to a list after it was marked", function()
    local items = { 1, 2 }
    local marked = json.array(items)
    items[3] = 3
    assert.equal("[1,2]", json.encode(marked))
    assert.is_nil(getmetatable(items))
  end)
end)
