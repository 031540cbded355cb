local whole = require("epoch.whole")

describe("whole numbers", function()
  it("are numbers without a fraction, up to 2^53", function()
    assert.equal("1024", tostring(whole.from(1024.0)))
    assert.equal(2 ^ 53, whole.from(2 ^ 53))
    assert.equal(-5, whole.from(-5))
    for _, v in ipairs({ 1.5, 2 ^ 53 + 2, -2 ^ 53 - 2, 1 / 0, -1 / 0, "5", true, {} }) do
      assert.is_nil(whole.from(v))
    end
    assert.is_nil(whole.from(0 / 0))
    assert.is_nil(whole.from(nil))
  end)

  it("are written as digits", function()
    assert.equal("1099511627776", whole.format(2 ^ 40))
    assert.equal("9007199254740992", whole.format(2 ^ 53))
    assert.equal("0", whole.format(-0.0))
    assert.equal("-7", whole.format(-7))
    assert.error_matches(function() whole.format(1.5) end, "not a whole number")
  end)
end)
