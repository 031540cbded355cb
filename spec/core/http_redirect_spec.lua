local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"

local ECHO = [[
  ngx.req.read_body()
  ngx.say(ngx.req.get_method(), " ", ngx.var.request_uri)
  local h = ngx.req.get_headers()
  for _, name in ipairs {
    "authorization", "x-secret", "accept", "range", "content-type", "content-length", "user-agent",
  } do
    if h[name] then ngx.say(name, ": ", h[name]) end
  end
  ngx.print(ngx.req.get_body_data() or "")
]]

-- /to?s=STATUS&…&to=LOCATION: what follows `to=` is the Location as it stands.
local REDIRECT = [[
  ngx.req.read_body()
  local status, to = ngx.var.request_uri:match("s=(%d+)&to=(.*)$")
  ngx.status = tonumber(status)
  ngx.header["Location"] = to
  ngx.say("moved")
]]

describe("a redirect", function()
  local s, loop

  setup(function()
    s = server.start {
      files = { ["big"] = 1024 * 1024 },
      tls = true,
      locations = {
        ["= /echo"] = server.lua(ECHO),
        ["= /to"] = server.lua(REDIRECT),
        ["= /connection"] = "return 200 $connection;",
        ["= /to_connection"] = "return 302 /connection;",
        ["= /for_ever"] = server.lua [[
          ngx.status = 302
          ngx.header["Location"] = "/echo"
          while ngx.print(("x"):rep(10000)) and ngx.flush(true) do end
        ]],
        ["= /nowhere"] = server.lua "ngx.status = 302 ngx.say('no location')",
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

  local function to(location, status, base)
    return ("%s/to?s=%d&to=%s"):format(base or s.url, status or 302, location)
  end

  local function fetch(url, more)
    local opts = {
      url = url, ca_file = s.ca, authorization = "Bearer canary",
      headers = { ["X-Secret"] = "canary", Accept = "a/b", Range = "bytes=0-9", ["User-Agent"] = "spec" },
    }
    for key, value in pairs(more or {}) do
      opts[key] = value
    end
    return http.fetch(loop, opts)
  end

  local PUBLIC = "accept: a/b\nrange: bytes=0-9\nuser-agent: spec\n"
  local ALL = "authorization: Bearer canary\nx-secret: canary\n" .. PUBLIC

  it("within an origin takes everything along", function()
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local r = assert(fetch(to("/echo?q=1", status)))
      assert.equal("GET /echo?q=1\n" .. ALL, r.body)
      assert.equal(s.url .. "/echo?q=1", r.url)
      assert.equal(1, r.redirects)
    end
  end)

  it("to another port leaves behind what is private", function()
    assert.equal("GET /echo\n" .. PUBLIC, assert(fetch(to(s.other_url .. "/echo"))).body)
  end)

  it("to another scheme or another name of the host does, too", function()
    assert.equal("GET /echo\n" .. PUBLIC, assert(fetch(to(s.tls_url .. "/echo"))).body)
    assert.equal("GET /echo\n" .. PUBLIC, assert(fetch(to((s.url:gsub("127.0.0.1", "localhost")) .. "/echo"))).body)
  end)

  it("without a scheme is another host", function()
    assert.equal("GET /echo\n" .. PUBLIC, assert(fetch(to(s.other_url:gsub("^http:", "") .. "/echo"))).body)
  end)

  it("away and back again does not bring it back", function()
    local r = assert(fetch(to(to(s.url .. "/echo", 302, s.other_url))))
    assert.equal("GET /echo\n" .. PUBLIC, r.body)
    assert.equal(2, r.redirects)
  end)

  it("leaves it behind for every hop after that", function()
    local r = assert(fetch(to(to("/echo", 302, s.other_url))))
    assert.equal("GET /echo\n" .. PUBLIC, r.body)
    assert.equal(s.other_url .. "/echo", r.url)
  end)

  it("does not show a client certificate elsewhere", function()
    local r = assert(fetch(to(s.client_url .. "/echo", 302, s.tls_url),
      { client_cert = s.certs.client, client_key = s.certs.client_key }))
    assert.equal(400, r.status) -- nginx: "No required SSL certificate was sent"
  end)

  it("from https to http is refused", function()
    local r, message, code = fetch(to(s.url .. "/echo", 307, s.tls_url))
    assert.is_nil(r)
    assert.equal("denied", code)
    assert.matches("https to http://127.0.0.1", message, 1, true)
  end)

  it("to anything but http is refused", function()
    for _, location in ipairs { "ftp://127.0.0.1/", "file:///etc/passwd", "javascript:x", "gopher://127.0.0.1:1/" } do
      assert.equal("invalid", select(3, fetch(to(location))))
    end
  end)

  it("with a password is refused, and the password is not repeated", function()
    local _, message, code = fetch(to("http://user:canary@127.0.0.1/"))
    assert.equal("invalid", code)
    assert.not_matches("canary", message, 1, true)
  end)

  it("does not send a fragment", function()
    assert.matches("^GET /echo\n", assert(fetch(to("/echo#part"))).body)
  end)

  it("that goes round is given up", function()
    local self = s.url .. "/to?s=302&to=/nowhere"
    assert.equal(302, assert(fetch(self)).status) -- one without a Location ends it
    local chain = "/echo"
    for _ = 1, 6 do
      chain = "/to?s=302&to=" .. chain
    end
    local _, message, code = fetch(s.url .. chain)
    assert.equal("invalid", code)
    assert.matches("more than 5 redirects", message, 1, true)
    assert.equal(6, assert(fetch(s.url .. chain, { redirects = 6 })).redirects)
  end)

  it("is an answer like others when none are to be followed", function()
    local r = assert(fetch(to("/echo"), { redirects = 0 }))
    assert.equal(302, r.status)
    assert.equal("moved\n", r.body)
    assert.equal(0, r.redirects)
  end)

  it("with an endless body is followed all the same", function()
    assert.matches("^GET /echo\n", assert(fetch(s.url .. "/for_ever")).body)
  end)

  it("keeps the connection", function()
    local first = assert(http.fetch(loop, { url = s.url .. "/connection" })).body
    assert.equal(first, assert(http.fetch(loop, { url = s.url .. "/to_connection" })).body)
  end)

  it("keeps HEAD a HEAD", function()
    local r = assert(fetch(to("/big"), { method = "HEAD" }))
    assert.equal(206, r.status)
    assert.equal("", r.body)
  end)

  describe("of a request with a body", function()
    local function put(url, more)
      more = more or {}
      more.method = more.method or "PUT"
      more.body = more.body or "payload"
      more.headers = { ["Content-Type"] = "text/x", ["X-Secret"] = "canary" }
      return fetch(url, more)
    end

    it("is followed only when asked for", function()
      assert.equal(307, assert(put(to("/echo", 307))).status)
    end)

    it("sends it again to the same origin", function()
      for _, status in ipairs { 307, 308 } do
        local r = assert(put(to("/echo", status), { redirects = 1 }))
        assert.equal("PUT /echo\nauthorization: Bearer canary\nx-secret: canary\ncontent-type: text/x\n"
          .. "content-length: 7\nuser-agent: epoch\npayload", (r.body:gsub("accept: [^\n]*\n", "")))
        assert.equal(1, r.redirects)
      end
    end)

    it("sends it to another one without what is private", function()
      local r = assert(put(to(s.other_url .. "/echo", 307), { redirects = 1 }))
      assert.equal("PUT /echo\ncontent-type: text/x\ncontent-length: 7\nuser-agent: epoch\npayload",
        (r.body:gsub("accept: [^\n]*\n", "")))
    end)

    it("is not followed when it would change the method", function()
      for _, status in ipairs { 301, 302, 303 } do
        assert.equal(status, assert(put(to("/echo", status), { redirects = 1, method = "POST" })).status)
      end
    end)

    it("is refused when the body is gone", function()
      local source, sink = core.pipe()
      assert(sink:write("x"))
      sink:finish()
      sink:close()
      local _, message, code = put(to("/echo", 307), { redirects = 1, body = source })
      assert.equal("unsupported", code)
      assert.matches("again", message)
    end)
  end)
end)
