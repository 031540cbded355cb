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

  it("is not held up by others whose bodies nobody reads, nor are these taken into memory", function()
    for _, url in ipairs { s.url, s.tls_url } do
      local before, held = http.resident(), {}
      assert(http.fetch(loop, { url = url .. "/small", ca_file = s.ca })) -- a connection to share
      for i = 1, 3 do
        held[i] = assert(loop:request { url = url .. "/big", ca_file = s.ca })
      end
      for i = 1, 3 do
        assert(http.await(loop, held[i], "response"))
      end
      http.step(loop, 0.2)
      assert.equal("hello", assert(http.fetch(loop, { url = url .. "/small", ca_file = s.ca })).body)
      assert.is_true(http.resident() - before < 24 * 1024 * 1024)
      for i = 1, 3 do
        held[i]:close()
      end
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

    it("under a flow that has not read what has come, though all of it has", function()
      local req = assert(loop:request { url = s.url .. "/small" })
      local body = req:body()
      assert(http.await(loop, req, "response"))
      http.step(loop, 10, function() return body:total() == 5 and req:received() == 5 end)
      http.step(loop, 0.1)
      req:close()
      local flow = loop:flow { source = body, sink = core.null() }
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
end)
