--- A gateway on a bucket of a store that misbehaves on purpose: what clients see of it, and that nobody
-- else has to wait for it.
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local json = require "epoch.json"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local tasks = require "epoch.task"

local MIB = 1024 * 1024

-- What the store does is the first part of the digest that it is asked for, else what is set.
local STORE = [[
  local mode = ngx.var.uri:match("/sha256/(%l+)0") or ngx.shared.store:get("mode") or "absent"
  local headers = ngx.req.get_headers()
  count(mode)
  if ngx.var.uri:find("/sha256/") then
    note("asked", ngx.req.get_method() .. " " .. (headers.authorization and "signed" or "-") .. " "
      .. (headers["x-amz-content-sha256"] or "-"):sub(1, 8) .. " " .. (headers.cookie or "-"))
  end
  local function refuse(status, code)
    return answer(status, "<Error><Code>" .. code .. "</Code><Message>canary</Message></Error>", {
      ["Content-Type"] = "application/xml", ["x-amz-request-id"] = "canary", Location = "http://canary.invalid/",
      Server = "canary", ["WWW-Authenticate"] = "Basic realm=canary" })
  end
  local function head(size)
    ngx.header["Content-Length"] = size
    ngx.header.ETag, ngx.header["Last-Modified"] = '"canary"', ngx.http_time(ngx.time())
    ngx.header["x-amz-meta-canary"], ngx.header["X-Accel-Redirect"] = "canary", "/healthz"
    ngx.header["Set-Cookie"], ngx.header["Cache-Control"] = "canary=1", "public"
    ngx.header["Content-Type"], ngx.header["Content-Disposition"] = "text/html", "inline"
  end
  if mode == "fd" then                                -- well
    head(4) return ngx.print("good")
  elseif mode == "ca" then                            -- at 1 MB/s
    head(4 * 1024 * 1024)
    for i = 1, 64 do ngx.print(("x"):rep(65536)) ngx.flush(true) ngx.sleep(0.0625) end
    return
  elseif mode == "cb" then                            -- not at all, for long
    ngx.sleep(60) return ngx.exit(444)
  elseif mode == "cc" then                            -- half of it
    head(100000) ngx.print(("x"):rep(50000)) ngx.flush(true) return ngx.exit(444)
  elseif mode == "cd" then return ngx.exit(444)       -- no answer
  elseif mode == "ce" then return refuse(500, "InternalError")
  elseif mode == "cf" then return refuse(403, "AccessDenied")
  elseif mode == "da" then return refuse(307, "TemporaryRedirect")
  elseif mode == "db" then return refuse(503, "SlowDown")
  elseif mode == "dc" then return refuse(400, "InvalidRequest")
  elseif mode == "dd" then return refuse(416, "InvalidRange")
  elseif mode == "de" then return refuse(304, "NotModified")
  elseif mode == "df" then return refuse(401, "Unauthorized")
  elseif mode == "ea" then                            -- with a clock that is two hours ahead
    local now = ngx.time() + 7200
    local signed = headers["x-amz-date"]:sub(1, 13)
    if signed == os.date("!%Y%m%dT%H%M", now) or signed == os.date("!%Y%m%dT%H%M", now - 60) then
      head(4) return ngx.print("good")
    end
    ngx.header.Date = ngx.http_time(now)
    return refuse(403, "RequestTimeTooSkewed")
  elseif mode == "stall" then ngx.sleep(60) return ngx.exit(444)
  end
  return refuse(404, "NoSuchKey")
]]

-- A digest for what the store shall do.
local function digest_for(mode)
  return "sha256:" .. mode .. ("0"):rep(64 - #mode)
end

local missing = gateway.missing("luajit")
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("is not tried", function() pending(missing) end)
  end)
end or describe

describe_or_skip("a gateway on a bucket that misbehaves", function()
  local s, g, task

  local function start(endpoint)
    return gateway.start { store = "s3://bucket/p", options = { anonymous_push = true }, config = ([[
      s3 = { endpoint = %q, access_key = "ACCESS", secret_key = "secretcanary", prefix = "" } proxy = ""
      hosts = { [%q] = { ca_cert = %q } }
    ]]):format(endpoint, endpoint:match("//(.*)$"), s.ca) }
  end

  setup(function()
    s = script.start({}, { ["^~ /bucket"] = server.lua(STORE) }, { tls = true })
    g = start(s.url)
  end)

  teardown(function()
    if g then
      g:stop()
    end
    s:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
    script.set(s, "mode", "absent")
  end)

  after_each(function()
    task:close()
  end)

  local function request(path, more)
    local given = { url = g.url .. path, proxy = "", redirects = 0, header_timeout = 60 }
    for name, value in pairs(more or {}) do
      given[name] = value
    end
    return given
  end

  local function ask(path, more)
    local answer, message, code = http.fetch(task.loop, request(path, more), 8 * MIB)
    if not answer then
      return nil, message, code
    end
    answer.by = {}
    for _, header in ipairs(answer.headers) do
      answer.by[header[1]] = header[2]
    end
    return answer
  end

  local function blob(mode)
    return "/v2/a/b/blobs/" .. digest_for(mode)
  end

  it("passes on what is the blob's, and nothing else", function()
    for _, method in ipairs { "GET", "HEAD" } do
      local answer = assert(ask(blob "fd", { method = method, headers = { cookie = "a=b", ["if-match"] = "x" } }))
      assert.equal(200, answer.status)
      assert.equal(method == "GET" and "good" or "", answer.body)
      answer.by.date, answer.by.connection, answer.by["last-modified"], answer.by.server = nil, nil, nil, nil
      assert.same({
        ["accept-ranges"] = "bytes", ["content-length"] = "4", ["content-type"] = "application/octet-stream",
        ["docker-content-digest"] = digest_for "fd", etag = '"' .. digest_for "fd" .. '"',
      }, answer.by)
    end
    assert.same({ "GET signed e3b0c442 -", "HEAD signed e3b0c442 -" }, script.seen(s, "asked"))
  end)

  it("says what is wrong as a registry does, and no more", function()
    for mode, wanted in pairs {
      cd = 503, ce = 503, cf = 502, da = 502, db = 503, dc = 502, dd = 416, de = 502, df = 502, aa = 404,
    } do
      for _, method in ipairs { "GET", "HEAD" } do
        local answer = assert(ask(blob(mode), { method = method }))
        assert.same({ mode, wanted, "application/json" }, { mode, answer.status, answer.by["content-type"] })
        assert.equal(wanted == 503 and "5" or nil, answer.by["retry-after"])
        assert.is_nil(answer.body:find("canary", 1, true))
        if method == "GET" then
          assert.is_string(json.decode(answer.body).errors[1].code)
        end
        for name, value in pairs(answer.by) do
          assert.is_nil(value:find("canary", 1, true), name)
        end
      end
    end
    local log = g:log()
    assert.is_nil(log:find("canary", 1, true))
    assert.is_nil(log:find("Signature", 1, true))
    assert.matches("GET blobs/sha256/cf0+ from s3://bucket/p: it says 403; are the credentials", log)
    assert.matches("GET blobs/sha256/ce0+ from s3://bucket/p: it says 500", log)
    assert.matches("GET blobs/sha256/cd0+ from s3://bucket/p: it cannot be reached, or broke off", log)
  end)

  it("does not tell a client that the gateway is refused something", function()
    for mode, wanted in pairs { cf = 502, df = 502 } do
      script.set(s, "mode", mode)
      local answer = assert(ask("/v2/a/blobs/uploads/", { method = "POST" }))
      assert.same({ mode, wanted }, { mode, answer.status })
      assert.is_nil(answer.by["www-authenticate"])
      assert.is_nil(answer.body:find("bucket", 1, true))
    end
  end)

  it("speaks TLS with it, and only with it", function()
    for endpoint, wanted in pairs { [s.tls_url] = 200, [s.stranger_url] = 503 } do
      local other = start(endpoint)
      local answer = assert(ask(blob "fd", { url = other.url .. blob "fd" }))
      local log = other:log()
      other:stop()
      assert.equal(wanted, answer.status, log)
      assert.equal(wanted == 503, log:find("upstream SSL certificate does not match", 1, true) ~= nil)
    end
  end)

  it("is asked with its own time where the clocks are apart", function()
    local other = start(s.url)
    local statuses = {}
    for i = 1, 3 do
      statuses[i] = assert(ask(blob "ea", { url = other.url .. blob "ea" })).status
    end
    other:stop()
    assert.same({ 503, 200, 200 }, statuses)
  end)

  it("never ends well what was cut", function()
    local answer, _, code = ask(blob "cc")
    assert.is_nil(answer)
    assert.equal("truncated", code)
  end)

  -- The slowest but one of a hundred of many small requests, in seconds.
  local function slowest(n)
    local times = {}
    for i = 1, n do
      local before = core.now()
      local answer = assert(ask(i % 2 == 0 and "/v2/" or "/healthz"))
      assert.equal(200, answer.status)
      times[i] = core.now() - before
    end
    table.sort(times)
    return times[math.ceil(n * 0.99)]
  end

  -- Requests that nobody waits for.
  local function begin(n, path)
    local list = {}
    for i = 1, n do
      list[i] = assert(task.loop:request(request(path)))
    end
    return list
  end

  local function close(list)
    for _, one in ipairs(list) do
      one:close()
    end
  end

  it("keeps nobody waiting who wants something else", function()
    local alone = slowest(100)
    for _, mode in ipairs { "ca", "cb" } do
      local before = script.requests(s, "-") -- what came before is in the log
      local list = begin(20, blob(mode))
      http.step(task.loop, 0.3)
      local beside = slowest(200)
      close(list)
      assert.is_true(beside < math.max(0.1, 4 * alone), ("%s: %.4f s alone, %.4f s beside %d"):format(
        mode, alone, beside, before))
    end
  end)

  it("does not have who comes later wait for what has stalled", function()
    script.set(s, "mode", "stall")
    local list = begin(12, "/v2/a/b/manifests/v1")
    http.step(task.loop, 4.5)
    local alone = core.now()
    local answer = assert(ask("/v2/a/b/manifests/v1"))
    assert.is_true(core.now() - alone < 1)
    assert.same({ 503, "5" }, { answer.status, answer.by["retry-after"] })
    assert.is_true(slowest(100) < 0.1)
    assert.equal(503, assert(ask("/readyz")).status)
    script.set(s, "mode", "absent")
    close(list)
    local back = http.step(task.loop, 40, function()
      return assert(ask("/v2/a/b/manifests/v1")).status == 404
    end)
    assert.is_true(back)
  end)
end)
