local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"

local BIG = 64 * 1024 * 1024

-- Answers what it was sent: the method, then a header a line, then the body.
local ECHO = [[
  ngx.req.read_body()
  ngx.say("method: ", ngx.req.get_method())
  local names, headers = {}, ngx.req.get_headers()
  for name in pairs(headers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do ngx.say(name, ": ", headers[name]) end
  ngx.say()
  ngx.print(ngx.req.get_body_data() or "")
]]

describe("an HTTP request", function()
  local s, loop

  setup(function()
    s = server.start {
      files = { ["small"] = "hello", ["empty"] = "", ["part"] = 1024 * 1024, ["big"] = BIG },
      tls = true,
      http2 = true,
      locations = {
        ["= /echo"] = server.lua(ECHO),
        ["= /connection"] = "return 200 $connection;",
        ["= /status"] = server.lua "ngx.status = tonumber(ngx.var.arg_s) ngx.say('no')",
        ["= /twice"] = server.lua [[
          ngx.header["X-Two"] = { "first", "second" }
          ngx.say("ok")
        ]],
      },
    }
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    loop = core.loop()
  end)

  after_each(function()
    loop:close()
  end)

  it("gets a small file", function()
    local r = assert(http.fetch(loop, { url = s.url .. "/small" }))
    assert.equal(200, r.status)
    assert.equal("hello", r.body)
    assert.equal("1.1", r.http_version)
    assert.equal(s.url .. "/small", r.url)
    assert.equal(0, r.redirects)
  end)

  it("gets a large file byte for byte", function()
    local result = assert(http.digest(loop, { url = s.url .. "/big" }))
    assert.equal(BIG, result.size)
    assert.equal(s:digest("big"), result.digest)
  end)

  it("gets an empty file", function()
    assert.equal("", assert(http.fetch(loop, { url = s.url .. "/empty" })).body)
  end)

  it("gets a range", function()
    local r = assert(http.fetch(loop, { url = s.url .. "/small", headers = { Range = "bytes=1-3" } }))
    assert.equal(206, r.status)
    assert.equal("ell", r.body)
  end)

  it("asks with HEAD and gets no body", function()
    local req = assert(loop:request { method = "HEAD", url = s.url .. "/big" })
    local r = assert(http.await(loop, req, "response"))
    assert.equal(200, r.status)
    assert.equal(("%.0f"):format(BIG), req:header("Content-Length"))
    local body = req:body()
    assert.equal(0, body:total())
    assert.is_false(http.await(loop, body, "read", 10))
    body:close()
    req:close()
  end)

  it("says how large the body will be", function()
    local req = assert(loop:request { url = s.url .. "/big" })
    local body = req:body()
    assert.is_nil(body:total())
    assert(http.await(loop, req, "response"))
    assert.equal(BIG, body:total())
    body:close()
    req:close()
  end)

  it("gives every header in order, with names in lower case", function()
    local req = assert(loop:request { url = s.url .. "/twice" })
    local r = assert(http.await(loop, req, "response"))
    local seen = {}
    for _, pair in ipairs(r.headers) do
      assert.equal(pair[1]:lower(), pair[1])
      if pair[1] == "x-two" then
        seen[#seen + 1] = pair[2]
      end
    end
    assert.same({ "first", "second" }, seen)
    assert.equal("first", req:header("X-Two"))
    assert.is_nil(req:header("x-three"))
    req:close()
  end)

  it("gives a status that says no, with its body", function()
    local r = assert(http.fetch(loop, { url = s.url .. "/status?s=503" }))
    assert.equal(503, r.status)
    assert.equal("no\n", r.body)
  end)

  it("sends its headers, written either way", function()
    local r = assert(http.fetch(loop, {
      url = s.url .. "/echo",
      authorization = "Bearer abc",
      user_agent = "spec/1",
      headers = { { "Accept", "a/b, c/d" }, { "X-One", "1" }, ["X-Nothing"] = "" },
    }))
    assert.matches("\naccept: a/b, c/d\n", r.body, 1, true)
    assert.matches("\nauthorization: Bearer abc\n", r.body, 1, true)
    assert.matches("\nuser-agent: spec/1\n", r.body, 1, true)
    assert.matches("\nx-nothing: \n", r.body, 1, true)
    assert.matches("\nx-one: 1\n", r.body, 1, true)
  end)

  it("asks for no encoding and sends no cookies", function()
    local r = assert(http.fetch(loop, { url = s.url .. "/echo" }))
    assert.not_matches("encoding", r.body, 1, true)
    assert.not_matches("cookie", r.body, 1, true)
  end)

  it("uses a connection again", function()
    local first = assert(http.fetch(loop, { url = s.url .. "/connection" })).body
    for _ = 1, 3 do
      assert.equal(first, assert(http.fetch(loop, { url = s.url .. "/connection" })).body)
    end
  end)

  it("uses a connection again when only its body was closed at the end", function()
    local req = assert(loop:request { url = s.url .. "/connection" })
    assert(http.await(loop, req, "response"))
    local body = req:body()
    local first = http.await(loop, body, "read", 100)
    assert.is_false(http.await(loop, body, "read", 100))
    body:close()
    req:close()
    assert.equal(first, assert(http.fetch(loop, { url = s.url .. "/connection" })).body)
  end)

  it("speaks HTTP/2 over TLS", function()
    local opts = { url = s.tls_url .. "/big", ca_file = s.ca }
    assert.equal("2", assert(http.fetch(loop, { url = s.tls_url .. "/small", ca_file = s.ca })).http_version)
    assert.equal(s:digest("big"), assert(http.digest(loop, opts)).digest)
    opts.http_version = "1.1"
    assert.equal(s:digest("big"), assert(http.digest(loop, opts)).digest)
  end)

  it("is not held up by another one whose body nobody reads", function()
    for _, url in ipairs { s.url, s.tls_url } do
      local held = assert(loop:request { url = url .. "/big", ca_file = s.ca })
      assert(http.await(loop, held, "response"))
      http.step(loop, 0.2)
      assert.equal("hello", assert(http.fetch(loop, { url = url .. "/small", ca_file = s.ca })).body)
      held:close()
    end
  end)

  it("runs beside twenty others", function()
    local digest, requests, flows = s:digest("part"), {}, {}
    for i = 1, 20 do
      requests[i] = assert(loop:request { url = (i % 2 == 0 and s.tls_url or s.url) .. "/part", ca_file = s.ca })
      flows[i] = assert(loop:flow { source = requests[i]:body(), hash = "sha256" })
    end
    assert.equal(20, core.live().requests)
    assert.equal(1, core.live().http_engines)
    for i = 1, 20 do
      assert.equal(digest, assert(http.await(loop, flows[i], "result")).digest)
      assert.equal(1024 * 1024, requests[i]:received())
      flows[i]:close()
      requests[i]:close()
    end
  end)

  it("goes on when only its body is still referred to", function()
    local flow = loop:flow { source = assert(loop:request { url = s.url .. "/big" }):body(), hash = "sha256" }
    collectgarbage()
    collectgarbage()
    assert.equal(s:digest("big"), assert(http.await(loop, flow, "result")).digest)
    flow:close()
  end)

  it("ends when nobody refers to it any more", function()
    local requests = { assert(loop:request { url = s.url .. "/big" }) }
    assert(http.await(loop, requests[1], "response"))
    requests[1] = nil
    collectgarbage()
    collectgarbage()
    assert.equal(0, core.live().requests)
  end)

  describe("closed", function()
    local function start()
      return assert(loop:request { url = s.url .. "/big" })
    end

    it("before anything happened", function()
      start():close()
    end)

    it("while connecting", function()
      local req = start()
      assert(loop:step())
      req:close()
    end)

    it("with an answer and no body taken", function()
      local req = start()
      assert(http.await(loop, req, "response"))
      req:close()
    end)

    it("with a body half read, which then says so", function()
      local req = start()
      local body = req:body()
      assert(http.await(loop, body, "read", 1000))
      http.step(loop, 0.2)
      req:close()
      local _, message, code = body:read(10)
      assert.equal("cancelled", code)
      assert.matches("closed", message)
      body:close()
    end)

    it("by its body", function()
      local req = start()
      local body = req:body()
      assert(http.await(loop, body, "read", 1000))
      body:close()
      assert.equal(200, req:response().status)
      req:close()
    end)

    it("under a flow, which fails", function()
      local req = start()
      local flow = loop:flow { source = req:body(), sink = core.null() }
      assert(http.await(loop, req, "response"))
      req:close()
      local _, _, code = http.await(loop, flow, "result")
      assert.equal("cancelled", code)
      flow:close()
    end)

    it("twice", function()
      local req = start()
      assert.is_true(req:close())
      assert.is_true(req:close())
      assert.has_error(function() req:response() end)
    end)

    it("with its loop", function()
      local req = start()
      local flow = loop:flow { source = req:body(), sink = core.null() }
      assert(http.await(loop, req, "response"))
      loop:close()
      flow:close()
      req:close()
    end)
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
      local url = s.url .. "/echo"
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
        assert.matches(name, refused { url = s.url, headers = { [name] = "1" } }, 1, true)
      end
    end)

    it("for a time limit of nothing and for a GET with a body", function()
      refused { url = s.url, connect_timeout = 0 }
      refused { url = s.url, header_timeout = 0 }
      refused { url = s.url, low_speed_time = 0 }
      refused { url = s.url, body = "x" }
    end)
  end)

  it("raises for misuse", function()
    local url = s.url .. "/small"
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
