local children = require "spec.support.children"
local clock = require "epoch.snapshot.clock"
local work = require "spec.support.work"

describe("times", function()
  it("are written in UTC, whole seconds", function()
    assert.equal("2026-11-21T05:16:47Z", clock.format(1795238207))
    assert.equal("1970-01-01T00:00:00Z", clock.format(0))
  end)

  it("begin when SOURCE_DATE_EPOCH says so", function()
    local function now(value)
      return work.output(("SOURCE_DATE_EPOCH='%s' %s -e 'require \"spec.support.paths\" "
        .. "local t, err = require(\"epoch.snapshot.clock\").now() print(t or err.kind)'"):format(
        value, children.lua))
    end
    assert.equal("1795238207", now "1795238207")
    for _, value in ipairs { "yesterday", "-1", "1e9", "0x10", "999999999999" } do
      assert.equal("usage", now(value))
    end
    assert.is_true(math.abs(tonumber(now "") - os.time()) < 60)
    assert.equal(7, clock.now(7))
  end)

  it("are read with fractions and offsets", function()
    for text, seconds in pairs {
      ["2026-11-21T05:16:47.301435751Z"] = 1795238207, ["2026-11-21T05:16:47Z"] = 1795238207,
      ["2026-11-21T06:46:47+01:30"] = 1795238207, ["2026-11-20T23:16:47-06:00"] = 1795238207,
      ["1970-01-01T00:00:00Z"] = 0, ["2000-02-29T00:00:00Z"] = 951782400,
      ["1969-12-31T23:59:59Z"] = -1,
    } do
      assert.equal(seconds, clock.parse(text))
    end
    for _, text in ipairs { "", "now", "2026-11-21", "2026-11-21T05:16:47", "2026-11-21T05:16:47+1",
                         "2026-13-21T05:16:47Z", "2026-11-00T05:16:47Z", "2026-11-21T24:16:47Z",
                         "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-00:01" } do
      assert.is_nil(clock.parse(text))
    end
    assert.is_nil(clock.parse(nil))
  end)

  it("are told in UTC with all that is known of them", function()
    for text, wanted in pairs {
      ["2026-11-21T05:16:47.301435751Z"] = "2026-11-21T05:16:47.301435751Z",
      ["2026-11-21T06:46:47.5000000004+01:30"] = "2026-11-21T05:16:47.5Z",
      ["2026-11-20T23:16:47.000-06:00"] = "2026-11-21T05:16:47Z", ["1970-01-01T00:00:00Z"] = "1970-01-01T00:00:00Z",
    } do
      assert.equal(wanted, clock.in_utc(text))
      assert.equal(wanted, clock.format(wanted))
    end
    for _, text in ipairs { "", "now", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z" } do
      assert.is_nil(clock.in_utc(text))
    end
    assert.is_nil(clock.in_utc(nil))
  end)

  it("are read as they were written", function()
    for _, seconds in ipairs { 0, 1, 68169600, 1795238207, 4102444799, 4107542400 } do
      assert.equal(seconds, clock.parse(clock.format(seconds)))
    end
  end)
end)
