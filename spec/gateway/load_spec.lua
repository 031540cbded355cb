--- Many clients at once, slow ones and a store that misbehaves among them: who asks for little is
-- answered soon. And nothing is lost when all of the gateway is killed in the middle of it.
local client = require "spec.support.gateway_client"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local interpreter = require "spec.support.interpreter"
local probe = require "spec.support.probe"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local uploads = require "spec.support.uploads"
local work = require "spec.support.work"

local MIB = 2 ^ 20
local HOW = { rate = 100, seconds = 2 }

-- Runs commands beside `use`, and ends them.
local function beside(loop, commands, use)
  local children = {}
  for i, command in ipairs(commands) do
    children[i] = assert(loop:spawn { argv = { "/bin/sh", "-c", command }, stderr = "null", stdout = "null" })
  end
  local ok, err = pcall(use)
  for _, child in ipairs(children) do
    child:kill("KILL")
    child:close()
  end
  if not ok then
    error(err, 0)
  end
end

local function times(n, command)
  local list = {}
  for i = 1, n do
    list[i] = command
  end
  return list
end

-- The 99th percentile of small requests beside these commands may not be much more than `alone`. What
-- blocks a worker does so for seconds.
local function assert_answers_soon(loop, g, alone, commands)
  beside(loop, commands, function()
    server.sleep(0.5)
    local busy = probe.run(loop, g.url .. "/v2/", HOW)
    local most = math.max(0.2, 4 * alone.p99)
    assert.is_true(busy.p99 < most, ("p99 %.3f s beside it, %.3f s alone"):format(busy.p99, alone.p99))
    assert.equal(HOW.rate * HOW.seconds, busy.count)
  end)
end

describe("a gateway with much to do", function()
  local missing = gateway.missing("luajit")
  if missing then
    pending(missing)
    return
  end

  it("answers small requests while some send or read a byte a second", function()
    local g = gateway.start()
    local ask = client.of(g)
    local digest = client.put_blob(ask, "a", work.noise(8 * MIB))
    local reader = ("exec curl -s --noproxy '*' --limit-rate 1 -o /dev/null '%s/v2/a/blobs/%s'"):format(g.url, digest)
    local commands = times(30, reader)
    for _ = 1, 30 do
      local place = g.url .. uploads.start(g, "a")
      commands[#commands + 1] = ("while printf x; do sleep 1; done | curl -s --noproxy '*' -X PATCH -T - '%s'")
        :format(place)
    end
    work.with_loop(nil, function(loop)
      assert_answers_soon(loop, g, probe.run(loop, g.url .. "/v2/", HOW), commands)
      beside(loop, commands, function()
        server.sleep(0.5)
        -- large transfers, too, do not wait for them
        local began = core.now()
        local second = work.noise(4 * MIB)
        assert.equal(core.digest(second), client.put_blob(ask, "a", second))
        assert.equal(8 * MIB, #ask("GET", "/v2/a/blobs/" .. digest).body)
        assert.is_true(core.now() - began < 10)
      end)
    end)
    g:kill() -- it would wait for those who take their time
    g:stop()
  end)

  -- What the store does is what the digest begins with.
  local STORE = [[
    local mode = ngx.var.uri:match("/sha256/(%l%l)")
    if mode == "aa" then                               -- 1 MB/s
      ngx.header["Content-Length"] = 32 * 1024 * 1024
      for i = 1, 512 do ngx.print(("x"):rep(65536)) ngx.flush(true) ngx.sleep(0.0625) end
    elseif mode == "bb" then ngx.sleep(60)             -- nothing, for long
    elseif mode == "cc" then return ngx.exit(444)      -- a connection that ends
    elseif mode == "dd" then return ngx.exit(500)
    else return ngx.exit(404)
    end
  ]]

  it("answers small requests while its bucket is slow, silent, resetting or failing", function()
    local s = script.start({}, { ["^~ /bucket"] = server.lua(STORE) })
    local g = gateway.start {
      store = "s3://bucket", options = { anonymous_push = true },
      config = ('s3 = { endpoint = %q, access_key = "A", secret_key = "S" } proxy = ""'):format(s.url),
    }
    work.with_loop(nil, function(loop)
      local alone = probe.run(loop, g.url .. "/v2/", HOW)
      for _, mode in ipairs { "aa", "bb", "cc", "dd" } do
        local get = ("while :; do curl -s --noproxy '*' -o /dev/null '%s/v2/a/blobs/sha256:%s%s'; sleep 0.1; done")
          :format(g.url, mode, ("0"):rep(62))
        assert_answers_soon(loop, g, alone, times(10, get))
      end
    end)
    g:kill()
    g:stop()
    s:stop()
  end)

  it("takes room on the disk for what it is told will come", function()
    local g = gateway.start()
    local size = 24 * MIB
    work.write_file(g.dir .. "/body", work.noise(MIB):rep(24))
    local place = uploads.start(g, "a")
    local command = ("exec curl -s --noproxy '*' -H Expect: -X PATCH --limit-rate 6M -T '%s/body' '%s%s'"):format(g.dir,
      g.url, place)
    work.with_loop(nil, function(loop)
      beside(loop, { command }, function()
        local function spooled(what)
          return tonumber(work.output(("stat -c %%%s '%s'/.spool/0* 2>&-"):format(what, g.root)) or "") or 0
        end
        local reserved = http.step(loop, 10, function()
          return spooled "b" * 512 >= size
        end)
        assert.is_true(reserved)
        assert.is_true(spooled "s" < size)
      end)
    end)
    g:kill()
    g:stop()
  end)

  it("loses nothing when all of it is killed while much arrives", function()
    local g = gateway.start { workers = 2 }
    local ask = client.of(g)
    local first, second = work.noise(MIB), work.noise(6 * MIB)
    local places, commands = {}, {}
    for i = 1, 6 do
      places[i] = uploads.start(g, "a")
      assert.equal(202, uploads.ask(g, "PATCH", places[i], { body = first }).status)
    end
    work.write_file(g.dir .. "/second", second)
    for i, place in ipairs(places) do
      commands[i] = ("exec curl -s --noproxy '*' -H Expect: -X PATCH --limit-rate 2M -T '%s/second' '%s%s'"):format(
        g.dir, g.url, place)
    end
    client.put_blob(ask, "a", "{}")
    assert.equal(201, client.put_manifest(ask, "a", "v1", client.manifest()).status)
    work.with_loop(nil, function(loop)
      beside(loop, commands, function()
        server.sleep(0.7)
        g:kill()
      end)
    end)
    local again = gateway.start { store = g.store }
    local all = first .. second
    for _, place in ipairs(places) do
      local offset = uploads.offset(again, place)
      assert.is_true(offset >= #first and offset <= #all, offset)
      assert.equal(202, uploads.ask(again, "PATCH", place, { body = all:sub(offset + 1) }).status)
      assert.equal(201, uploads.finish(again, place, core.digest(all)).status)
    end
    assert.equal(2, uploads.check_blobs(g.root))
    local command = ("%s epoch.lua fsck --registry '%s' >/dev/null 2>&1; echo $?"):format(interpreter.path(), g.store)
    assert.equal("0", work.output(command))
    again:stop()
    g:stop()
  end)
end)
