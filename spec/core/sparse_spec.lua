local core = require "epoch.core"

describe("a sparse map", function()
  it("is accepted when it says where all of the data goes", function()
    for _, case in ipairs {
      { '[{"o":0,"l":10}]', 10, 10 },
      { '[{"o":0,"l":10}]', 10, 4096 },
      { '[{"o":5,"l":10},{"o":15,"l":1}]', 11, 16 },
      { '[{"l":10,"o":5}]', 10, 15 },
      { ' [ { "o" : 5 , "l" : 10 } ,\n\t{"o":20,"l":0}\r] ', 10, 20 },
      { '[]', 0, 0 },
      { '[]', 0, 2 ^ 42 },
      { 'null', 0, 1048576 }, -- a Go program's map of a file that is all hole
      { '[{"o":4398046511103,"l":1}]', 1, 2 ^ 42 },
    } do
      assert.same({ true }, { core.sparse_check(case[1], case[2], case[3]) }, case[1])
    end
  end)

  it("is refused when it lies", function()
    for _, case in ipairs {
      { '[{"o":1099511627776,"l":10}]', 10, 4096, "invalid", "ends at" },
      { '[{"o":0,"l":10}]', 10, 2 ^ 43, "too_large", "above 2^42" },
      { '[{"o":0,"l":10}]', 20, 4096, "invalid", "hold 10 bytes, the entry 20" },
      { '[{"o":0,"l":10}]', 9, 4096, "invalid", "hold 10 bytes" },
      { '[{"o":0,"l":11}]', 11, 10, "invalid", "ends at 11" },
      { '[]', 1, 10, "invalid", "hold 0 bytes" },
      { 'null', 10, 4096, "invalid", "hold 0 bytes" },
      { '[{"o":0,"l":-10}]', 10, 4096, "invalid", "not negative" },
      { '[{"o":-1,"l":10}]', 10, 4096, "invalid", "not negative" },
      { '[{"o":8,"l":4},{"o":0,"l":4}]', 8, 4096, "invalid", "begins before" },
      { '[{"o":0,"l":4},{"o":3,"l":4}]', 8, 4096, "invalid", "begins before" },
      { '[{"o":4398046511105,"l":0}]', 0, 2 ^ 42, "too_large", "2^42" },
      { '[{"o":99999999999999999999999999,"l":0}]', 0, 10, "too_large", "2^42" },
      { '[{"o":9223372036854775807,"l":1},{"o":0,"l":9}]', 10, 10, "too_large", "2^42" },
    } do
      local ok, message, code = core.sparse_check(case[1], case[2], case[3])
      assert.is_nil(ok, case[1])
      assert.equal(case[4], code, case[1])
      assert.matches(case[5], message, 1, true)
    end
  end)

  it("is refused when it is written in any other way", function()
    for _, map in ipairs {
      '', ' ', '{}', '[', ']', '[]]', '[] x', 'nul', 'nulll', 'null null', '[null]', '[,]',
      '[{"o":0,"l":0},]', '[{"o":0,"l":0}', '[{"o":0,"l":0}{"o":0,"l":0}]', '[{}]', '[{"o":0}]',
      '[{"l":0}]', '[{"o":0,"o":0}]', '[{"o":0,"l":0,"l":0}]', '[{"o":0,"l":0,"x":0}]',
      '[{"o":0,"l":0,}]', '[{"o":"0","l":0}]', '[{"o":0.0,"l":0}]', '[{"o":0e0,"l":0}]',
      '[{"o":00,"l":0}]', '[{"o":+0,"l":0}]', '[{"o":0x0,"l":0}]', '[{"o":,"l":0}]',
      '[{"O":0,"l":0}]', '[{\\u006f:0,"l":0}]', '[{"\\u006f":0,"l":0}]', "[{'o':0,'l':0}]",
      '[{"o":0,"l":0}]\0', '[{"o":0 0,"l":0}]', '[[0,0]]', '\239\187\191[]',
    } do
      local ok, _, code = core.sparse_check(map, 0, 100)
      assert.is_nil(ok, map)
      assert.equal("invalid", code, map)
    end
  end)

  it("may have many segments", function()
    local segments = {}
    for i = 1, 45000 do
      segments[i] = ('{"o":%d,"l":4096}'):format(i * 8192)
    end
    local map = "[" .. table.concat(segments, ",") .. "]"
    assert.is_true(core.sparse_check(map, 45000 * 4096, 45001 * 8192))
    assert.is_nil((core.sparse_check(map, 45000 * 4096 + 1, 45001 * 8192)))
  end)

  it("raises on misuse", function()
    assert.has_error(function() core.sparse_check(nil, 0, 0) end)
    assert.has_error(function() core.sparse_check("[]", -1, 0) end)
    assert.has_error(function() core.sparse_check("[]", 0, 0.5) end)
    assert.has_error(function() core.sparse_check("[]", 0) end)
  end)
end)
