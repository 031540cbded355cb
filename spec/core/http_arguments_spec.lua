local core = require "epoch.core"

-- What cannot be asked at all is found before anything is connected to.
describe("an HTTP request", function()
  local loop
  local somewhere = "http://127.0.0.1:1"

  before_each(function()
    loop = core.loop()
  end)

  after_each(function()
    loop:close()
  end)

  describe("is refused", function()
    local function refused(opts)
      local req, message, code = loop:request(opts)
      assert.is_nil(req)
      assert.equal("invalid", code)
      return message
    end

    it("for what is not an address of HTTP", function()
      for _, url in ipairs {
        "", "nonsense", "/path", "ftp://host/", "file:///etc/passwd", "http://", "http://ho st/",
        "http://host/\r\nX: y", "http://host/\0", "http://host/\127", "http://host/é", "http://host:99999/",
        "http://host/" .. ("x"):rep(20000),
      } do
        refused { url = url }
      end
    end)

    it("for a password in an address, which is not repeated", function()
      assert.not_matches("canary", refused { url = "http://user:canary@127.0.0.1/" }, 1, true)
      assert.not_matches("canary", refused { url = "http://canary@127.0.0.1/" }, 1, true)
    end)

    it("for what would break out of a line", function()
      local url = somewhere .. "/echo"
      refused { url = url, method = "GET /\r\nX:" }
      refused { url = url, method = "" }
      refused { url = url, method = "CONNECT" }
      refused { url = url, authorization = "a\r\nX: y" }
      refused { url = url, authorization = "a\0b" }
      refused { url = url, user_agent = "a\nb" }
      refused { url = url, headers = { ["X-A"] = "a\r\nX-B: c" } }
      refused { url = url, headers = { ["X-A"] = "a\0b" } }
      refused { url = url, headers = { ["X-A: b\r\nX-C"] = "d" } }
      refused { url = url, headers = { [""] = "d" } }
      refused { url = url, headers = { { "X A", "d" } } }
    end)

    it("for headers that follow from the request", function()
      for _, name in ipairs { "Host", "content-length", "Transfer-Encoding", "Connection", "Expect",
        "Upgrade", "TE", "Proxy-Authorization", "Accept-Encoding" } do
        assert.matches(name, refused { url = somewhere, headers = { [name] = "1" } }, 1, true)
      end
    end)

    it("for a time limit of nothing and for a GET with a body", function()
      refused { url = somewhere, connect_timeout = 0 }
      refused { url = somewhere, header_timeout = 0 }
      refused { url = somewhere, low_speed_time = 0 }
      refused { url = somewhere, body = "x" }
    end)
  end)

  it("raises for misuse", function()
    local url = somewhere .. "/small"
    for _, opts in ipairs {
      {}, { url = 1 }, { url = url, metod = "GET" }, { url = url, http_version = "3" }, { url = url, headers = "x" },
      { url = url, headers = { "x" } }, { url = url, headers = { x = 1 } }, { url = url, headers = { { "x" } } },
      { url = url, redirects = 1000 }, { url = url, redirects = -1 }, { url = url, body = 1 },
      { url = url, header_timeout = "1" }, { url = url, ca_file = "a\0b" }, { url = url, any_encoding = 1 },
    } do
      assert.has_error(function() loop:request(opts) end)
    end
    local req = assert(loop:request { url = url })
    local body = req:body()
    assert.has_error(function() req:body() end)
    body:close()
    req:close()
    local other = core.loop()
    other:close()
    assert.has_error(function() other:request { url = url } end)
  end)
end)

describe("addresses", function()
  it("are resolved against a base", function()
    local base = "https://host/v2/a/blobs/uploads/?x=1#f"
    for ref, want in pairs {
      ["/v2/b"] = "https://host/v2/b",
      ["id?state=2"] = "https://host/v2/a/blobs/uploads/id?state=2",
      ["../c"] = "https://host/v2/a/blobs/c",
      ["//other:5000/x"] = "https://other:5000/x",
      ["http://plain/x#gone"] = "http://plain/x",
      ["?y=2"] = "https://host/v2/a/blobs/uploads/?y=2",
    } do
      assert.equal(want, core.resolve(base, ref))
    end
  end)

  it("are refused when they lead elsewhere", function()
    for _, ref in ipairs { "ftp://host/", "javascript:alert(1)", "https://user:pw@host/", "//u@host/", "a b", "a\r\nb",
      "a\0b", "" } do
      local text, _, code = core.resolve("https://host/", ref)
      assert.is_nil(text)
      assert.equal("invalid", code)
    end
  end)

  it("have an origin", function()
    assert.equal("https://host:443", core.origin("HTTPS://Host/path?q"))
    assert.equal("http://host:80", core.origin("http://host"))
    assert.equal("http://host:8080", core.origin("http://HOST:8080/"))
    assert.equal("http://[::1]:5000", core.origin("http://[::1]:5000/x"))
    assert.is_nil((core.origin("host:80")))
    assert.is_nil((core.origin("http://u:p@host/")))
  end)
end)
