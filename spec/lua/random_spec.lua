--- Random bytes, and the numbers made of them.
local random = require "epoch.random"

describe("random", function()
  it("gives as many bytes as asked for, and others each time", function()
    local one, other = assert(random.bytes(16)), assert(random.bytes(16))
    assert.equal(16, #one)
    assert.not_equal(one, other)
    assert.matches("^%x+$", assert(random.hex(8)))
    assert.equal(16, #random.hex(8))
  end)

  it("gives fractions that differ where they are asked for at the same moment", function()
    local seen, distinct, least, most = {}, 0, 1, 0
    for _ = 1, 200 do
      local fraction = random.fraction()
      distinct = distinct + (seen[fraction] and 0 or 1)
      seen[fraction] = true
      least, most = math.min(least, fraction), math.max(most, fraction)
    end
    assert.is_true(distinct > 150)
    assert.is_true(least >= 0 and least < 0.2 and most > 0.8 and most <= 1)
  end)
end)
