local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"
local work = require "spec.support.work"

local MIB = 1024 * 1024

-- How the body came, how long it was, and what its MD5 is.
local RECEIVE = [[
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if not body and ngx.req.get_body_file() then
    local f = io.open(ngx.req.get_body_file(), "rb")
    body = f:read("*a")
    f:close()
  end
  body = body or ""
  local h = ngx.req.get_headers()
  ngx.say(ngx.req.get_method(), " ", h.content_length or "-", " ", h.transfer_encoding or "-", " ", #body, " ",
    ngx.md5(body))
]]

local function md5(bytes)
  local text
  work.in_directory(function(dir)
    work.write_file(dir .. "/x", bytes)
    local p = io.popen("md5sum < " .. dir .. "/x")
    text = p:read("*a"):match("^%x+")
    p:close()
  end)
  return text
end

-- From the system: a generator in Lua takes minutes under the hostile collector.
local function random(n)
  local f = assert(io.open("/dev/urandom", "rb"))
  local bytes = f:read(n)
  f:close()
  return bytes
end

describe("a request with a body", function()
  local s, loop
  local large = random(3 * MIB + 17)

  setup(function()
    s = server.start {
      tls = true,
      http2 = true,
      locations = {
        ["= /receive"] = server.lua(RECEIVE),
        ["= /small"] = "client_max_body_size 1k;\n" .. server.lua(RECEIVE),
        ["= /no"] = server.lua "ngx.status = 413 ngx.say('too large for me') return ngx.exit(413)",
        ["= /stop"] = server.raw [[
          sock:send("HTTP/1.1 100 Continue\r\n\r\n")
          ngx.sleep(0.2)
          sock:send("HTTP/1.1 413 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop")
        ]],
        ["= /hang_up"] = server.raw [[
          sock:send("HTTP/1.1 100 Continue\r\n\r\n")
          sock:receive(1000)
        ]],
        ["= /deaf"] = server.raw [[ sock:send("HTTP/1.1 100 Continue\r\n\r\n") ngx.sleep(20) ]],
        ["= /expectation"] = server.lua([[
          if ngx.req.get_headers().expect then
            local sock = ngx.req.socket(true)
            sock:send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 3\r\n\r\nno\n")
            return
          end
        ]] .. RECEIVE),
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

  local function line(method, length, encoding, bytes)
    return ("%s %s %s %d %s\n"):format(method, length, encoding, #bytes, md5(bytes))
  end

  it("sends a string with every method that has one", function()
    for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE" } do
      local r = assert(http.fetch(loop, { method = method, url = s.url .. "/receive", body = "some\0bytes" }))
      assert.equal(line(method, "10", "-", "some\0bytes"), r.body)
      assert.equal(10, r.sent)
    end
  end)

  it("says that there is nothing when there is nothing", function()
    for _, method in ipairs { "POST", "PUT", "PATCH" } do
      assert.equal(line(method, "0", "-", ""),
        assert(http.fetch(loop, { method = method, url = s.url .. "/receive" })).body)
      assert.equal(line(method, "0", "-", ""),
        assert(http.fetch(loop, { method = method, url = s.url .. "/receive", body = "" })).body)
    end
    assert.equal(line("DELETE", "-", "-", ""),
      assert(http.fetch(loop, { method = "DELETE", url = s.url .. "/receive" })).body)
  end)

  it("sends a file with its length, over HTTP/1.1 and HTTP/2", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/body", large)
      for _, url in ipairs { s.url, s.tls_url } do
        local r = assert(http.fetch(loop, {
          method = "PUT", url = url .. "/receive", ca_file = s.ca, body = core.file(dir .. "/body"),
        }))
        assert.equal(line("PUT", ("%d"):format(#large), "-", large), r.body)
        assert.equal(#large, r.sent)
      end
    end)
  end)

  it("sends a pipe in chunks, waiting for what comes late", function()
    for _, url in ipairs { s.url, s.tls_url } do
      local source, sink = core.pipe()
      local req = assert(loop:request { method = "POST", url = url .. "/receive", ca_file = s.ca, body = source })
      http.step(loop, 0.1)
      assert.equal(6, sink:write("first "))
      http.step(loop, 0.1)
      local feed = loop:flow { source = core.bytes(large), sink = sink }
      assert(http.await(loop, feed, "result"))
      feed:close()
      local response = assert(http.await(loop, req, "response"))
      local body = assert(work.read_all(loop, req:body()))
      assert.equal(line("POST", "-", response.http_version == "1.1" and "chunked" or "-", "first " .. large), body)
      req:close()
    end
  end)

  it("closes the body when it is over, and leaves it alone when it did not start", function()
    local source = core.bytes("x")
    assert.is_nil((loop:request { method = "PUT", url = "nonsense", body = source }))
    assert.equal("x", source:read(1))
    assert(http.fetch(loop, { method = "PUT", url = s.url .. "/receive", body = source }))
    assert.equal("invalid", select(3, source:read(1)))
  end)

  it("sends all of a body that had been read before", function()
    local source = core.bytes("again")
    assert.equal("again", source:read(10))
    local r = assert(http.fetch(loop, { method = "PUT", url = s.url .. "/receive", body = source }))
    assert.equal(line("PUT", "5", "-", "again"), r.body)
  end)

  it("passes on the body of another answer", function()
    local from = assert(loop:request { method = "PUT", url = s.tls_url .. "/receive", ca_file = s.ca, body = "x" })
    local r = assert(http.fetch(loop, { method = "POST", url = s.url .. "/receive", body = from:body() }))
    assert.equal(line("POST", "-", "chunked", line("PUT", "1", "-", "x")), r.body)
    from:close()
  end)

  it("gets the answer of a server that refuses it by its length", function()
    for _, size in ipairs { 2000, 900000, 3 * MIB } do
      local r = assert(http.fetch(loop, { method = "PUT", url = s.url .. "/small", body = ("x"):rep(size) }))
      assert.equal(413, r.status)
    end
  end)

  it("gets the answer of a server that does not read it", function()
    for _, url in ipairs { s.url, s.tls_url } do
      local r = assert(http.fetch(loop, { method = "PUT", url = url .. "/no", ca_file = s.ca, body = large }))
      assert.equal(413, r.status)
      assert.equal("too large for me\n", r.body)
    end
  end)

  it("gets an early answer while its body has nothing to give", function()
    local source, sink = core.pipe()
    assert(sink:write("a little"))
    local r = assert(http.fetch(loop, { method = "PATCH", url = s.url .. "/stop", body = source }))
    assert.equal(413, r.status)
    assert.equal("stop", r.body)
    sink:close()
  end)

  it("is sent without an expectation that was refused", function()
    local r = assert(http.fetch(loop, { method = "PUT", url = s.url .. "/expectation", body = large }))
    assert.equal(200, r.status)
    assert.equal(line("PUT", ("%d"):format(#large), "-", large), r.body)
  end)

  it("fails when the server hangs up, and nobody is killed by a signal", function()
    for _, url in ipairs { s.url, s.tls_url } do
      for _ = 1, 5 do
        local r, message, code = http.fetch(loop, {
          method = "PUT", url = url .. "/hang_up", ca_file = s.ca, body = large, http_version = "1.1",
        })
        assert.is_nil(r)
        assert.equal("unavailable", code, message)
      end
    end
  end)

  it("fails when its body breaks", function()
    work.in_directory(function(dir)
      local path = dir .. "/body"
      work.write_file(path, large)
      local source = core.file(path)
      work.write_file(path, "cut")
      local r, message, code = http.fetch(loop, { method = "PUT", url = s.url .. "/receive", body = source })
      assert.is_nil(r)
      assert.equal("truncated", code, message)
      assert.matches("/receive", message, 1, true)
    end)
  end)

  it("fails when the server stops taking it", function()
    local _, message, code = http.fetch(loop, {
      method = "PUT", url = s.url .. "/deaf", body = ("x"):rep(32 * MIB), low_speed_time = 0.5,
    })
    assert.equal("timeout", code)
    assert.matches("stalled", message)
  end)

  it("may have a body that is slow to come", function()
    local source, sink = core.pipe()
    local req = assert(loop:request {
      method = "PUT", url = s.url .. "/receive", body = source, low_speed_time = 0.3, header_timeout = 0.3,
    })
    for _ = 1, 4 do
      http.step(loop, 0.2)
      assert(sink:write("x"))
    end
    sink:finish()
    sink:close()
    assert(http.await(loop, req, "response"))
    assert.equal(line("PUT", "-", "chunked", "xxxx"), work.read_all(loop, req:body()))
    req:close()
  end)

  describe("closed", function()
    it("while its body has nothing to give", function()
      local source, sink = core.pipe()
      local req = assert(loop:request { method = "PUT", url = s.url .. "/receive", body = source })
      http.step(loop, 0.1)
      req:close()
      assert.equal("io", select(3, sink:write("x")))
      sink:close()
    end)

    it("while it is sent", function()
      local req = assert(loop:request { method = "PUT", url = s.url .. "/deaf", body = ("x"):rep(16 * MIB) })
      http.step(loop, 0.3)
      assert.is_true(req:sent() > 0)
      req:close()
    end)
  end)
end)
