--- `epoch serve`: the program and its nginx, from the first line to the last.
local children = require "spec.support.children"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local lfs = require "lfs"
local program = require "spec.support.program"
local server = require "spec.support.server"
local work = require "spec.support.work"

describe("epoch serve", function()
  local missing = gateway.missing()
  if missing then
    pending(missing)
    return
  end

  local g

  after_each(function()
    if g then
      g:stop()
      g = nil
    end
  end)

  -- What is in its directory of what it makes for itself.
  local function private_directories()
    local found = {}
    for name in lfs.dir(g.dir) do
      found[#found + 1] = name:match("^epoch%-serve%..*")
    end
    return found
  end

  local function configuration()
    return work.read_file(g.dir .. "/" .. private_directories()[1] .. "/nginx.conf")
  end

  local function has(what, where)
    assert(where:find(what, 1, true), ("no %q in:\n%s"):format(what, where))
  end

  describe("begins", function()
    it("with one line that says what is served, and where", function()
      local began = core.now()
      g = gateway.start()
      assert(core.now() - began < 5)
      has(("epoch: serving %s on %s\n"):format(g.store, g.url), g:log())
      assert.equal(200, g:get("/v2/").status)
      assert.same({ 1, 1 }, { #g:pids("master"), #g:pids("worker") })
    end)

    it("as many workers as it is told to, as the calling user, with a store only that user writes", function()
      g = gateway.start { workers = 3 }
      assert.equal(3, #g:pids("worker"))
      local own = work.read_file("/proc/self/status"):match("\nUid:[^\n]*")
      for _, pid in ipairs(g:pids()) do
        assert.equal(own, work.read_file(("/proc/%d/status"):format(pid)):match("\nUid:[^\n]*"))
      end
      assert.equal("rwx------", lfs.attributes(g.root .. "/.spool", "permissions"))
      assert.equal("rwx------", lfs.attributes(g.dir .. "/" .. private_directories()[1], "permissions"))
    end)

    it("with https and HTTP/2", function()
      g = gateway.start { tls = true }
      has("https://127.0.0.1:", g:log())
      local got = g:get("/v2/", { http_version = "2" })
      assert.same({ 200, "2" }, { got.status, got.http_version })
    end)

    it("on an address of IPv6, and says its port", function()
      if not core.stat("/proc/net/if_inet6") or work.read_file("/proc/net/if_inet6") == "" then
        pending("there is no IPv6 here")
        return
      end
      g = gateway.start { addr = "[::1]:0" }
      assert(g.url:find("^http://%[::1%]:[1-9]%d+$"), g.url)
      assert.equal(200, g:get("/v2/").status)
    end)

    for _, how in ipairs { "an option", "the environment" } do
      it("from anywhere, also where " .. how .. " names a file relatively", function()
        work.in_directory(function(dir)
          work.write_file(dir .. "/c.lua", 'spool_dir = "./"\ngateway = { store = "file://' .. dir .. '/s" }\n')
          work.with_loop(nil, function(loop)
            local port = server.free_ports(1)[1]
            local argv = { children.lua, work.here() .. "/epoch.lua", "serve", "--addr", "localhost:" .. port }
            local env = { PATH = os.getenv("PATH") }
            if how == "an option" then
              argv[#argv + 1] = "--config=c.lua"
            else
              env.EPOCH_CONFIG = "c.lua"
            end
            local process = assert(loop:spawn { argv = argv, cwd = dir, stdout = "null", stderr = false, env = env })
            local status
            assert(http.step(loop, 20, function()
              local answer = http.fetch(loop, { url = ("http://127.0.0.1:%d/v2/"):format(port), proxy = "" })
              status = answer and answer.status
              return status or process:wait()
            end))
            process:kill("TERM")
            local ended = program.wait(loop, process)
            assert.equal(200, status, ended.stderr)
            assert.equal(0, ended.code)
            has(("epoch: serving file://%s/s on http://127.0.0.1:%d\n"):format(dir, port), ended.stderr)
          end)
        end)
      end)
    end
  end)

  describe("passes on", function()
    it("of the environment what settings are made of, and no value by way of a file", function()
      work.in_directory(function(dir)
        work.write_file(dir .. "/nginx", ([[#!/bin/sh
          [ "$1" = -V ] || env >'%s/environment'
          PATH=$PATH:/usr/sbin exec nginx "$@"
        ]]):format(dir))
        os.execute("chmod +x '" .. dir .. "/nginx'")
        g = gateway.start {
          env = { EPOCH_NGINX = dir .. "/nginx", EPOCH_REGISTRY_TOKEN = "a-secret-token",
                  EPOCH_S3_SECRET_KEY = "another-secret", ASKED_FOR = "third", UNASKED = "fourth" },
          config = 'on_pushed = function() print(env "ASKED_FOR") end\n',
        }
        local conf, environment = configuration(), work.read_file(dir .. "/environment")
        has("EPOCH_REGISTRY_TOKEN=a-secret-token\n", environment)
        has("EPOCH_S3_SECRET_KEY=another-secret\n", environment)
        has("ASKED_FOR=third\n", environment)
        assert.is_nil(environment:find("UNASKED", 1, true))
        for _, name in ipairs { "EPOCH_REGISTRY_TOKEN", "EPOCH_S3_SECRET_KEY", "ASKED_FOR" } do
          has(("env %s;\n"):format(name), conf)
        end
        for _, secret in ipairs { "a-secret-token", "another-secret", "third" } do
          assert.is_nil(conf:find(secret, 1, true))
          assert.is_nil(g:log():find(secret, 1, true))
        end
      end)
    end)
  end)

  describe("lets write", function()
    it("everybody on this machine while there is no token, and says so", function()
      g = gateway.start()
      has("epoch: no token is configured, so whoever is on this machine may push and delete\n", g:log())
      has('["anonymous_push"] = true', configuration())
    end)

    it("nobody without a token when there is one", function()
      g = gateway.start { env = { EPOCH_REGISTRY_TOKEN = "secret" } }
      assert.is_nil(g:log():find("no token", 1, true))
      assert.is_nil(configuration():find("anonymous_push", 1, true))
    end)

    -- Makes a token for the store, and answers it.
    local function make_token(name)
      local r = program.run({ "token", "create", name, "--scope", "push:*", "--registry", g.store }, { HOME = g.dir })
      assert.equal(0, r.code, r.err)
      return r.out:match("^%S+")
    end

    it("nobody without a token from SIGHUP on, when one was made meanwhile", function()
      g = gateway.start()
      make_token("ci")
      g:signal("HUP")
      assert(http.step(g.loop, 10, function()
        return g:log():find("the configuration is read again", 1, true)
      end))
      assert.is_nil(configuration():find("anonymous_push", 1, true))
      local store = g.store
      local second = gateway.start { store = store, addr = "0.0.0.0:0" }
      local log = second:log()
      second:stop()
      assert.is_nil(log:find("no token", 1, true))
    end)

    it("as the configuration says, where it says so", function()
      g = gateway.start { options = { anonymous_push = false } }
      assert.is_nil(g:log():find("no token", 1, true))
      assert.is_nil(configuration():find("anonymous_push", 1, true))
    end)

    it("everybody who is told to, anywhere", function()
      g = gateway.start { addr = "0.0.0.0:0", words = { "--anonymous-push" } }
      has('["anonymous_push"] = true', configuration())
    end)

    it("nobody by accident where others can come", function()
      for _, host in ipairs { "0.0.0.0", "", "[::]", "example.org", "192.0.2.1" } do
        work.in_directory(function(dir)
          local r = program.run({ "serve", "--addr", host .. ":0", "--store", "file://" .. dir .. "/s" },
            { HOME = dir })
          assert.equal(64, r.code)
          has("make a token", r.last)
          has("--anonymous-push", r.last)
        end)
      end
    end)
  end)

  describe("reads the configuration again on SIGHUP", function()
    local function reloaded(n)
      http.step(g.loop, 10, function()
        return select(2, g:log():gsub("configuration is read again", "")) >= n
      end)
      -- then workers change
      assert(http.step(g.loop, 10, function()
        return #g:pids("worker") == 1
      end))
    end

    it("and goes on, as often as it is told", function()
      g = gateway.start()
      for n = 1, 2 do
        local before = g:pids("worker")[1]
        g:signal("HUP")
        reloaded(n)
        assert(http.step(g.loop, 10, function()
          return g:pids("worker")[1] ~= before
        end))
        assert.equal(200, g:get("/v2/").status)
      end
      assert.equal(0, g:stop())
    end)

    it("and stays as it was when that is wrong", function()
      g = gateway.start()
      work.write_file(g.dir .. "/config.lua", "gatewya = {}\n")
      g:signal("HUP")
      assert(http.step(g.loop, 10, function()
        return g:log():find("the configuration stays as it was: ", 1, true)
      end))
      assert.equal(200, g:get("/v2/").status)
    end)
  end)

  describe("ends", function()
    local function assert_nothing_left(pids)
      for _, pid in ipairs(pids) do
        assert(children.gone(pid), "left: " .. pid)
      end
      assert.same({}, private_directories())
    end

    for _, signal in ipairs { "TERM", "INT", "QUIT" } do
      it("well on SIG" .. signal, function()
        g = gateway.start { workers = 2 }
        local pids = g:pids()
        g:signal(signal)
        assert.equal(0, g:wait())
        assert_nothing_left(pids)
        assert.is_nil(g:log():find("%[[aec][lrm][eri]"), g:log())
      end)
    end

    -- A download that takes as long as its reader wants.
    local function begin_download(loop, size)
      local digest = "sha256:" .. ("ab"):rep(32)
      assert(core.mkdir(g.root .. "/blobs/sha256"))
      os.execute(("truncate -s %d '%s/blobs/sha256/%s'"):format(size, g.root, digest:match("%x+$")))
      local request = assert(loop:request { url = g.url .. "/v2/any/blobs/" .. digest, proxy = "" })
      assert.equal(200, http.await(loop, request, "response").status)
      return request
    end

    local SIZE = 64 * 1024 * 1024 -- more than sockets hold

    it("when what is under way has ended, and lets nobody else in", function()
      g = gateway.start()
      work.with_loop(nil, function(loop)
        local request = begin_download(loop, SIZE)
        local pids = g:pids()
        g:signal("TERM")
        assert(http.step(g.loop, 10, function()
          return not http.fetch(g.loop, { url = g.url .. "/v2/", proxy = "" })
        end), "it still takes requests")
        assert.is_nil((g.process:wait()))
        local moved = assert(work.flow(loop, { source = request:body() }))
        assert.equal(SIZE, moved.size)
        request:close()
        assert.equal(0, g:wait())
        assert_nothing_left(pids)
      end)
    end)

    it("at once on a second signal", function()
      g = gateway.start()
      work.with_loop(nil, function(loop)
        local request = begin_download(loop, SIZE)
        local pids = g:pids()
        g:signal("TERM")
        g:signal("TERM") -- the same wish, as timeout(1) says it
        assert.is_false(http.step(g.loop, 0.8, function()
          return (g.process:wait())
        end))
        g:signal("INT")
        assert.equal(130, g:wait())
        has("epoch: serve: stopped at once", g:log())
        assert.is_nil(work.flow(loop, { source = request:body() }))
        request:close()
        assert_nothing_left(pids)
      end)
    end)

    it("and its nginx with it, when it is killed", function()
      g = gateway.start { workers = 2 }
      local pids = g:pids()
      assert.equal(3, #pids)
      g:kill()
      for _, pid in ipairs(pids) do
        assert(children.gone(pid))
      end
    end)

    it("and what a killed one has left goes when the next one begins", function()
      g = gateway.start()
      local left = private_directories()
      g:kill()
      assert.same(left, private_directories())
      local config = ("spool_dir = %q\n"):format(g.dir)
      local young = gateway.start { config = config }
      assert.equal(2, #private_directories())
      os.execute(("touch -d '2 minutes ago' '%s'/epoch-serve.*"):format(g.dir))
      local next_one = gateway.start { config = config }
      local now = private_directories()
      assert.equal(2, #now)
      assert(now[1] ~= left[1] and now[2] ~= left[1])
      assert.equal(200, young:get("/v2/").status)
      young:stop()
      next_one:stop()
      assert.same({}, private_directories())
    end)

    it("when nginx is killed, and says so", function()
      g = gateway.start { workers = 2 }
      local pids = g:pids()
      os.execute(("kill -9 %d"):format(g:pids("master")[1]))
      assert.equal(1, g:wait())
      has("epoch: serve: nginx has ended (SIGKILL)", g:log())
      assert_nothing_left(pids)
    end)

    it("never because of a worker", function()
      g = gateway.start()
      g:kill_worker()
      assert.equal(200, g:get("/v2/").status)
    end)
  end)

  describe("does not begin", function()
    local dir

    before_each(function()
      dir = os.tmpname()
      os.remove(dir)
      assert(core.mkdir(dir, tonumber("700", 8)))
    end)

    after_each(function()
      os.execute("rm -rf '" .. dir .. "'")
    end)

    -- One sentence, and nothing left behind.
    local function refused(words, code, why, env)
      local all = { "serve", "--config", dir .. "/c.lua" }
      work.write_file(dir .. "/c.lua", ("spool_dir = %q\n"):format(dir))
      for _, word in ipairs(words) do
        all[#all + 1] = word
      end
      env = env or {}
      env.HOME = dir
      local r = program.run(all, env)
      has(why, r.last)
      has("epoch: serve: ", r.last)
      assert.equal(code, r.code, r.err)
      for name in lfs.dir(dir) do
        assert.is_nil(name:find("epoch-serve", 1, true))
      end
      return r
    end

    local function store()
      return "file://" .. dir .. "/s"
    end

    it("where another listens", function()
      g = gateway.start()
      local r = refused({ "--addr", g.host, "--store", store() }, 1, g.host .. " is in use: stop what listens there")
      assert.equal("epoch: serve: " .. g.host .. " is in use: stop what listens there, or give another address with "
        .. "--addr (port 0 is one that is free)\n", r.err:gsub("^epoch: no token[^\n]*\n", ""))
    end)

    it("on an address that is none, or not this machine's", function()
      refused({ "--addr", "8080", "--store", store() }, 64, "it must be HOST:PORT")
      refused({ "--addr", "127.0.0.1:66000", "--store", store() }, 64, "65535")
      refused({ "--addr", "a_b:1", "--store", store() }, 64, "host names are")
      refused({ "--addr", "192.0.2.1:0", "--store", store(), "--anonymous-push" }, 1, "Cannot assign requested address")
    end)

    it("without nginx, or with one that lacks what it takes", function()
      refused({ "--store", store() }, 1, "there is no such program", { EPOCH_NGINX = dir .. "/nginx" })
      local function pretend(says)
        work.write_file(dir .. "/nginx", "#!/bin/sh\necho '" .. says .. "' >&2\n")
        os.execute("chmod +x '" .. dir .. "/nginx'")
        return { EPOCH_NGINX = dir .. "/nginx" }
      end
      refused({ "--store", store() }, 1, "libnginx-mod-http-lua", pretend(
        "nginx version: nginx/1.22.1\nconfigure arguments: --with-threads --modules-path=" .. dir))
      refused({ "--store", store() }, 1, "--with-threads", pretend(
        "nginx version: openresty/1.25.3\nconfigure arguments: --add-module=../ngx_lua-0.10.26"))
    end)

    it("without a core that nginx can load", function()
      os.execute(("mkdir -p '%s/build/lua' && cp -r epoch.lua lua '%s' && cp -r build/lua/5.4 '%s/build/lua'"):format(
        dir, dir, dir))
      local p = assert(io.popen(("cd / && HOME='%s' lua5.4 '%s/epoch.lua' serve --addr 127.0.0.1:0 --store '%s' 2>&1")
        :format(dir, dir, store())))
      local said = p:read("*a")
      p:close()
      assert.equal(("epoch: serve: nginx runs LuaJIT, and the core for it is not there "
        .. "(%s/build/lua/5.1/epoch/core.so): run make where epoch.lua is, or install for Lua 5.1, too\n")
        :format(dir), said)
    end)

    it("with a certificate that cannot be read, or is none", function()
      work.write_file(dir .. "/none", "no certificate")
      local none = dir .. "/none"
      refused({ "--store", store(), "--tls-cert", dir .. "/gone", "--tls-key", none }, 64, "No such file")
      refused({ "--store", store(), "--tls-cert", none, "--tls-key", dir }, 64, "--tls-key")
      refused({ "--store", store(), "--tls-cert", none }, 64, "go together")
      refused({ "--store", store(), "--addr", "127.0.0.1:0", "--tls-cert", none, "--tls-key", none }, 1,
        "cannot load certificate")
    end)

    it("with a store that cannot be written to, or not be served", function()
      work.write_file(dir .. "/file", "")
      refused({ "--store", "file://" .. dir .. "/file" }, 1, "the store cannot be written to")
      refused({ "--store", "https://registry.example" }, 64, "cannot be served")
      refused({ "--store", "oci:" .. dir }, 64, "cannot be served")
      refused({ "--store", "file://relative" }, 64, "absolute path")
    end)

    it("with a configuration that is wrong, or a number of workers", function()
      refused({ "--store", store(), "--workers", "none" }, 64, "--workers")
      refused({ "--store", store(), "--workers", "65" }, 64, "--workers")
      refused({ "--store", store(), "--config", dir .. "/gone.lua" }, 1, "gone.lua")
    end)
  end)
end)
