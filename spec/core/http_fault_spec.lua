local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"

local MIB = 1024 * 1024

-- Answers that are sent as they stand, and then the connection ends.
local RAW = {
  ["/nothing"] = "",
  ["/half_a_line"] = "HTTP/1.1 200",
  ["/half_a_head"] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
  ["/head_without_end"] = "HTTP/1.1 200 OK\r\nX-A: b\r\n",
  ["/old"] = "hello",
  ["/no_number"] = "HTTP/1.1 OK\r\n\r\n",
  ["/short"] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
  ["/cut_chunk"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
  ["/cut_between"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
  ["/bad_chunk"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n",
  ["/to_the_end"] = "HTTP/1.1 200 OK\r\n\r\nuntil it ends",
  ["/http_1_0"] = "HTTP/1.0 200 OK\r\n\r\nold",
  ["/interim"] = "HTTP/1.1 103 Early Hints\r\nLink: early\r\n\r\n"
    .. "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: late\r\n\r\nok",
  ["/switch"] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nx",
  ["/trailer"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: yes\r\n\r\n",
  ["/empty_value"] = "HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Wide: \t a b \t\r\nContent-Length: 0\r\n\r\n",
  ["/folded"] = "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
  ["/no_colon"] = "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok",
  ["/space_in_name"] = "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
  ["/length_text"] = "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
  ["/length_negative"] = "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
  ["/length_huge"] = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
  ["/length_above"] = "HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\nok",
  ["/lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
  ["/same_lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
  ["/gzip"] = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
  ["/identity"] = "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
  ["/gzip_error"] = "HTTP/1.1 404 No\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
  ["/coded_transfer"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ["/many"] = "HTTP/1.1 200 OK\r\n" .. ("X-A: b\r\n"):rep(300) .. "Content-Length: 0\r\n\r\n",
  ["/enough"] = "HTTP/1.1 200 OK\r\n" .. ("X-A: b\r\n"):rep(200) .. "Content-Length: 0\r\n\r\n",
  ["/wide"] = "HTTP/1.1 200 OK\r\nX-A: " .. ("x"):rep(70000) .. "\r\nContent-Length: 0\r\n\r\n",
  ["/escape"] = "HTTP/1.1 500 \27]0;canary\7\r\nContent-Length: 0\r\n\r\n",
}

describe("a bad answer", function()
  local s, loop

  setup(function()
    s = server.start {
      files = { ["big"] = 64 * MIB },
      tls = true,
      http2 = true,
      answers = RAW,
      locations = {
        ["= /endless_headers"] = server.raw [[
          sock:send("HTTP/1.1 200 OK\r\n")
          while sock:send("X-A: b\r\n") do end
        ]],
        ["= /endless_line"] = server.raw [[
          sock:send("HTTP/1.1 200 OK\r\nX-A: ")
          while sock:send(("x"):rep(1000)) do end
        ]],
        ["= /endless_hints"] = server.raw [[
          while sock:send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") do end
        ]],
        ["= /endless_body"] = server.lua [[ while ngx.print(("x"):rep(10000)) and ngx.flush(true) do end ]],
        ["= /reset"] = "reset_timedout_connection on; return 444;",
        ["= /reset_late"] = "reset_timedout_connection on;\n" .. server.lua [[
          ngx.header["Content-Length"] = 100
          ngx.print("half")
          ngx.flush(true)
          ngx.sleep(0.1)
          return ngx.exit(444)
        ]],
        ["= /broken_stream"] = server.lua [[
          ngx.header["Content-Length"] = 100
          ngx.print("half")
          ngx.flush(true)
          return ngx.exit(444)
        ]],
        -- the end of chunks behind an answer to HEAD; then whatever comes next is answered
        ["= /stray"] = server.raw [[
          sock:send("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n")
          ngx.sleep(0.02)
          sock:send("0\r\n\r\n")
          repeat local line = sock:receive("*l") until not line or line == ""
          sock:send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nused")
        ]],
        ["= /silent"] = server.lua "ngx.sleep(20)",
        ["= /stalls"] = server.raw [[
          sock:send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
          ngx.sleep(20)
        ]],
        ["= /trickles"] = server.raw [[
          sock:send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
          while sock:send("x") do ngx.sleep(0.02) end
        ]],
        ["= /trickles_headers"] = server.raw [[
          sock:send("HTTP/1.1 200 OK\r\n")
          while sock:send("X: y\r\n") do ngx.sleep(0.1) end
        ]],
        ["= /steady"] = server.raw [[
          sock:send("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n")
          for _ = 1, 20 do sock:send(("x"):rep(1000)) ngx.sleep(0.05) end
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

  local function fetch(path, more, max)
    local opts = { url = s.url .. path, ca_file = s.ca }
    for key, value in pairs(more or {}) do
      opts[key] = value
    end
    return http.fetch(loop, opts, max)
  end

  local function fails(code, path, more, max)
    local r, message, got = fetch(path, more, max)
    assert.is_nil(r)
    assert.equal(code, got, message)
    return message
  end

  it("that never came is worth another try", function()
    for _, path in ipairs { "/nothing", "/half_a_line", "/reset" } do
      assert.matches("GET http://127.0.0.1:%d+" .. path .. ": ", fails("unavailable", path))
    end
    fails("unavailable", "/reset", { url = s.tls_url .. "/reset" })
  end)

  it("that is not HTTP is not", function()
    for _, path in ipairs { "/old", "/no_number", "/switch", "/folded", "/no_colon", "/space_in_name" } do
      fails("invalid", path)
    end
  end)

  it("that broke off is never taken for a whole one", function()
    for _, path in ipairs { "/short", "/cut_chunk", "/cut_between", "/half_a_head", "/head_without_end" } do
      fails("truncated", path)
    end
    fails("unavailable", "/reset_late")
    fails("invalid", "/bad_chunk")
    fails("truncated", "/broken_stream", { url = s.tls_url .. "/broken_stream" })
  end)

  it("gives what came before it broke off", function()
    local req = assert(loop:request { url = s.url .. "/short" })
    local body = req:body()
    assert.equal("half", http.await(loop, body, "read", 100))
    assert.equal("truncated", select(3, http.await(loop, body, "read", 100)))
    assert.equal(200, req:response().status)
    body:close()
    req:close()
  end)

  it("without a length ends with its connection", function()
    assert.equal("until it ends", assert(fetch("/to_the_end")).body)
    local r = assert(fetch("/http_1_0"))
    assert.equal("old", r.body)
    assert.equal("1.0", r.http_version)
  end)

  it("counts from its final head on, and up to its trailers", function()
    local r = assert(fetch("/interim"))
    assert.equal(200, r.status)
    assert.same({ { "content-length", "2" }, { "x", "late" } }, r.headers)
    r = assert(fetch("/trailer"))
    assert.equal("ok", r.body)
    assert.same({ { "transfer-encoding", "chunked" } }, r.headers)
  end)

  it("may have empty headers and blanks around values", function()
    assert.same({ { "x-empty", "" }, { "x-wide", "a b" }, { "content-length", "0" } },
      assert(fetch("/empty_value")).headers)
  end)

  it("with a length that is none is refused", function()
    for _, path in ipairs { "/length_text", "/length_negative", "/length_huge", "/length_above", "/lengths" } do
      fails("invalid", path)
    end
    assert.equal("ok", assert(fetch("/same_lengths")).body)
  end)

  it("in an encoding that was not asked for is refused", function()
    fails("unsupported", "/gzip")
    fails("unsupported", "/coded_transfer")
    assert.equal("ok", assert(fetch("/identity")).body)
    assert.equal("ok", assert(fetch("/gzip", { any_encoding = true })).body)
    assert.equal(404, assert(fetch("/gzip_error")).status)
  end)

  it("to HEAD with bytes behind it is not taken for the next one", function()
    assert.equal(404, assert(fetch("/stray", { method = "HEAD" })).status)
    http.step(loop, 0.1)
    assert.equal("until it ends", assert(fetch("/to_the_end")).body)
  end)

  it("with too much in its head is refused", function()
    for _, path in ipairs { "/many", "/wide", "/endless_headers", "/endless_line", "/endless_hints" } do
      fails("too_large", path)
    end
    assert.equal(201, #assert(fetch("/enough")).headers)
  end)

  it("that never ends stops at the caller's limit", function()
    local before = http.resident()
    fails("too_large", "/endless_body", nil, 100000)
    assert.is_true(http.resident() - before < 16 * MIB)
  end)

  it("does not get its words into messages", function()
    assert.equal(500, assert(fetch("/escape")).status)
  end)

  it("that does not come is waited for so long and no longer", function()
    assert.matches("no answer for 0.3 seconds", fails("timeout", "/silent", { header_timeout = 0.3 }), 1, true)
  end)

  it("that stalls or trickles is given up", function()
    for _, path in ipairs { "/stalls", "/trickles", "/trickles_headers" } do
      assert.matches("stalled", fails("timeout", path, { low_speed_time = 0.5 }))
    end
  end)

  it("that is slow but fast enough is taken", function()
    assert.equal(20000, #assert(fetch("/steady", { low_speed_time = 0.5 })).body)
    assert.equal(20000, #assert(fetch("/steady", { low_speed_time = 0.2, low_speed_limit = 0 })).body)
  end)

  it("waits while nobody reads it, within bounds, and has not stalled", function()
    for _, url in ipairs { s.url, s.tls_url } do
      local before = http.resident()
      local req = assert(loop:request {
        url = url .. "/big", ca_file = s.ca, low_speed_time = 0.3, header_timeout = 0.3,
      })
      assert(http.await(loop, req, "response"))
      http.step(loop, 1)
      assert.is_true(req:received() > 512 * 1024)
      assert.is_true(req:received() <= MIB)
      assert.is_true(http.resident() - before < 16 * MIB)
      local flow = loop:flow { source = req:body(), hash = "sha256" }
      assert.equal(s:digest("big"), assert(http.await(loop, flow, "result")).digest)
      flow:close()
      req:close()
    end
  end)

  it("is worth another try when there is no server or no such name", function()
    local port = server.free_ports(1)[1]
    local r, message, code = http.fetch(loop, { url = ("http://127.0.0.1:%d/x?key=canary"):format(port) })
    assert.is_nil(r)
    assert.equal("unavailable", code)
    assert.equal(("GET http://127.0.0.1:%d/x?...: could not connect to 127.0.0.1:%d: Connection refused")
      :format(port, port), message)
    r, message, code = http.fetch(loop, { url = "http://nobody.invalid/" })
    assert.is_nil(r)
    assert.equal("unavailable", code)
    assert.matches("nobody.invalid", message, 1, true)
  end)
end)
