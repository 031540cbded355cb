--- The text of nginx.conf: what stands in it, and what cannot get out of its place.
local conf = require "epoch.gateway.conf"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local work = require "spec.support.work"

-- Values as `epoch serve` has them, with others laid over.
local function values(more)
  local all = {
    modules = {}, workers = 2, files = 1024, directory = "/run/private", body_directory = "/srv/vms/.spool",
    level = "warn", environment = { "EPOCH_S3_SECRET_KEY", "HOME" }, lua_path = "/lib/?.lua", lua_cpath = "/lib/?.so",
    setup = { gateway = { store = "file:///srv/vms" } }, listen = "127.0.0.1:8080", store = "/srv/vms",
    resolvers = {}, shutdown = 60,
  }
  for name, value in pairs(more or {}) do
    all[name] = value
  end
  return all
end

local function text(more)
  return assert(conf.text(values(more)))
end

local function has(line, in_text)
  assert(in_text:find(line, 1, true), ("no %s in\n%s"):format(line, in_text))
end

describe("the text of nginx.conf", function()
  it("has everything where the calling user may write", function()
    local all = text()
    for _, name in ipairs { "proxy", "fastcgi", "uwsgi", "scgi" } do
      has(('%s_temp_path "/run/private/%s";'):format(name, name), all)
    end
    has('client_body_temp_path "/srv/vms/.spool";', all)
    has('pid "/run/private/nginx.pid";', all)
    has('lock_file "/run/private/nginx.lock";', all)
    has("error_log stderr warn;", all)
    has("access_log off;", all)
    has("daemon off;", all)
    assert.is_nil(all:find("user ", 1, true))
    has("user root root;\n", text { root = true })
  end)

  it("limits what waits of a client where that is wished", function()
    has("listen 127.0.0.1:8080;", text())
    has("listen 127.0.0.1:8080 rcvbuf=4096;", text { receive_buffer = 4096 })
    has("listen 127.0.0.1:8080 ssl http2 rcvbuf=4096;",
      text { receive_buffer = 4096, tls = { certificate = "/c.pem", key = "/k.pem" } })
  end)

  it("names the variables that workers see, and no value", function()
    has("env EPOCH_S3_SECRET_KEY;\nenv HOME;\n", text())
  end)

  it("loads modules in their order", function()
    has('load_module "/m/ndk.so";\nload_module "/m/a \\"b\\".so";\n', text { modules = { "/m/ndk.so", '/m/a "b".so' } })
  end)

  it("speaks HTTP/2 with TLS, in the words of either age", function()
    local tls = { certificate = "/c.pem", key = "/k.pem" }
    has("listen 127.0.0.1:8080;", text())
    has('listen 127.0.0.1:8080 ssl http2;\n    ssl_certificate "/c.pem";\n    ssl_certificate_key "/k.pem";',
      text { tls = tls })
    tls.http2_directive = true
    local all = text { tls = tls }
    has("listen 127.0.0.1:8080 ssl;", all)
    has("http2 on;", all)
  end)

  it("resolves names only where it is told by whom", function()
    assert.is_nil(text():find("resolver", 1, true))
    has("resolver 10.0.0.1 [fe80::1];", text { resolvers = { "10.0.0.1", "[fe80::1]" } })
  end)

  it("serves files of a directory only", function()
    has('alias "/srv/vms/";', text())
    has('alias "/srv/vms/";', text { store = "/srv/vms///" })
    local bucket = values()
    bucket.store = nil
    assert.is_nil(conf.text(bucket):find("alias", 1, true))
  end)

  describe("refuses", function()
    local function refused(more, why)
      local got, err = conf.text(values(more))
      assert.is_nil(got)
      assert.equal("usage", err.kind)
      assert(tostring(err):find(why, 1, true), tostring(err))
    end

    it("control characters", function()
      refused({ store = "/srv/a\nb" }, "control character")
      refused({ directory = "/run/\0" }, "control character")
      refused({ body_directory = "/srv/\127" }, "control character")
      refused({ lua_path = "/lib\n/?.lua" }, "control character")
    end)

    it("paths that are not absolute", function()
      refused({ store = "srv" }, "absolute")
      refused({ tls = { certificate = "c", key = "/k" } }, "absolute")
    end)

    it("what would be a variable where it cannot be written otherwise", function()
      refused({ tls = { certificate = "/$host", key = "/k" } }, "variable")
      refused({ tls = { certificate = "/c", key = "/k${x}" } }, "variable")
      refused({ lua_cpath = "/a/$prefix/?.so" }, '"$"')
    end)
  end)
end)

-- What nginx itself makes of it.
describe("nginx with hostile names", function()
  local missing = gateway.missing()
  if missing then
    pending(missing)
    return
  end

  local NAMES = {
    "with spaces", 'with "quotes"', "with 'these'", "with;semicolons {and} braces", "with $host and ${epoch_dollar}",
    "with \\ and \\n", "with # hash", "umlaut ä", "]] .. error('x') --", "%d %s ?",
  }

  for _, name in ipairs(NAMES) do
    it("serves from a directory " .. name, function()
      work.in_directory(function(dir)
        local store = dir .. "/" .. name
        local bytes = "bytes of a blob"
        local digest = core.digest(bytes)
        assert(core.mkdir(store .. "/blobs/sha256"))
        work.write_file(store .. "/blobs/sha256/" .. digest:match("%x+$"), bytes)
        local g = gateway.start { store = "file://" .. store }
        local ok, err = pcall(function()
          local got = g:get("/v2/any/blobs/" .. digest)
          assert.equal(200, got.status)
          assert.equal(bytes, got.body)
        end)
        g:stop()
        assert(ok, err)
      end)
    end)
  end
end)
