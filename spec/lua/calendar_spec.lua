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
