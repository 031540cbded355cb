local address = require "epoch.client.address"
local base64 = require "epoch.client.base64"
local client = require "epoch.client"
local core = require "epoch.core"
local errors = require "epoch.errors"
local failure = require "epoch.client.failure"
local listing = require "epoch.client.listing"
local members = require "epoch.client.members"
local retry = require "epoch.client.retry"
local tasks = require "epoch.task"

describe("retry", function()
  local function of(status, kind)
    return errors.new(kind or "unavailable", "it failed", { status = status })
  end

  local function fixed(value)
    return { random = function() return value end }
  end

  it("waits twice as long each time, with some jitter", function()
    local want = { 0.25, 0.5, 1, 2 }
    for attempt, seconds in ipairs(want) do
      assert.near(seconds, retry.delay(attempt, of(503), nil, fixed(0.5)), 1e-9)
      assert.near(seconds * 0.9, retry.delay(attempt, of(503), nil, fixed(0)), 1e-9)
      assert.near(seconds * 1.1, retry.delay(attempt, of(503), nil, fixed(1)), 1e-9)
    end
    assert.equal(30, retry.delay(12, of(503), nil, { tries = 20, random = function() return 1 end }))
  end)

  it("waits in no step with others that failed at the same moment", function()
    local seen = {}
    for i = 1, 12 do
      seen[i] = retry.delay(3, of(503), nil, { spread = 0.5 })
      assert.is_true(seen[i] >= 0.5 and seen[i] <= 1.5)
    end
    table.sort(seen)
    assert.is_true(seen[12] - seen[1] > 0.1)
  end)

  it("ends after five tries, or as many as asked for", function()
    local err = of(503)
    assert.same({ nil, err }, { retry.delay(5, err) })
    assert.is_nil((retry.delay(1, err, nil, { tries = 1 })))
    assert.is_number(retry.delay(5, err, nil, { tries = 6 }))
  end)

  it("is for connections that fail, not for certificates", function()
    for _, kind in ipairs { "unavailable", "timeout", "truncated" } do
      assert.is_true(retry.worth(errors.new(kind, "x")))
    end
    for _, kind in ipairs { "tls", "invalid", "cancelled", "denied", "io" } do
      assert.is_false(retry.worth(errors.new(kind, "x")))
    end
    assert.is_false(retry.worth(of(501)))
    assert.is_true(retry.worth(of(408)))
  end)

  it("understands Retry-After in both forms", function()
    assert.equal(2, retry.after("2"))
    assert.equal(0, retry.after("0"))
    assert.equal(99999999, retry.after("99999999"))
    assert.equal(17, retry.after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 17))
    assert.equal(0, retry.after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 17))
    assert.equal(29, retry.after("Thu, 29 Feb 2024 00:00:29 GMT", 1709164800))
    for _, junk in ipairs { "-1", "junk", "1.5", "", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37" } do
      assert.is_nil(retry.after(junk))
    end
    assert.is_nil(retry.after(nil))
  end)

  it("waits what the server wants, to a limit", function()
    assert.equal(60, retry.delay(1, of(429, "rate_limited"), 60))
    local seconds, err = retry.delay(1, of(429, "rate_limited"), 61)
    assert.is_nil(seconds)
    assert.equal("rate_limited", err.kind)
    assert.equal(429, err.status)
    assert.matches("it failed; the server asks to wait 61 seconds, more than 60 are not waited", err.message)
  end)
end)

describe("an address", function()
  it("is read from what people type", function()
    for text, want in pairs {
      ["127.0.0.1:5000"] = "http://127.0.0.1:5000/", ["localhost/a/b/"] = "http://localhost/a/b/",
      ["r.example/vms"] = "https://r.example/vms/", ["http://r.example"] = "http://r.example/",
      ["HTTPS://R.example:443"] = "https://R.example:443/", ["[::1]:5000"] = "http://[::1]:5000/",
      ["docker.io"] = "https://registry-1.docker.io/",
    } do
      assert.equal(want, assert(address.parse(text)).url)
    end
    assert.equal("http://r.example/", assert(address.parse("r.example", true)).url)
    assert.equal("https://r.example/v2/", assert(address.parse("r.example/vms")).root)
    assert.equal("vms/", assert(address.parse("r.example/vms")).prefix)
  end)

  it("is refused when it is none", function()
    for _, text in ipairs {
      "", "ftp://h", "file:///x", "u:p@h", "h/../x", "h/A", "h?x", "h h", "http://", "h\r\nX:",
    } do
      local at, err = address.parse(text)
      assert.is_nil(at)
      assert.equal("invalid", err.kind)
    end
  end)

  it("tells private from public", function()
    local KINDS = {
      loopback = { "127.0.0.1", "127.9.9.9", "localhost", "a.localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]" },
      private = { "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "224.0.0.1", "[::]", "[fe80::1]", "[fc00::1]", "[fd12::]", "[ff02::1]", "[::ffff:10.0.0.1]", "[::ffff:a00:1]" },
      public = { "8.8.8.8", "172.32.0.1", "172.15.0.1", "100.128.0.1", "r.example", "localhost.example",
        "[2001:db8::1]", "[::ffff:8.8.8.8]" },
    }
    for kind, hosts in pairs(KINDS) do
      for _, host in ipairs(hosts) do
        assert.equal(kind .. " " .. host, address.kind(host) .. " " .. host)
      end
    end
  end)

  local function at(url)
    return assert(address.parse(url))
  end

  it("may lead to uploads elsewhere, not into private networks", function()
    local r = at "https://r.example"
    assert.is_true(address.may_lead(r, "https://R.example:443/x", "x").own)
    assert.is_false(address.may_lead(r, "https://cdn.example/x", "x").own)
    assert.is_false(address.may_lead(r, "https://r.example:8443/x", "x").own)
    for _, url in ipairs { "http://r.example/x", "https://169.254.169.254/x", "https://[::1]/x", "https://2130706433/",
      "https://localhost:443/x", "https://0/x" } do
      local ok, err = address.may_lead(r, url, "the upload location")
      assert.is_nil(ok)
      assert.equal("denied", err.kind)
      assert.matches("^the upload location", err.message)
    end
    assert.is_false(address.may_lead(at "10.0.0.5:5000", "https://10.0.0.6/x", "x").own)
    assert.is_false(address.may_lead(at "http://r.example", "http://s.example/x", "x").own)
    assert.equal("invalid", select(2, address.may_lead(r, "file:///x", "x")).kind)
  end)

  it("may name token servers of its own kind", function()
    local r = at "https://r.example"
    assert.is_true(address.may_ask(r, "https://auth.example/token"))
    assert.is_true(address.may_ask(at "http://r.example", "https://auth.example/token"))
    assert.is_true(address.may_ask(at "https://10.0.0.5:5000", "https://10.0.0.5:5000/token"))
    for _, url in ipairs {
      "http://auth.example/", "https://10.0.0.1/", "file:///x", "ftp://x/", "/token", "https://127.1/",
      "https://[fe80::1]/", "https://0/", "",
    } do
      assert.equal("denied", select(2, address.may_ask(r, url)).kind)
    end
    assert.equal("denied", select(2, address.may_ask(at "https://10.0.0.5:5000", "https://10.0.0.5:5001/")).kind)
    assert.equal("denied", select(2, address.may_ask(at "127.0.0.1:5000", "http://127.0.0.1:9/")).kind)
  end)

  it("is told secrets over https, or on this machine", function()
    assert.is_true(address.may_confide("https://r.example/"))
    assert.is_true(address.may_confide("http://127.0.0.1:1/"))
    assert.is_true(address.may_confide("http://r.example/", true))
    assert.equal("denied", select(2, address.may_confide("http://r.example/")).kind)
    assert.equal("denied", select(2, address.may_confide("http://10.0.0.1/")).kind)
  end)

  it("is shown without its query", function()
    assert.equal("https://h/p?...", address.shown("https://h/p?sig=secret#x"))
    assert.equal("https://h/p", address.shown("https://h/p"))
  end)
end)

describe("base64", function()
  it("goes both ways", function()
    local bytes = "a\255\0bcdefgh"
    for n = 0, #bytes do
      assert.equal(bytes:sub(1, n), base64.decode(base64.encode(bytes:sub(1, n))))
    end
    assert.equal("dXNlcjpwYXNz", base64.encode("user:pass"))
    assert.equal("Zg==", base64.encode("f"))
    assert.equal("f", base64.decode("Zg"))
    for _, junk in ipairs { "a", "a=b", "Zg===", "Z g=", "Zg\n" } do
      assert.is_nil(base64.decode(junk))
    end
  end)
end)

describe("members of an object", function()
  it("are split and joined as they were written", function()
    local list = assert(members.split [[ { "a" : [ ] , "\u0062":"x\"}]", "c":{"d":[{}]}, "e" : 1.50 , "f":null} ]])
    local found = {}
    for i, member in ipairs(list) do
      found[i] = member.name .. "=" .. member.raw
    end
    assert.same({ "a=[ ]", 'b="x\\"}]"', 'c={"d":[{}]}', "e=1.50", "f=null" }, found)
    members.set(list, "e", nil)
    members.set(list, "a", "1")
    members.set(list, "new", "[]")
    assert.equal('{\n\t"a": 1,\n\t"b": "x\\"}]",\n\t"c": {"d":[{}]},\n\t"f": null,\n\t"new": []\n}', members.join(list))
    assert.equal("null", members.get(list, "f"))
    assert.is_nil(members.get(list, "e"))
    assert.equal("{}", members.join(assert(members.split "{}")))
  end)

  it("are those of an object only", function()
    for _, text in ipairs { "[]", "1", '"x"', "{", '{"a":1,"a":2}', "" } do
      assert.equal("invalid", select(2, members.split(text)).kind)
    end
  end)
end)

describe("an error of a registry", function()
  it("is named by its status and in its words", function()
    local err = failure.of({ status = 404, method = "GET", asked = "https://h/v2/?x=y" },
      '{"errors":[{"code":"NAME_UNKNOWN","message":"no such name"},{"code":"B"},7]}')
    assert.equal("not_found", err.kind)
    assert.equal(404, err.status)
    assert.equal("GET https://h/v2/?...: 404 Not Found: NAME_UNKNOWN: no such name; B", err.message)
  end)

  it("does not repeat what was secret", function()
    local err = failure.of({ status = 400, method = "GET", asked = "https://h/", secret = "canary" },
      '{"message":"bad canary, canary! see https://s3/x?X-Sig=abc&y=z now"}')
    assert.equal("GET https://h/: 400 Bad Request: bad ***, ***! see https://s3/x?... now", err.message)
  end)
end)

describe("a link to the next page", function()
  it("is found among others", function()
    assert.equal("/v2/_catalog?last=b&n=2", listing.next_link { '</v2/_catalog?last=b&n=2>; rel="next"' })
    assert.equal("/b", listing.next_link { '</a>; rel=prev, </b>; title="x"; rel="last next"' })
    assert.equal("/b", listing.next_link { "</a>; rel=prev", "</b>;rel=next" })
    assert.is_nil(listing.next_link {})
    assert.is_nil(listing.next_link { "</a>; rel=nextish", "junk", "<", "</b>" })
  end)
end)

describe("a client", function()
  local task

  before_each(function()
    task = assert(tasks.new { threads = 0 })
  end)

  after_each(function()
    task:close()
  end)

  it("knows its options", function()
    assert.has_error(function() client.new(task, { url = "h", tokn = "x" }) end,
      'epoch.client: option "tokn" is unknown (did you mean "token"?)')
    assert.has_error(function() client.new(task, {}) end)
    assert.equal("invalid", select(2, client.new(task, { url = "ftp://x" })).kind)
  end)

  it("takes no body that is none, and no range", function()
    local home = assert(client.new(task, { url = "h.invalid" }))
    for _, bad in ipairs { 7, true, {} } do
      assert.has_error(function() home:put_blob("a", core.digest(""), 0, bad) end)
    end
    for _, bad in ipairs { { offset = -1 }, { offset = 0.5 }, { length = 0 } } do
      assert.has_error(function() home:get_blob("a", core.digest(""), bad) end)
    end
  end)
end)
