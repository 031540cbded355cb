--- examples/openresty/nginx.conf is what `epoch serve` runs, for people: it serves, and its directives
-- are the same.
local conf = require "epoch.gateway.conf"
local core = require "epoch.core"
local example = require "spec.support.gateway_example"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local origin = require "epoch.gateway.conf.origin"
local work = require "spec.support.work"

-- Directives in order, a line each, without comments and with single spaces.
local function directives(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    line = line:gsub("%f[#]#.*$", ""):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""):gsub('"', "")
    if line ~= "" then
      lines[#lines + 1] = line
    end
  end
  return lines
end

local function without(lines, names)
  local left = {}
  for _, line in ipairs(lines) do
    if not names[line:match("^[%w_]+")] then
      left[#left + 1] = line
    end
  end
  table.sort(left)
  return left
end

-- What is for the machine and not for the gateway.
local OWN = {
  load_module = true, user = true, env = true, daemon = true, pid = true, lock_file = true, worker_processes = true,
  worker_rlimit_nofile = true, events = true, lua_package_path = true, lua_package_cpath = true,
  proxy_temp_path = true, fastcgi_temp_path = true, uwsgi_temp_path = true, scgi_temp_path = true,
}

describe("examples/openresty/nginx.conf", function()
  it("says what epoch serve says", function()
    local served = assert(conf.text {
      modules = {}, workers = 2, files = 4096, directory = "/run/epoch", body_directory = "/srv/vms/.spool",
      level = "warn", environment = {}, lua_path = "/lua/?.lua", lua_cpath = "/lib/?.so",
      setup = { gateway = { store = "file:///srv/vms" } }, listen = "127.0.0.1:8080", store = "/srv/vms",
      resolvers = {}, shutdown = 60,
    })
    -- settings are laid out differently
    local function cut(text)
      return (text:gsub("set $epoch_inside \"\";", ""):gsub("init_by_lua_block (%b{})", function(block)
        assert(block:find('require%("epoch.gateway"%).setup %b{}'), block)
        assert(block:find('store"?%]? = "file:///srv/vms"'), block)
        return ""
      end))
    end
    local shown = assert(work.read_file("examples/openresty/nginx.conf"))
    assert.same(without(directives(cut(served)), OWN), without(directives(cut(shown)), OWN))
  end)

  it("says of a bucket what epoch serve says", function()
    local at = { scheme = "https", host = "s3.example", ca = "/etc/ssl/certs/ca-certificates.crt" }
    local served = origin.location(at, function(value) return value end)
    assert.same(directives(served), directives(assert(work.read_file("examples/openresty/s3.conf"))))
    local upstream = table.concat(directives(origin.upstream(at)), " ")
    assert(work.read_file("examples/openresty/nginx.conf"):find("# " .. upstream, 1, true), upstream)
  end)

  local missing = gateway.missing()
  if missing then
    pending(missing)
    return
  end

  it("is good with the lines for a bucket, too", function()
    work.in_directory(function(dir)
      local shown = example.text({ dir = dir, root = dir, port = 8080 }, 1)
      shown = shown:gsub("# (upstream epoch_origin { server )s3%.example", "%1127.0.0.1")
      shown = shown:gsub("# include /etc/epoch/", function()
        return "include " .. work.here() .. "/examples/openresty/"
      end)
      assert(shown:find("\n *upstream") and shown:find("\n *include"), shown)
      work.write_file(dir .. "/nginx.conf", shown)
      local p = assert(io.popen(("PATH=$PATH:/usr/sbin nginx -t -c '%s/nginx.conf' 2>&1"):format(dir)))
      local said = p:read("*a")
      p:close()
      assert(said:find("test is successful", 1, true), said)
    end)
  end)

  it("serves as it stands, with the paths of this machine", function()
    local g = gateway.start { example = true, workers = 2 }
    local bytes = "bytes of a blob"
    local digest = core.digest(bytes)
    assert(core.mkdir(g.root .. "/blobs/sha256"))
    work.write_file(g.root .. "/blobs/sha256/" .. digest:match("%x+$"), bytes)
    local answer = g:get("/v2/any/blobs/" .. digest)
    g:signal("QUIT")
    local code, log = g:wait(), g:log()
    g:stop()
    assert.same({ 200, bytes }, { answer.status, answer.body })
    assert.same({ 0, "" }, { code, log })
  end)

  it("stores nothing that everybody may change, though nginx as a daemon has no umask", function()
    local token = "spec-token-0123456789"
    local g = gateway.start { example = true, umask = "000", env = { EPOCH_REGISTRY_TOKEN = token } }
    local done, why = pcall(function()
      local function put(path, bytes)
        local answer
        work.with_loop({ threads = 0 }, function(loop)
          answer = assert(http.fetch(loop, {
            method = "PUT", url = g.url .. path, body = bytes, proxy = "", authorization = "Bearer " .. token,
          }))
        end)
        assert.equal(201, answer.status, answer.body)
      end
      local manifest = ([[{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",]]
        .. [["config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":2},"layers":[]}]])
        :format(core.digest("{}"))
      put("/v2/a/b/blobs/" .. core.digest("{}"), "{}")
      put("/v2/a/b/manifests/v1", manifest)
      local pipe = assert(io.popen(("find '%s' -mindepth 1 -perm /022"):format(g.root)))
      local open = pipe:read("*a")
      pipe:close()
      assert.equal("", open)
    end)
    g:stop()
    assert(done, why)
  end)
end)
