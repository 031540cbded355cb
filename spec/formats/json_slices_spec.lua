local json = require "epoch.json"
local slices = require "epoch.json_slices"

describe("slices of JSON", function()
  it("are the members' texts, blanks between tokens apart", function()
    local s = ' { "a" : 12345678901234567890 , "b":[ 1.50, {"x" : "a b\\" ]}" } ],\n"c":-0.0e-1,'
      .. '"d":"", "e":null,"f":{},"g":[], "\\u0068" : true }\n'
    assert(json.decode(s))
    assert.same({
      { "a", "12345678901234567890" }, { "b", '[1.50,{"x":"a b\\" ]}"}]' }, { "c", "-0.0e-1" },
      { "d", '""' }, { "e", "null" }, { "f", "{}" }, { "g", "[]" }, { "h", "true" },
    }, slices.members(s))
    assert.same({}, slices.members(" {\t} "))
  end)

  it("make an object again", function()
    local s = '{"a":1.50,"b\\"":{"c":[1,2,{"d":null}]},"e":"\\u00e9\\\\"}'
    assert.equal(s, slices.object(slices.members(s)))
    assert.equal("{}", slices.object {})
  end)

  it("take a long map in one walk", function()
    local map = json.encode(('{"o":1,"l":2},'):rep(60000))
    local members = slices.members('{"m":' .. map .. ',"n":[' .. ("[0],"):rep(50000) .. "1]}")
    assert.equal(map, members[1][2])
    assert.equal(200003, #members[2][2])
  end)
end)
