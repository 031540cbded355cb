-- What the gateway counts, and what it says of itself; also where its store does not answer.
local asking = require "spec.support.asking"
local children = require "spec.support.children"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local homes = require "epoch.home"
local radosgw = require "spec.support.radosgw"
local scopes = require "epoch.gateway.access.scopes"
local server = require "spec.support.server"
local store = require "spec.support.store"
local tasks = require "epoch.task"
local token_file = require "epoch.gateway.access.token_file"
local tokens = require "epoch.gateway.access.tokens"
local work = require "spec.support.work"

if gateway.missing("lua5.4") then
  pending("the metrics of the gateway: " .. gateway.missing("lua5.4"))
  return
end

local ask = asking.ask

-- The series of /metrics: value by name with labels; lines that are none are an error.
local function metrics(g, given)
  local answer = ask(g, "/metrics", given)
  assert.equal(200, answer.status)
  assert.equal("text/plain; version=0.0.4", answer.headers["content-type"])
  local series, kinds = {}, {}
  for line in answer.body:gmatch("([^\n]*)\n") do
    local metric, kind = line:match("^# TYPE (%S+) (%S+)$")
    local name, value = line:match('^([%a_]+{?[%w_="+.,%-]*}?) ([%d.e+-]+)$')
    if kind then
      assert.is_nil(kinds[metric])
      kinds[metric] = kind
    elseif not line:find("^# HELP %S+ .+%.$") then
      assert(name, line)
      assert.is_nil(series[name])
      series[name] = tonumber(value)
      local family = name:match("^[%a_]+")
      assert(kinds[family] or kinds[family:gsub("_%a+$", "")], line)
    end
  end
  return series
end

describe("metrics", function()
  it("count requests of all workers, by action and status", function()
    local g = gateway.start { workers = 2, options = { anonymous_push = true },
                              env = { EPOCH_REGISTRY_TOKEN = "configured-canary-07bd" } }
    local bytes
    store.with_task(function(task)
      local home = assert(homes.open(task, g.store))
      bytes = store.put_artifact(home, "a", "v1", { ("x"):rep(5000) })
      home:close()
    end)
    for _ = 1, 20 do
      ask(g, "/v2/a/manifests/v1")
    end
    ask(g, "/v2/a/manifests/none")
    ask(g, "/nothing")
    ask(g, "/v2/a/blobs/" .. core.digest(("x"):rep(5000)))
    ask(g, "/v2/a/manifests/v2", { method = "PUT", body = bytes,
      headers = { ["Content-Type"] = "application/vnd.oci.image.manifest.v1+json" } })
    ask(g, "/v2/a/manifests/v2", { method = "DELETE", password = "wrong" })
    local got
    assert(children.eventually(function()
      got = metrics(g)
      return got['epoch_requests_total{action="manifest_delete",status="401"}'] == 1
        and got['epoch_requests_total{action="manifest_get",status="200"}'] == 20
        and got['epoch_requests_total{action="blob_get",status="200"}'] == 1
        and got['epoch_requests_total{action="none",status="404"}'] == 1
        and got['epoch_requests_total{action="manifest_put",status="201"}'] == 1
        and got['epoch_events_total{event="write"}'] == 1
    end, 10))
    assert.equal(1, got['epoch_requests_total{action="manifest_get",status="404"}'])
    assert.equal(1, got['epoch_events_total{event="refused",reason="credentials"}'])
    assert.equal(21, got['epoch_request_duration_seconds_count{action="manifest_get"}'])
    assert.equal(21, got['epoch_request_duration_seconds_bucket{action="manifest_get",le="+Inf"}'])
    assert.is_true(got["epoch_response_bytes_total"] > 20 * #bytes + 5000)
    assert.is_true(got["epoch_request_bytes_total"] > #bytes)
    assert.is_true(got["epoch_requests_in_flight"] >= 1) -- this one
    assert.equal(0, got["epoch_uploads_in_flight"])
    assert.equal(0, got['epoch_thread_calls{pool="store",state="waiting"}'])
    assert.equal(0, got['epoch_thread_calls{pool="bytes",state="busy"}'])
    local before = 0
    for _, bound in ipairs { "0.005", "0.01", "0.1", "1", "10", "300" } do
      local n = got[('epoch_request_duration_seconds_bucket{action="manifest_get",le="%s"}'):format(bound)]
      assert.is_true(n >= before)
      before = n
    end
    g:stop()
  end)

  it("are for this machine and for tokens, unless they are open", function()
    local env = { EPOCH_REGISTRY_TOKEN = "configured-canary-11d0" }
    local far = { ["X-Forwarded-For"] = "192.0.2.1" }
    local g = gateway.start { env = env, options = { trusted_proxies = { "127.0.0.1" }, anonymous_pull = false } }
    assert.equal(200, ask(g, "/metrics").status)
    local answer = ask(g, "/metrics", { headers = far })
    assert.equal(401, answer.status)
    assert.matches("^Basic ", answer.headers["www-authenticate"])
    assert.equal(200, ask(g, "/metrics", { headers = far, password = env.EPOCH_REGISTRY_TOKEN }).status)
    for _, path in ipairs { "/healthz", "/readyz" } do
      assert.equal(200, ask(g, path, { headers = far }).status)
    end
    g:stop()
    g = gateway.start { env = env } -- somebody sends it on, whom nobody trusts
    assert.equal(200, ask(g, "/metrics").status)
    assert.equal(401, ask(g, "/metrics", { headers = far }).status)
    g:stop()
    g = gateway.start { env = env, options = { metrics = "open" } }
    assert.equal(200, ask(g, "/metrics", { headers = far }).status)
    g:stop()
  end)
end)

describe("the gateway says of itself", function()
  it("that it lives, and whether its store does", function()
    local g = gateway.start {}
    for _, path in ipairs { "/healthz", "/readyz" } do
      local answer = ask(g, path)
      assert.same({ 200, "ok\n" }, { answer.status, answer.body })
      assert.same({ 200, "" }, { ask(g, path, { method = "HEAD" }).status, ask(g, path, { method = "HEAD" }).body })
    end
    assert(os.rename(g.root, g.root .. ".gone"))
    assert(children.eventually(function() return ask(g, "/readyz").status == 503 end, 10))
    assert.is_nil(ask(g, "/readyz").body:find(g.root, 1, true))
    assert.equal(200, ask(g, "/healthz").status)
    assert(os.rename(g.root .. ".gone", g.root))
    assert(children.eventually(function() return ask(g, "/readyz").status == 200 end, 10))
    g:stop()
  end)
end)

local KEYS = { EPOCH_S3_ACCESS_KEY = "KEY", EPOCH_S3_SECRET_KEY = "canary-secret-0f31" }

describe("a bucket that does not answer", function()
  it("holds up nobody who asks for something else, and lets nobody in", function()
    local silent = server.start { locations = { ["/"] = server.lua "ngx.sleep(60)" } }
    local env = { EPOCH_S3_ENDPOINT = silent.url, EPOCH_REGISTRY_TOKEN = "configured-canary-90aa" }
    for name, value in pairs(KEYS) do
      env[name] = value
    end
    local g = gateway.start { store = "s3://bucket/prefix", env = env }
    local began = core.now()
    assert.equal(200, ask(g, "/healthz").status)
    assert.equal(200, ask(g, "/v2/", { password = env.EPOCH_REGISTRY_TOKEN }).status)
    assert.equal(401, ask(g, "/v2/").status)
    assert.is_true(core.now() - began < 1)
    assert.equal(503, ask(g, "/v2/", { password = "unknown" }).status) -- nobody can say
    assert.is_true(core.now() - began < 5)
    assert.equal(503, ask(g, "/readyz").status)
    assert.is_true(core.now() - began < 10)
    g:stop()
    silent:stop()
  end)
end)

-- A bucket with a file of tokens, which answers until there is a file `stalled`.
local BUCKET = [[
  local stalled = io.open(%q)
  if stalled then
    stalled:close()
    ngx.sleep(60)
  elseif not ngx.var.uri:find("/access/tokens.json", 1, true) then
    return ngx.exit(404)
  end
  ngx.header["ETag"], ngx.header["Last-Modified"] = '"1"', "Sun, 06 Nov 1994 08:49:37 GMT"
  ngx.header["Content-Length"] = %d
  if ngx.req.get_method() == "GET" then
    ngx.print(%q)
  end
]]

describe("a bucket that stalls", function()
  it("is believed for a while, and waited for by one request only", function()
    work.in_directory(function(dir)
      local shown = "epoch_spec-canary-6b1d"
      local bytes = assert(token_file.encode { {
        name = "ci", hash = core.digest(shown), created = os.time(), rights = { assert(scopes.parse("pull:*")) },
      } })
      local s3 = server.start { locations = { ["/"] = server.lua(BUCKET:format(dir .. "/stalled", #bytes, bytes)) } }
      local env = { EPOCH_S3_ENDPOINT = s3.url }
      for name, value in pairs(KEYS) do
        env[name] = value
      end
      local g = gateway.start { store = "s3://bucket/x", env = env, workers = 2 }
      assert.equal(200, ask(g, "/v2/", { token = shown }).status)
      assert.equal(401, ask(g, "/v2/", { token = "wrong" }).status)
      work.write_file(dir .. "/stalled", "")
      local slow, ends = 0, core.now() + 8
      while core.now() < ends do
        local began = core.now()
        assert.equal(200, ask(g, "/v2/", { token = shown }).status)
        local took = core.now() - began
        assert(took < 4, took)
        slow = slow + (took > 1 and 1 or 0)
        server.sleep(0.05)
      end
      assert(slow <= 2, slow)
      os.remove(dir .. "/stalled")
      g:stop()
      s3:stop()
    end)
  end)
end)

local missing = radosgw.missing()

describe("tokens in a bucket", function()
  local check = missing and pending or it

  check("are known to every gateway within seconds", function()
    local s3 = radosgw.start()
    local bucket = s3:bucket()
    local options = s3:options {}
    local env = { EPOCH_S3_ENDPOINT = s3.url, EPOCH_S3_ACCESS_KEY = options.access_key,
                  EPOCH_S3_SECRET_KEY = options.secret_key, EPOCH_REGISTRY_TOKEN = "configured-canary-33e1" }
    local task = assert(tasks.new { threads = 0 })
    local home = assert(homes.open(task, "s3://" .. bucket .. "/x", options))
    local name = "s3://" .. bucket .. "/x"
    local one = gateway.start { store = name, env = env, workers = 2, options = { anonymous_pull = false } }
    local two = gateway.start { store = name, env = env, options = { anonymous_pull = false } }
    local shown = assert(tokens.create(home, { name = "ci", scopes = { "pull:*" } }))
    for _, g in ipairs { one, two } do
      assert(children.eventually(function() return ask(g, "/v2/", { token = shown }).status == 200 end, 10))
      assert.equal(200, ask(g, "/readyz").status)
    end
    local short = ask(one, "/v2/token?scope=registry:catalog:*", { password = shown }):json().token
    for _ = 1, 5 do -- any worker
      assert.equal(200, ask(one, "/v2/_catalog", { token = short }).status)
    end
    assert.equal(200, ask(two, "/v2/_catalog", { token = short }).status)
    assert(tokens.remove(home, "ci"))
    for _, g in ipairs { one, two } do
      assert(children.eventually(function() return ask(g, "/v2/", { token = shown }).status ~= 200 end, 10))
      assert(children.eventually(function() return ask(g, "/v2/_catalog", { token = short }).status ~= 200 end, 10))
    end
    -- who writes is written down, whichever way the bytes go
    local digest = core.digest("bytes for a bucket")
    assert.equal(201, ask(one, "/v2/a/blobs/uploads/?digest=" .. digest, { method = "POST", body = "bytes for a bucket",
      token = env.EPOCH_REGISTRY_TOKEN, headers = { ["Content-Type"] = "application/octet-stream" } }).status)
    assert(children.eventually(function()
      local line = one:log():match('{"time":[^\n]*"action":"upload_start"[^\n]*}')
      return line and line:find('"event":"write","who":"configured"', 1, true)
        and line:find(('"digest":"%s","status":201,"bytes":18,'):format(digest), 1, true)
    end, 5))
    -- what is damaged lets nobody in
    shown = assert(tokens.create(home, { name = "ci", scopes = { "pull:*" } }))
    assert(children.eventually(function() return ask(one, "/v2/", { token = shown }).status == 200 end, 10))
    assert(home.store:put(tokens.KEY, 2, "{}"))
    assert(children.eventually(function() return ask(one, "/v2/", { token = shown }).status == 503 end, 10))
    for _, g in ipairs { one, two } do
      assert.is_nil(g:log():find(shown, 1, true))
      g:stop()
    end
    home:close()
    task:close()
    s3:stop()
  end)
end)
