-- Blobs whose connection breaks: the rest is asked for, or the download fails for a good reason.
local client = require "epoch.client"
local core = require "epoch.core"
local download = require "epoch.client.download"
local errors = require "epoch.errors"
local retry = require "epoch.client.retry"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local SMALL, BIG = 80000, 4 * 1024 * 1024
local BYTES = script.numbered(SMALL)
local DIGEST = core.digest(BYTES)

-- The first answer breaks after 30000 bytes; what comes then is the rest of the line.
local function then_comes(code)
  return [[ local n = count(repo)
    note(repo, (ngx.req.get_headers().range or "all") .. " " .. authorization())
    if n == 1 then return blob(numbered(80000), 30000) end ]] .. code
end

local ANOTHER_HOST = [[
  note("elsewhere", ngx.var.uri .. " " .. (ngx.req.get_headers().range or "all") .. " " .. authorization())
  return blob(numbered(80000), ngx.var.uri == "/elsewhere/1" and 30000 or nil) ]]

describe("a blob whose connection breaks", function()
  local s, task, home
  local base = retry.BASE

  setup(function()
    retry.BASE = 0.01
    s = script.start({
      good = then_comes "return blob(numbered(80000))",
      twice = then_comes "return blob(numbered(80000), n < 4 and 10000 or nil)",
      never = [[ note(repo, "x") return blob(numbered(80000), 0) ]],
      big = [[ note(repo, "x") return blob(numbered(4194304), 1200000) ]],
      bounded = [[ note(repo, "x") return blob(numbered(4194304), 1200000) ]],
      range = then_comes "return blob(numbered(80000))",
      tagged = [[ note(repo, ngx.req.get_headers()["if-range"] or "-")
        return blob(numbered(80000), count(repo) == 1 and 30000 or nil, { ETag = '"one"' }) ]],
      weak = [[ note(repo, ngx.req.get_headers()["if-range"] or "-")
        return blob(numbered(80000), count(repo) == 1 and 30000 or nil, { ETag = 'W/"one"' }) ]],
      expired = [[ local n = count(repo)
        note(repo, (ngx.req.get_headers().range or "all") .. " " .. authorization())
        if authorization() ~= "Bearer token" .. (n < 3 and 1 or 2) then
          return answer(401, "", { ["WWW-Authenticate"] = ('Bearer realm="http://%s/token"'):format(host()) })
        end
        return blob(numbered(80000), n == 2 and 30000 or nil) ]],
      revoked = then_comes "return answer(403)",
      patience = then_comes [[ if n == 2 then return answer(503, "", { ["Retry-After"] = "1" }) end
        return blob(numbered(80000)) ]],
      impatient = then_comes [[ return answer(429, "", { ["Retry-After"] = "50" }) ]],
      ["impatient-too"] = then_comes [[ return answer(429, "", { ["Retry-After"] = "50" }) ]],
      moved = [[ answer(307, "", { Location = ngx.shared.store:get("url:other") .. "/elsewhere/" .. count(repo) }) ]],
      slow = [[ note(repo, ngx.req.get_headers().range or "all")
        if count(repo) == 1 then
          ngx.header["Content-Length"] = 80000
          ngx.print(numbered(80000):sub(1, 30000))
          ngx.flush(true)
          return ngx.sleep(5)
        end
        return blob(numbered(80000)) ]],
      source = then_comes "return blob(numbered(80000))",
      target = [[ if ngx.req.get_method() == "PUT" then
          note("target-got", body() == numbered(80000))
        end
        upload(repo, rest) ]],
      -- what is not the rest of it
      whole = then_comes [[ ngx.req.clear_header("Range") return blob(numbered(80000)) ]],
      ["whole-often"] = [[ local n = count(repo) note(repo, "x") ngx.req.clear_header("Range")
        return blob(numbered(80000), n < 9 and 10000 + n * 5000 or nil) ]],
      ["whole-changed"] = then_comes [[ ngx.req.clear_header("Range") return blob(numbered(80000) .. "x") ]],
      ["wrong-first"] = then_comes [[
        return blob(numbered(80000), nil, { ["Content-Range"] = "bytes 29999-79999/80000" }) ]],
      ["wrong-last"] = then_comes [[
        return blob(numbered(80000), nil, { ["Content-Range"] = "bytes 30000-79998/80000",
          ["Content-Length"] = 49999 }) ]],
      ["too-far"] = then_comes [[
        return blob(numbered(80000), nil, { ["Content-Range"] = "bytes 30000-80000/80001" }) ]],
      ["wrong-total"] = then_comes [[
        return blob(numbered(80000), nil, { ["Content-Range"] = "bytes 30000-79999/80001" }) ]],
      ["wrong-length"] = then_comes [[ return blob(numbered(80000), nil, { ["Content-Length"] = 49999 }) ]],
      ["no-range"] = then_comes [[ return blob(numbered(80000), nil, { ["Content-Range"] = "" }) ]],
      ["many-ranges"] = then_comes [[ return blob(numbered(80000), nil, { ["Content-Range"] = "",
        ["Content-Type"] = "multipart/byteranges; boundary=x" }) ]],
      unknown = then_comes [[ return blob(numbered(80000), nil, { ["Content-Range"] = "bytes 30000-79999/*" }) ]],
      ["other-tag"] = [[ local n = count(repo)
        return blob(numbered(80000), n == 1 and 30000 or nil, { ETag = ('"%d"'):format(n) }) ]],
      ["other-bytes"] = then_comes [[ return blob(("x"):rep(80000)) ]],
      gone = then_comes "return answer(404)",
      shorter = [[ count(repo) return blob(numbered(80000):sub(9)) ]],
      longer = [[ count(repo) return blob(numbered(80000) .. "x") ]],
      ["no-length"] = [[ ngx.print(numbered(80000)) ]],
      huge = [[ answer(200, "x", { ["Content-Length"] = "9007199254740993" }) ]],
    }, {
      ["= /token"] = server.lua [[ answer(200, ('{"token":"token%d"}'):format(count("token"))) ]],
      ["^~ /elsewhere/"] = server.lua(ANOTHER_HOST),
    })
    script.set(s, "url:other", s.other_url)
  end)

  teardown(function()
    s:stop()
    retry.BASE = base
  end)

  before_each(function()
    task = assert(tasks.new())
    home = assert(client.new(task, { url = s.url, docker_config = false, proxy = "", token = "canary" }))
  end)

  after_each(function()
    task:close()
  end)

  local function with(options)
    options.url, options.docker_config, options.proxy = s.url, false, ""
    return assert(client.new(task, options))
  end

  local function get(name, given, range, from)
    local source, size = (from or home):get_blob(name, DIGEST, range)
    if not source then
      return nil, size
    end
    local sink = core.collect(2 * BIG)
    local spec = { source = source, sink = sink }
    for key, value in pairs(given or { size = SMALL, digest = DIGEST }) do
      spec[key] = value
    end
    local moved, err = task:flow(spec)
    local bytes = moved and sink:bytes()
    sink:close()
    return bytes, err
  end

  local function fails(kind, code, pattern, bytes, err)
    assert.equal("nil", type(bytes))
    assert.equal(kind, err.kind)
    assert.equal(code, errors.exit_code(err))
    assert.matches(pattern, tostring(err))
    assert.is_nil(tostring(err):find("canary", 1, true))
  end

  describe("is gone on with", function()
    it("where it broke", function()
      work.assert_same_bytes(BYTES, get("good"))
      assert.same({ "all Bearer canary", "bytes=30000-79999 Bearer canary" }, script.seen(s, "good"))
    end)

    it("as often as it breaks", function()
      work.assert_same_bytes(BYTES, get("twice"))
      assert.equal(4, #script.seen(s, "twice"))
    end)

    it("but not when nothing comes any more", function()
      fails("truncated", 4, "after 0 bytes", get("never", nil, nil, with { retries = 2 }))
      assert.equal(3, #script.seen(s, "never"))
    end)

    it("more often when much came in between", function()
      work.assert_same_bytes(script.numbered(BIG), get("big", { size = BIG }, nil, with { retries = 1 }))
      assert.equal(4, #script.seen(s, "big"))
    end)

    it("but not for ever", function()
      local most = download.RESUMES
      download.RESUMES = 2
      local bytes, err = get("bounded", { size = BIG }, nil, with { retries = 1 })
      download.RESUMES = most
      fails("truncated", 4, "after 3600000 bytes", bytes, err)
      assert.equal(3, #script.seen(s, "bounded"))
    end)

    it("not beyond what was asked for", function()
      work.assert_same_bytes(BYTES:sub(1001, 60000), get("range", {}, { offset = 1000, length = 59000 }))
      assert.same({ "bytes=1000-59999 Bearer canary", "bytes=31000-59999 Bearer canary" }, script.seen(s, "range"))
    end)

    it("after silence", function()
      work.assert_same_bytes(BYTES, get("slow", nil, nil, with { low_speed_time = 0.3 }))
      assert.same({ "all", "bytes=30000-79999" }, script.seen(s, "slow"))
    end)

    it("with a fresh token", function()
      work.assert_same_bytes(BYTES, get("expired", nil, nil, with {}))
      assert.same({ "all -", "all Bearer token1", "bytes=30000-79999 Bearer token1",
        "bytes=30000-79999 Bearer token2" }, script.seen(s, "expired"))
    end)

    it("when the server wants it", function()
      local began = core.now()
      work.assert_same_bytes(BYTES, get("patience"))
      assert.is_true(core.now() - began >= 1)
      assert.equal(3, #script.seen(s, "patience"))
    end)

    it("where the registry leads to then", function()
      work.assert_same_bytes(BYTES, get("moved"))
      assert.same({ "/elsewhere/1 all -", "/elsewhere/2 bytes=30000-79999 -" }, script.seen(s, "elsewhere"))
    end)

    it("if it is still the same", function()
      work.assert_same_bytes(BYTES, get("tagged"))
      assert.same({ "-", '"one"' }, script.seen(s, "tagged"))
      work.assert_same_bytes(BYTES, get("weak"))
      assert.same({ "-", "-" }, script.seen(s, "weak"))
    end)

    it("though the registry does not know how long it is", function()
      work.assert_same_bytes(BYTES, get("unknown"))
    end)

    it("from its beginning, where no parts are given", function()
      work.assert_same_bytes(BYTES, get("whole"))
      fails("size_mismatch", 4, "another length", get("whole-changed"))
    end)

    it("from its beginning a few times only", function()
      local progress = download.PROGRESS
      download.PROGRESS = 1
      local bytes, err = get("whole-often")
      download.PROGRESS = progress
      fails("truncated", 4, "after 35000 bytes", bytes, err)
      assert.equal(5, #script.seen(s, "whole-often"))
    end)

    it("while it is uploaded elsewhere", function()
      assert.is_true(assert(home:put_blob("target", DIGEST, SMALL, function()
        return home:get_blob("source", DIGEST)
      end)))
      assert.same({ "true" }, script.seen(s, "target-got"))
      assert.equal(1, script.requests(s, "PUT /v2/target/"))
      assert.equal(2, #script.seen(s, "source"))
    end)
  end)

  it("is not taken for another one", function()
    for name, pattern in pairs {
      ["wrong-first"] = "asked for bytes 30000%-79999 it gives .bytes 29999",
      ["wrong-last"] = "another length", ["too-far"] = "asked for bytes", ["wrong-total"] = "another length",
      ["wrong-length"] = "asked for", ["no-range"] = "asked for", ["many-ranges"] = "asked for",
      ["other-tag"] = "have changed",
    } do
      fails("invalid", 4, pattern, get(name))
      assert.equal(2, script.requests(s, "GET /v2/" .. name .. "/"))
    end
    fails("digest_mismatch", 4, "", get("other-bytes"))
  end)

  it("says why it does not go on", function()
    fails("denied", 3, "403 Forbidden, after 30000 bytes", get("revoked"))
    fails("not_found", 2, "404 Not Found, after 30000 bytes", get("gone"))
  end)

  it("is let go of when nobody reads it any more", function()
    local timer = task.loop:timer(0.6)
    local source = assert(home:get_blob("impatient", DIGEST))
    local flow = assert(task.loop:flow { source = source })
    assert(task:await(timer, "wait"))
    flow:close()
    assert(task:sleep(0))
    timer:close()
    assert.equal(0, core.live().timers)
  end)

  it("is let go of when the work is cancelled", function()
    local timer = task.loop:timer(0.5)
    local results, err = task:all {
      function() return get("impatient-too") end,
      function()
        assert(task:await(timer, "wait"))
        task.loop:cancel("SIGINT")
        return true
      end,
    }
    timer:close()
    assert.is_nil(results)
    assert.equal("cancelled", err.kind)
  end)

  it("is asked for once when it is simply not what was promised", function()
    fails("size_mismatch", 4, "", get("shorter"))
    fails("size_mismatch", 4, "", get("longer"))
    for _, name in ipairs { "shorter", "longer" } do
      assert.equal(1, script.requests(s, "GET /v2/" .. name .. "/"))
    end
    work.assert_same_bytes(BYTES, get("no-length"))
    assert.equal("nil", type(get("huge")))
  end)
end)
