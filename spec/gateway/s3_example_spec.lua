--- examples/openresty with the lines for a bucket serves one, with the paths and addresses of this machine.
local core = require "epoch.core"
local example = require "spec.support.gateway_example"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local work = require "spec.support.work"

local STORE = [[
  ngx.header["Content-Length"], ngx.header.ETag, ngx.header["Last-Modified"] = 4, '"x"', ngx.http_time(ngx.time())
  note("asked", ngx.var.uri .. " " .. (authorization():match("Credential=%w+") or "-"))
  ngx.print("good")
]]

-- What the comments say to do; s3.example is the store.
local function for_bucket(self, store)
  local host = store.tls_url:match("//(.*)$")
  local locations = assert(work.read_file("examples/openresty/s3.conf"))
    :gsub("proxy_ssl_name s3%.example", "proxy_ssl_name " .. host:match("^[^:]+"))
    :gsub("/etc/ssl/certs/ca%-certificates%.crt", function() return store.ca end)
  work.write_file(self.dir .. "/s3.conf", locations)
  return example.text(self, 1):gsub("# (upstream epoch_origin { server )s3%.example:443", "%1" .. host)
    :gsub("# include /etc/epoch/", "include " .. self.dir .. "/")
    :gsub('store = "[^"]*" }', ('store = "s3://vms/registry" }, s3 = { endpoint = %q }'):format(store.tls_url))
end

describe("examples/openresty, for a bucket", function()
  local missing = gateway.missing()
  if missing then
    it("serves", function() pending(missing) end)
    return
  end

  local function ask(loop, process, url)
    local answer
    assert(http.step(loop, 20, function()
      answer = http.fetch(loop, { url = url, proxy = "" })
      return answer ~= nil or process:wait() ~= nil
    end))
    return answer
  end

  it("serves", function()
    local store = script.start({}, { ["^~ /vms"] = server.lua(STORE) }, { tls = true })
    work.in_directory(function(dir)
      local self = { dir = dir, root = dir, port = server.free_ports(1)[1] }
      work.write_file(dir .. "/nginx.conf", (for_bucket(self, store)))
      work.write_file(dir .. "/config.lua", ("hosts = { [%q] = { ca_cert = %q, proxy = '' } }"):format(
        store.tls_url:match("//(.*)$"), store.ca))
      local digest = core.digest("good")
      work.with_loop(nil, function(loop)
        local process = assert(loop:spawn {
          argv = { assert(core.which("nginx", os.getenv("PATH") .. ":/usr/sbin")), "-c", dir .. "/nginx.conf",
                   "-e", "stderr" },
          env = { HOME = dir, EPOCH_CONFIG = dir .. "/config.lua", EPOCH_S3_ACCESS_KEY = "ACCESS",
                  EPOCH_S3_SECRET_KEY = "secret" },
          stdout = "null", stderr = false,
        })
        local answer = ask(loop, process, ("http://127.0.0.1:%d/v2/any/blobs/%s"):format(self.port, digest))
        process:kill("QUIT")
        local ended = assert(http.await(loop, process, "wait"))
        process:close()
        assert.equal("", ended.stderr)
        assert.same({ 200, "good" }, { answer.status, answer.body })
      end)
      local seen = script.seen(store, "asked")
      assert.equal(("/vms/registry/blobs/sha256/%s Credential=ACCESS"):format(digest:match("%x+$")), seen[#seen])
    end)
    store:stop()
  end)
end)
