local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"

describe("TLS", function()
  local s, loop, stalling

  setup(function()
    local port = server.free_ports(1)[1]
    stalling = ("https://127.0.0.1:%d"):format(port)
    s = server.start {
      files = { ["small"] = "hello" },
      tls = true,
      http2 = true,
      locations = { ["= /close"] = server.raw [[ sock:send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") ]] },
      http = ([[
        server {
          listen 127.0.0.1:%d ssl;
          ssl_certificate ${dir}/server.pem;
          ssl_certificate_key ${dir}/server.key;
          ssl_certificate_by_lua_block { ngx.sleep(20) }
        }
      ]]):format(port),
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

  local function refused(opts, want)
    local r, message, code = http.fetch(loop, opts)
    assert.is_nil(r)
    assert.equal(want, code, message)
    return message
  end

  it("trusts the roots it was given", function()
    assert.equal("hello", assert(http.fetch(loop, { url = s.tls_url .. "/small", ca_file = s.ca })).body)
  end)

  it("does not trust others, and does not fall back to plain text", function()
    local before = s:access_log()
    assert.matches("certificate", refused({ url = s.tls_url .. "/small" }, "tls"))
    assert.equal(before, s:access_log())
  end)

  it("does not use a connection that was made with other roots", function()
    assert(http.fetch(loop, { url = s.tls_url .. "/small", ca_file = s.ca }))
    refused({ url = s.tls_url .. "/small" }, "tls")
  end)

  it("wants the certificate to be the host's", function()
    assert.matches("localhost", refused({ url = s.stranger_url .. "/small", ca_file = s.ca }, "tls"))
  end)

  it("shows a client certificate that it was given", function()
    local opts = { url = s.client_url .. "/small", ca_file = s.ca }
    assert.equal(400, assert(http.fetch(loop, opts)).status) -- nginx says so inside HTTP
    opts.client_cert, opts.client_key = s.certs.client, s.certs.client_key
    assert.equal("hello", assert(http.fetch(loop, opts)).body)
  end)

  it("says which file of ours is of no use", function()
    local url = s.tls_url .. "/small"
    refused({ url = url, ca_file = s.dir .. "/nothing.pem" }, "tls")
    refused({ url = url, ca_file = s.dir .. "/nginx.conf" }, "tls")
    refused({ url = url, ca_file = s.ca, client_cert = s.dir .. "/nothing.pem" }, "tls")
  end)

  it("is not spoken by a server without it", function()
    refused({ url = s.url:gsub("^http:", "https:") .. "/small", ca_file = s.ca }, "tls")
  end)

  it("is waited for so long and no longer", function()
    local message = refused({ url = stalling .. "/", ca_file = s.ca, connect_timeout = 0.4 }, "timeout")
    assert.matches("127.0.0.1", message, 1, true)
  end)

  it("does not hide that a body broke off", function()
    refused({ url = s.tls_url .. "/close", ca_file = s.ca, http_version = "1.1" }, "truncated")
  end)
end)
