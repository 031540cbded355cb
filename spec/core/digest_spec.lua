local core = require "epoch.core"

describe("core.digest", function()
  it("agrees with the published vectors", function()
    assert.equal("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                 core.digest("abc"))
    assert.equal("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                 core.digest(""))
    assert.equal("sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                   .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
                 core.digest("abc", "sha512"))
  end)

  it("refuses other algorithms", function()
    for _, name in ipairs { "md5", "SHA256", "", "sha256\0" } do
      assert.has_error(function() core.digest("abc", name) end)
    end
  end)
end)

describe("core.hasher", function()
  it("hashes in pieces, and can be asked in between", function()
    local h = core.hasher()
    h:update("a"):update("")
    assert.equal(core.digest("a"), h:digest())
    h:update("bc")
    assert.equal(core.digest("abc"), h:digest())
    h:close()
  end)

  it("goes on from a stored state, at every length around a block", function()
    for _, alg in ipairs { "sha256", "sha512" } do
      for n = 0, 260, 13 do
        local head, tail = ("x"):rep(n), ("y"):rep(71)
        local first = core.hasher(alg):update(head)
        local second = assert(core.hasher_from(first:state()))
        assert.equal(core.digest(head .. tail, alg), second:update(tail):digest())
        assert.equal(core.digest(head, alg), first:digest())
      end
    end
  end)

  it("refuses what is not a state", function()
    local state = core.hasher():update(("z"):rep(100)):state()
    for _, bad in ipairs { "", "x", state:sub(1, -2), state .. "x", "\2" .. state:sub(2),
                           "\1\9" .. state:sub(3), ("\255"):rep(#state) } do
      local h, message, code = core.hasher_from(bad)
      assert.is_nil(h)
      assert.equal("invalid", code)
      assert.matches("not a stored hash state", message)
    end
  end)
end)

describe("core.hmac", function()
  it("agrees with RFC 4231, cases 1 and 2", function()
    local function hex(s)
      return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                 hex(core.hmac(("\11"):rep(20), "Hi There")))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                 hex(core.hmac("Jefe", "what do ya want for nothing?")))
    assert.equal(64, #core.hmac("k", "v", "sha512"))
  end)
end)

describe("core.equal", function()
  it("compares bytes", function()
    assert.is_true(core.equal("", ""))
    assert.is_true(core.equal("a\0b", "a\0b"))
    assert.is_false(core.equal("a\0b", "a\0c"))
    assert.is_false(core.equal("a", "ab"))
  end)
end)

describe("core.parse_digest", function()
  local hex = ("0123456789abcdef"):rep(4)

  it("takes a digest apart", function()
    assert.same({ "sha256", hex }, { core.parse_digest("sha256:" .. hex) })
    assert.same({ "sha512", hex .. hex }, { core.parse_digest("sha512:" .. hex .. hex) })
  end)

  it("refuses everything that only looks like one", function()
    for _, bad in ipairs {
      "", "sha256", "sha256:", hex, "md5:" .. hex:sub(1, 32), "sha256:" .. hex:sub(2),
      "sha256:" .. hex .. "0", "sha256:" .. hex:upper(), "SHA256:" .. hex,
      "sha256:" .. hex .. "\n", " sha256:" .. hex, "sha256:../../" .. hex:sub(1, 58),
      "sha256:" .. hex:sub(1, 63) .. "\0", "sha512:" .. hex, "sha256:" .. hex:sub(1, 61) .. "%2e",
    } do
      assert.is_nil(core.parse_digest(bad))
    end
  end)
end)
