local calendar = require "epoch.calendar"

describe("the calendar", function()
  it("reads RFC 3339", function()
    assert.equal(0, calendar.rfc3339("1970-01-01T00:00:00Z"))
    assert.equal(784111777, calendar.rfc3339("1994-11-06T08:49:37.123Z"))
    assert.equal(784111777, calendar.rfc3339("1994-11-06t09:49:37+01:00"))
    assert.equal(1709164799, calendar.rfc3339("2024-02-28T23:59:59Z"))
    assert.equal(1709164800 + 86400, calendar.rfc3339("2024-03-01T00:00:00Z"))
    for _, text in ipairs { "", "1994-11-06", "1994-11-06T08:49:37", "x1994-11-06T08:49:37Z" } do
      assert.is_nil(calendar.rfc3339(text))
    end
    assert.is_nil(calendar.rfc3339(nil))
  end)

  it("knows what strict readers take", function()
    for _, text in ipairs {
      "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2024-02-29T23:59:59.999999999-11:30",
      "9999-12-31T23:59:59.5+23:59",
    } do
      assert.is_true(calendar.is_strict(text), text)
    end
    for _, text in ipairs {
      "", "T", "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-12-32T00:00:00Z", "2026-13-01T00:00:00Z",
      "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z",
      "2026-01-01t00:00:00Z", "2026-01-01T00:00:00z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z",
      "2026-01-01T00:00:00.1.2Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00+0100",
      "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Z ", "26-01-01T00:00:00Z",
    } do
      assert.is_false(calendar.is_strict(text), text)
    end
  end)

  it("reads the dates of HTTP", function()
    assert.equal(784111777, calendar.http("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.equal(1709164800 + 86400, calendar.http("Fri, 01 Mar 2024 00:00:00 GMT"))
    for _, text in ipairs { "", "06 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT" } do
      assert.is_nil(calendar.http(text))
    end
    assert.is_nil(calendar.http(nil))
  end)

  it("agrees with the system, day by day", function()
    for day = 0, 40000, 7 do
      assert.equal(day * 86400 + 1, calendar.rfc3339(os.date("!%Y-%m-%dT%H:%M:%SZ", day * 86400 + 1)))
    end
  end)
end)
