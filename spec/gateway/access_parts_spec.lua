-- The parts of access that need no server: addresses, headers, limits, short-lived tokens.
local base64 = require "epoch.client.base64"
local challenge = require "epoch.gateway.access.challenge"
local challenges = require "epoch.challenge"
local core = require "epoch.core"
local credentials = require "epoch.gateway.access.credentials"
local grants = require "epoch.gateway.access.grants"
local limits = require "epoch.gateway.limits"
local networks = require "epoch.gateway.access.networks"
local scopes = require "epoch.gateway.access.scopes"

local function parsed(list)
  local all = {}
  for i, one in ipairs(list) do
    all[i] = assert(networks.parse(one), one)
  end
  return all
end

describe("networks", function()
  it("contain addresses", function()
    for _, case in ipairs {
      { "10.0.0.0/8", "10.255.0.1", true }, { "10.0.0.0/8", "11.0.0.1", false }, { "0.0.0.0/0", "1.2.3.4", true },
      { "192.168.1.128/25", "192.168.1.200", true }, { "192.168.1.128/25", "192.168.1.127", false },
      { "192.0.2.7", "192.0.2.7", true }, { "192.0.2.7", "192.0.2.8", false }, { "10.0.0.0/9", "10.128.0.0", false },
      { "fd00::/8", "fd12::1", true }, { "fd00::/8", "fe80::1", false }, { "::1", "0:0:0:0:0:0:0:1", true },
      { "2001:db8::/33", "2001:db8:7fff::", true }, { "2001:db8::/33", "2001:db8:8000::", false },
      { "10.0.0.0/8", "::ffff:10.1.2.3", true }, { "::ffff:10.0.0.0/104", "10.1.2.3", true },
      { "::ffff:10.0.0.0/104", "11.1.2.3", false }, { "::/0", "1.2.3.4", false }, { "0.0.0.0/0", "::1", false },
      { "unix:", "unix:", true }, { "0.0.0.0/0", "unix:", false }, { "unix:", "1.2.3.4", false },
      { "10.0.0.0/8", "nonsense", false }, { "unix:", "nonsense", false },
    } do
      assert(networks.contain(parsed { case[1] }, case[2]) == case[3], case[1] .. " " .. case[2])
    end
  end)

  it("are refused when they are none", function()
    for _, bad in ipairs { "", "10.0.0.0/33", "10.0.0.0/", "10.0.0", "10.0.0.0.0/8", "256.0.0.1", "010.0.0.1", "::/129",
                           ":::", "1::2::3", "g::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "10.0.0.0/8/8", "host",
                           "::ffff:10.0.0.0/8", "1:2:3:4:5:6:7:8::", "::1%eth0", "unix", "1.2.3.4::" } do
      assert(networks.parse(bad) == nil, bad)
    end
  end)

  it("say which client a trusted proxy speaks for", function()
    local trusted = parsed { "10.0.0.0/8", "fd00::/8" }
    for _, case in ipairs {
      { "1.1.1.1", "2.2.2.2", "1.1.1.1", false }, { "1.1.1.1", nil, "1.1.1.1", false },
      { "10.0.0.1", nil, "10.0.0.1", true }, { "10.0.0.1", "2.2.2.2", "2.2.2.2", true },
      { "10.0.0.1", "9.9.9.9, 2.2.2.2", "2.2.2.2", true }, { "10.0.0.1", "9.9.9.9,2.2.2.2,10.0.0.2", "2.2.2.2", true },
      { "10.0.0.1", "evil, 10.0.0.2", "10.0.0.2", true }, { "10.0.0.1", "evil", "10.0.0.1", true },
      { "10.0.0.1", "", "10.0.0.1", true }, { "10.0.0.1", "2.2.2.2,", "10.0.0.1", true },
      { "10.0.0.1", "[2001:db8::1]", "2001:db8::1", true }, { "10.0.0.1", "10.0.0.9, 10.0.0.8", "10.0.0.9", true },
      { "fd00::1", ("2.2.2.2, "):rep(100) .. "3.3.3.3", "3.3.3.3", true },
    } do
      local client, proxied = networks.client(case[1], case[2], trusted)
      assert.same({ case[3], case[4] }, { client, proxied })
    end
    assert.equal("10.0.0.1", (networks.client("10.0.0.1", "2.2.2.2", {})))
  end)

  it("take no longer for a header that is made to take long", function()
    local trusted, began = parsed { "10.0.0.0/8" }, os.clock()
    for _, header in ipairs { ("10.0.0.9,"):rep(900) .. "10.0.0.8", (","):rep(8000), (" "):rep(8000), ("x"):rep(8000),
                              (" ,"):rep(4000), ("1:"):rep(4000),
                              "x" .. (" "):rep(8000) .. "y", (" "):rep(8000) .. "x y" } do
      for _ = 1, 20 do
        assert.matches("^10%.", (networks.client("10.0.0.1", header, trusted)))
      end
    end
    assert(os.clock() - began < 1)
  end)

  it("know this machine, and who is limited with whom", function()
    for _, own in ipairs { "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "unix:" } do
      assert.is_true(networks.is_loopback(own))
    end
    for _, other in ipairs { "10.0.0.1", "::2", "128.0.0.1", "" } do
      assert.is_false(networks.is_loopback(other))
    end
    assert.equal("1.2.3.4", networks.limited_as("::ffff:1.2.3.4"))
    assert.equal(networks.limited_as("2001:db8::1"), networks.limited_as("2001:db8::ffff:1"))
    assert.are_not.equal(networks.limited_as("2001:db8::1"), networks.limited_as("2001:db8:0:1::1"))
    assert.equal("unix:", networks.limited_as("unix:"))
  end)
end)

describe("credentials", function()
  it("are a token, however it is said", function()
    local function basic(pair)
      return "Basic " .. base64.encode(pair)
    end
    for header, secret in pairs {
      ["Bearer abc"] = "abc", ["bearer  a.b-c_d~e+f/g="] = "a.b-c_d~e+f/g=", [basic "user:abc"] = "abc",
      [basic ":abc"] = "abc", [basic "u:a:b"] = "a:b",
      ["BASIC " .. base64.encode("u:x")] = "x",
    } do
      assert.equal(secret, credentials.secret(header))
    end
    assert.is_nil(credentials.secret(nil))
    for _, header in ipairs { "", "Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Digest x", "Basic !!",
                              basic "user", basic "user:", basic ":", "abc", "Bearer a\nb",
                              "Bearer " .. ("x"):rep(9000) } do
      assert.is_false(credentials.secret(header))
    end
  end)
end)

describe("a challenge", function()
  it("is what clients read", function()
    local header = challenge.bearer("https://r.example:5000/x", "repository:a:pull", "insufficient_scope")
    local list = assert(challenges.parse(header))
    assert.same({ scheme = "bearer", params = {
      realm = "https://r.example:5000/x/v2/token", service = "epoch", scope = "repository:a:pull",
      error = "insufficient_scope" } }, list[1])
    assert.equal("basic", assert(challenges.parse(challenge.BASIC))[1].scheme)
  end)

  it("names no host that is none", function()
    assert.equal("http://r.example", challenge.origin("http", "r.example", "10.0.0.1", "80"))
    assert.equal("https://[::1]:5000", challenge.origin("https", "[::1]:5000", "::1", "5000"))
    for _, host in ipairs { 'evil"', "evil\r\nX: y", "a b", "", "a/b", "user@host", "host:99999", "[::1", 'h",x="' } do
      assert.equal("http://10.0.0.1:80", challenge.origin("http", host, "10.0.0.1", "80"))
    end
    assert.equal("http://[::1]:80", challenge.origin("gopher", nil, "::1", "80"))
  end)

  it("has a configured address only when that is one", function()
    assert.equal("https://r.example/a", challenge.check_url("https://r.example/a/"))
    assert.equal("http://r.example:80", challenge.check_url("http://r.example:80"))
    for _, url in ipairs { "", "r.example", "ftp://r.example", 'https://r.example/"', "https://r.example/\n",
                           "https://",
                           "https://u:p@r.example", "https://r.example/?x=1", "https://r.example/#x" } do
      assert(challenge.check_url(url) == nil, url)
    end
  end)
end)

-- A dictionary as nginx has one, without the end of what is in it.
local function dictionary()
  local values = {}
  return {
    get = function(_, key) return values[key] end,
    set = function(_, key, value) values[key] = value end,
  }
end

describe("a limit", function()
  it("lets a burst through, then so many a second", function()
    local dict, limit, now = dictionary(), { requests = 2, burst = 3 }, 1000
    for _ = 1, 3 do
      assert.is_true(limits.take(dict, "a", limit, now))
    end
    local ok, wait = limits.take(dict, "a", limit, now)
    assert.is_false(ok)
    assert.is_true(math.abs(wait - 0.5) < 1e-6)
    assert.is_true(limits.take(dict, "b", limit, now))
    assert.is_false(limits.take(dict, "a", limit, now + 0.49))
    assert.is_true(limits.take(dict, "a", limit, now + 0.5))
    assert.is_false(limits.take(dict, "a", limit, now + 0.5))
    local passed = 0
    for i = 1, 1000 do -- ten seconds, a hundred a second
      passed = passed + (limits.take(dict, "a", limit, now + 0.5 + i / 100) and 1 or 0)
    end
    assert.equal(20, passed)
  end)

  it("can be looked at, and outlives a clock that is set back", function()
    local dict, limit = dictionary(), { requests = 1, burst = 1 }
    for _ = 1, 5 do
      assert.is_true(limits.take(dict, "a", limit, 1000, 0))
    end
    assert.is_true(limits.take(dict, "a", limit, 1000))
    assert.is_false(limits.take(dict, "a", limit, 1000, 0))
    assert.is_true(limits.take(dict, "a", limit, 10))
  end)
end)

describe("a short-lived token", function()
  local hash = core.digest("a token")
  local function hash_of(subject)
    return subject == "" and "" or subject == "+ci" and hash or nil
  end
  local function issue(subject, wished, expires)
    return grants.issue({ expires = expires or 2000, subject = subject, wishes = assert(scopes.wishes { wished }) },
      hash_of(subject) or "other")
  end

  it("grants what it was issued for, until it is over", function()
    local token = issue("+ci", "repository:vms/a:pull,push registry:catalog:*")
    assert.matches("^epoch1%.[%w_-]+%.[%w_-]+$", token)
    assert.equal(token, credentials.secret("Bearer " .. token))
    local grant = assert(grants.verify(token, 1999, hash_of))
    assert.equal("+ci", grant.subject)
    assert.equal(2000, grant.expires)
    assert.is_true(grants.covers(grant.wishes, "pull", "vms/a"))
    assert.is_true(grants.covers(grant.wishes, "push", "vms/a"))
    assert.is_false(grants.covers(grant.wishes, "delete", "vms/a"))
    assert.is_false(grants.covers(grant.wishes, "pull", "vms/b"))
    assert.is_true(grants.covers(grant.wishes, "catalog"))
    assert.same({ n = 2, [2] = "expired" }, { n = 2, grants.verify(token, 2000, hash_of) })
    assert.is_false(grants.covers(assert(grants.verify(issue("", ""), 1, hash_of)).wishes, "catalog"))
  end)

  it("is worth nothing when anything in it was changed", function()
    local token = issue("+ci", "repository:vms/a:pull")
    for i = #grants.PREFIX + 1, #token do
      for _, letter in ipairs { "A", "b", "-", "." } do
        local other = token:sub(1, i - 1) .. letter .. token:sub(i + 1)
        -- the last letter of each part has bits that mean nothing
        if token:sub(i, i) ~= letter and i < #token and token:sub(i + 1, i + 1) ~= "." then
          local grant, why = grants.verify(other, 1, hash_of)
          assert.is_nil(grant)
          assert.is_true(why == "invalid" or why == "gone")
        end
      end
    end
    for _, other in ipairs { "", "epoch1.", "epoch1..", token .. "x", token:sub(1, -2), "x" .. token,
                             token .. ("A"):rep(9000) } do
      assert.equal("invalid", select(2, grants.verify(other, 1, hash_of)))
    end
    assert.equal("gone", select(2, grants.verify(issue("+other", ""), 1, hash_of)))
    assert.equal("gone", select(2, grants.verify(issue("=", ""), 1, hash_of)))
  end)

  it("of nobody cannot become somebody's", function()
    local payload = grants.issue({ expires = 2000, subject = "+ci", wishes = {} }, "")
    assert.equal("invalid", select(2, grants.verify(payload, 1, hash_of)))
  end)
end)
