local reference = require("epoch.reference")

local SHA256 = "sha256:" .. ("0123456789abcdef"):rep(4)
local SHA512 = "sha512:" .. ("0123456789abcdef"):rep(8)

local function parts(s)
  local ref, err = reference.parse(s)
  assert(ref, tostring(err))
  return { host = ref.host, name = ref.name, tag = ref.tag, digest = ref.digest }
end

local function refused(s)
  local ref, err = reference.parse(s)
  assert.is_nil(ref)
  assert.equal("invalid", err.kind)
  return err.message
end

describe("reference.parse", function()
  it("reads the parts", function()
    assert.same({ name = "demo", tag = "latest" }, parts("demo"))
    assert.same({ name = "demo", tag = "v1" }, parts("demo:v1"))
    assert.same({ name = "windows/win11", tag = "22H2" }, parts("windows/win11:22H2"))
    assert.same({ name = "demo", digest = SHA256 }, parts("demo@" .. SHA256))
    assert.same({ name = "demo", tag = "v1", digest = SHA512 }, parts("demo:v1@" .. SHA512))
    assert.same({ host = "registry.example:5000", name = "vms/demo", tag = "v1", digest = SHA256 },
      parts("registry.example:5000/vms/demo:v1@" .. SHA256))
  end)

  it("takes the first component for a host as docker does", function()
    assert.same({ host = "a.b", name = "c", tag = "latest" }, parts("a.b/c"))
    assert.same({ host = "a:1", name = "c", tag = "latest" }, parts("a:1/c"))
    assert.same({ host = "localhost", name = "c", tag = "latest" }, parts("localhost/c"))
    assert.same({ host = "[::1]:5000", name = "c", tag = "t" }, parts("[::1]:5000/c:t"))
    assert.same({ host = "[2001:db8::7]", name = "c", tag = "latest" }, parts("[2001:DB8::7]/c"))
    assert.same({ name = "a/b", tag = "latest" }, parts("a/b"))
    assert.same({ name = "localhost", tag = "5000" }, parts("localhost:5000"))
    assert.same({ name = "localhosts/c", tag = "latest" }, parts("localhosts/c"))
    assert.same({ name = "a.b", tag = "latest" }, parts("a.b"))
  end)

  it("folds the host to lower case and nothing else", function()
    assert.same({ host = "registry.example", name = "demo", tag = "V1" }, parts("Registry.Example/demo:V1"))
  end)

  it("gives back what format wrote", function()
    for _, s in ipairs({
      "demo", "demo:v1", "demo@" .. SHA256, "demo:v1@" .. SHA256, "a/b/c:t", "localhost/a", "h:1/a",
      "[::1]:5000/a:t", "a.b-c.d:65535/x__y/z--1.2_3:_a.-B@" .. SHA512,
    }) do
      local ref = assert(reference.parse(s))
      local again = assert(reference.parse(reference.format(ref)))
      assert.is_true(ref == again)
      assert.equal(tostring(ref), tostring(again))
    end
    assert.equal("demo:latest", tostring(reference.parse("demo")))
    assert.is_false(reference.parse("demo:a") == reference.parse("demo:b"))
  end)

  it("says what is wrong where", function()
    local cases = {
      [""] = "the reference is empty",
      ["Demo"] = '"D" in "Demo" is upper case',
      ["a/b:c/d"] = '":" in "b:c" is not allowed',
      ["a//b"] = "empty part",
      ["/a"] = "empty part",
      ["a/"] = "empty part",
      ["demo:"] = "the tag is empty",
      [":v1"] = "the name is empty",
      ["demo@"] = "it must look like sha256",
      ["a:b:c"] = '":" is not allowed; tags are',
      ["demo:-x"] = "a tag begins with",
      ["demo:.x"] = "a tag begins with",
      ["demo:" .. ("x"):rep(129)] = "129 bytes long, at most 128",
      ["-demo"] = "must begin with a letter or a digit",
      ["--help"] = "must begin with a letter or a digit",
      ["demo-"] = "must end with a letter or a digit",
      ["a..b"] = "the separators in",
      ["a___b"] = "the separators in",
      ["a._b"] = "the separators in",
      ["demo$"] = '"$" in "demo$" is not allowed',
      ["../x"] = 'host ".."',
      ["a/../x"] = "must begin with",
      ["h:0/x"] = "the port",
      ["h:65536/x"] = "the port",
      ["h:/x"] = "the port",
      ["h:080/x"] = "the port",
      ["-h.x/y"] = "host names are",
      ["h_1.x/y"] = "host names are",
      ["h..x/y"] = "host names are",
      ["::1/x"] = "goes in brackets",
      ["[::1/x"] = "goes in brackets",
      ["[]:1/x"] = "no IPv6 address",
      ["[1::2::3]/x"] = "no IPv6 address",
      ["[1:2:3:4:5:6:7]/x"] = "no IPv6 address",
      ["[fe80::1%eth0]/x"] = "no IPv6 address",
      ["[::1]x/y"] = "only :PORT may follow",
      ["https://h/x"] = "a reference has no scheme",
      ["user@host/x"] = "it must look like sha256",
      ["h.x/"] = "the name is empty",
      [("x"):rep(256)] = "256 bytes long, at most 255",
      [("x"):rep(600)] = "600 bytes long",
    }
    for s, want in pairs(cases) do
      assert.matches(want, refused(s), 1, true)
    end
  end)

  it("counts host and name together", function()
    assert.is_truthy(reference.parse("h.x/" .. ("a"):rep(251)))
    assert.matches("256 bytes long together with the host", refused("h.x/" .. ("a"):rep(252)))
  end)

  it("lets through no byte that could mean something in a header, a path or an argument", function()
    for b = 0, 255 do
      local c = string.char(b)
      if not c:find("[%w._/:@-]") then
        for _, s in ipairs({ "de" .. c .. "mo", "demo:v" .. c .. "1",
                              "h" .. c .. ".x/demo", c .. "demo", "demo:v1" .. c }) do
          assert.is_nil(reference.parse(s), ("byte %d"):format(b))
        end
      end
    end
    assert.matches("a line break at byte 8", refused("demo:v1\r\nX-Evil: 1"))
    assert.matches("a control character at byte 3", refused("de\0mo"))
    assert.matches("a space at byte 5", refused("demo v1"))
    assert.matches("not ASCII at byte 2", refused("d\195\182mo"))
  end)

  it("raises for what is no string", function()
    assert.error_matches(function() reference.parse(nil) end, "must be a string, not a nil")
  end)
end)

describe("reference.new", function()
  it("makes a reference of parts", function()
    assert.equal("h:1/a/b:t", tostring(assert(reference.new { host = "H:1", name = "a/b", tag = "t" })))
    assert.equal("a:latest", tostring(assert(reference.new { name = "a" })))
  end)

  it("refuses parts that would read as something else", function()
    for _, given in ipairs({ { name = "localhost/a" }, { name = "a.b/c" }, { host = "h", name = "a" },
                             { host = "", name = "a" }, { name = "a", tag = "" }, { name = "a", digest = "" } }) do
      local ref, err = reference.new(given)
      assert.is_nil(ref)
      assert.equal("invalid", err.kind)
    end
  end)
end)

describe("the validators of", function()
  local function all(check, good, bad)
    for _, value in ipairs(good) do
      assert.is_true(check(value), tostring(value))
    end
    for _, value in ipairs(bad) do
      local ok, err = check(value)
      assert.is_nil(ok, tostring(value))
      assert.equal("invalid", err.kind)
    end
  end

  it("names", function()
    all(reference.check_name, { "a", "a/b", "a.b/c", "localhost/x", "a__b", "a---b", ("x"):rep(255) },
      { "", "A", "a/", "a\n", "a b", "_a", "a_", ("x"):rep(256), 5, {}, true, "..", "a/..", "repo/_digests" })
  end)

  it("tags", function()
    all(reference.check_tag, { "a", "_", "V1.0-x_y", ("x"):rep(128) },
      { "", ".", "-", "a/b", "a:b", "a+b", "a\n", "a\r\nX: 1", "a\0", ("x"):rep(129), 5, false })
  end)

  it("digests", function()
    local hex = ("a"):rep(64)
    all(reference.check_digest, { SHA256, SHA512, "sha256:" .. hex }, {
      "", "sha256:", "sha256:" .. hex:sub(2), "sha256:" .. hex .. "a", "sha256:" .. hex:upper(),
      "SHA256:" .. hex, "sha512:" .. hex, "md5:" .. ("a"):rep(32), "sha256:" .. hex .. "\n",
      "sha256:" .. hex:sub(2) .. "\n", "sha256:../../" .. ("a"):rep(58), "sha256-" .. hex, hex,
      "sha256:%2e" .. hex:sub(4), " " .. SHA256, 5,
    })
  end)

  it("hosts", function()
    all(reference.check_host, { "h", "a.b", "1.2.3.4", "h:1", "a.b:65535", "[::]", "[::1]:5000",
                                "[1:2:3:4:5:6:7:8]", "xn--a.b", "A.b" },
      { "", ":1", "h:", "h:0", "h:x", "a..b", ".a", "a.", "-a", "a-", "a/b", "u@h", "h\n", "h\0", "[::1", "::1",
        "[1:2:3:4:5:6:7:8:9]", "[:1]", "[12345::]", ("a"):rep(64), ("a."):rep(127) .. "a.b", 5 })
  end)
end)
