-- login and logout as a person types them, on a terminal and off it.
local core = require "epoch.core"
local dialogue = require "spec.support.dialogue"
local http = require "spec.support.http"
local json = require "epoch.json"
local program = require "spec.support.program"
local registry = require "spec.support.registry"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local work = require "spec.support.work"

local LUA = assert(core.which(rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("[%d.]+$")))

local remote, odd
setup(function()
  remote = not registry.missing() and registry.start { auth = true } or nil
  odd = script.start({}, {
    -- one that names a token server, and one that lets everybody in
    ["= /v2/"] = server.lua [[
      if ngx.shared.store:get("open") == "yes" then return answer(200, "{}") end
      if authorization() == "Bearer good" then return answer(200, "{}") end
      answer(401, "{}", { ["WWW-Authenticate"] = ('Bearer realm="http://%s/token",service="spec"'):format(host()) })]],
    ["= /token"] = server.lua [[
      note("token", authorization())
      local said = ngx.decode_base64(authorization():match("%S+$")):match(":(.*)")
      if authorization() == "Basic " .. ngx.encode_base64("me:canary") then return answer(200, '{"token":"good"}') end
      answer(401, '{"errors":[{"code":"DENIED","message":"wrong password ' .. said .. '!"}]}')]],
  })
end)

teardown(function()
  if remote then
    remote:stop()
  end
  odd:stop()
end)

-- Runs the program with its stdin fed; a word of its own for docker's config.
local function login(dir, words, input, env)
  local result
  env = env or {}
  env.DOCKER_CONFIG, env.XDG_DATA_HOME = dir .. "/docker", dir
  work.with_loop(nil, function(loop)
    local process = program.start(loop, words, env, { stdin = "pipe" })
    local stdin = process:stdin()
    http.await(loop, stdin, "write", input) -- who does not read it fails otherwise
    http.await(loop, stdin, "finish")
    local out = assert(work.read_all(loop, process:stdout()))
    local ended = program.wait(loop, process)
    result = { out = out, err = ended.stderr, code = ended.code,
               config = work.read_file(dir .. "/docker/config.json") }
  end)
  return result
end

local function real(use)
  return function()
    if not remote then
      return pending(registry.missing())
    end
    work.in_directory(use)
  end
end

describe("login", function()
  it("keeps what the registry accepts, and logout forgets it", real(function(dir)
    local result = login(dir, { "login", remote.host, "-u", "frodo", "--password-stdin", "--json" }, "baggins\n")
    assert.equal(0, result.code, result.err)
    assert.same({ host = remote.host, username = "frodo", stored = dir .. "/docker/config.json" },
      json.decode(result.out))
    assert.equal("ZnJvZG86YmFnZ2lucw==", json.decode(result.config).auths[remote.host].auth)
    assert.matches("unencrypted in " .. dir .. "/docker/config.json", result.err, 1, true)
    assert.is_nil((result.out .. result.err):find("baggins", 1, true))
    assert.equal(0, login(dir, { "ls", "--registry", remote.host }, "").code)

    result = login(dir, { "logout", remote.url }, "")
    assert.same({ 0, "" }, { result.code, result.out })
    assert.same({}, json.decode(result.config).auths)
    assert.equal(3, login(dir, { "ls", "--registry", remote.host }, "").code)
    assert.same({ host = remote.host }, json.decode(login(dir, { "logout", remote.host, "--json" }, "").out))
  end))

  it("keeps nothing that the registry refuses", real(function(dir)
    for _, input in ipairs { "wrong\n", "baggins\n\n", " baggins" } do
      local result = login(dir, { "login", remote.host, "-u", "frodo", "--password-stdin", "--json" }, input)
      assert.equal(3, result.code)
      assert.equal("unauthorized", json.decode(result.out).error.kind)
      assert.matches("it does not accept this user name and password", result.err)
      assert.is_nil(result.err:find("wrong", 1, true))
      assert.is_nil(result.config)
    end
  end))

  it("shows the registry these and no others", real(function(dir)
    local env = { EPOCH_SERVER = remote.host, EPOCH_REGISTRY_TOKEN = "of-old" }
    for password, code in pairs { baggins = 0, wrong = 3 } do
      assert.equal(code, login(dir, { "login", remote.host, "-u", "frodo", "--password-stdin" }, password, env).code)
    end
  end))

  it("is silent when told to be, also with a line's other end", real(function(dir)
    local result = login(dir, { "login", "-q", remote.host, "--username=frodo", "--password-stdin" }, "baggins\r\n")
    assert.same({ 0, "", "" }, { result.code, result.out, result.err })
  end))

  it("gives a helper what it is there for", real(function(dir)
    assert(core.mkdir(dir .. "/docker"))
    work.write_file(dir .. "/docker/config.json", '{"credsStore":"spec"}')
    work.write_file(dir .. "/docker-credential-spec", ('#!/bin/sh\ncat >%s/$1\n'):format(dir))
    os.execute("chmod +x " .. dir .. "/docker-credential-spec")
    local path = { PATH = dir .. ":" .. os.getenv("PATH") }
    local result = login(dir, { "login", remote.host, "-u", "frodo", "--password-stdin" }, "baggins", path)
    assert.equal(0, result.code, result.err)
    assert.equal(("epoch: logged in to %s as frodo\n"):format(remote.host), result.err)
    assert.same({ ServerURL = remote.host, Username = "frodo", Secret = "baggins" },
      json.decode(work.read_file(dir .. "/store")))
    assert.same({}, json.decode(result.config).auths[remote.host])
    assert.equal(0, login(dir, { "logout", remote.host }, "", path).code)
    assert.equal(remote.host, work.read_file(dir .. "/erase"))
  end))

  it("asks the token server that the registry names", function()
    work.in_directory(function(dir)
      local words = { "login", odd.url, "-u", "me", "--password-stdin" }
      local result = login(dir, words, "se-cret")
      assert.equal(3, result.code)
      assert.matches("DENIED: wrong password ***!", result.err, 1, true)
      words[#words + 1] = "-v"
      assert.is_nil(login(dir, words, "se-cret").err:find("se-cret", 1, true))
      result = login(dir, words, "canary")
      assert.equal(0, result.code, result.err)
      assert.is_string(json.decode(result.config).auths[odd.url:match("//(.*)")].auth)
      assert.equal("Basic bWU6Y2FuYXJ5", table.remove(script.seen(odd, "token")))
    end)
  end)

  it("says so when it was not asked for them", function()
    work.in_directory(function(dir)
      script.set(odd, "open", "yes")
      local result = login(dir, { "login", odd.url, "-u", "me", "--password-stdin" }, "x")
      script.set(odd, "open", "no")
      assert.equal(0, result.code)
      assert.matches("did not ask for credentials: these were not checked\n", result.err, 1, true)
    end)
  end)

  it("ends with 64 for what is typed wrong", function()
    work.in_directory(function(dir)
      for words, want in pairs {
        ["login"] = "missing argument", ["logout"] = "missing argument", ["logout a_b"] = "host names are",
        ["login file:///x -u a --password-stdin"] = "only http and https", ["login a_b -u a"] = "host names are",
        ["login localhost --password-stdin"] = "needs %-%-username",
        ["login localhost -p x"] = "unknown option",
        ["login localhost -u a:b --password-stdin"] = "no colon",
        ["login localhost -u a --password-stdin"] = "is empty", ["login localhost --password x"] = "did you mean",
      } do
        local list = {}
        for word in words:gmatch("%S+") do
          list[#list + 1] = word
        end
        local result = login(dir, list, "\n")
        assert.equal(64, result.code, words .. ": " .. result.err)
        assert.matches(want, result.err)
        assert.is_nil(result.config)
      end
    end)
  end)

  it("needs a terminal, or to be told", function()
    work.with_loop(nil, function(loop)
      for _, words in ipairs { { "-u", "me" }, {} } do
        local process = assert(loop:spawn {
          argv = { core.which("setsid"), "-w", LUA, "epoch.lua", "login", "localhost", words[1], words[2] },
          stderr = false,
        })
        local result = program.wait(loop, process)
        assert.equal(64, result.code)
        assert.matches("there is no terminal to ask for the %l+ ?%l* on; give %-%-username and %-%-password%-stdin\n",
          result.stderr)
      end
    end)
  end)
end)

describe("logout", function()
  it("knows docker's names for its registry", function()
    work.in_directory(function(dir)
      assert(core.mkdir(dir .. "/docker"))
      for _, name in ipairs { "docker.io", "index.docker.io", "https://registry-1.docker.io" } do
        work.write_file(dir .. "/docker/config.json",
          '{"auths":{"https://index.docker.io/v1/":{"auth":"eDp5"},"other":{}},"x":[1]}')
        local result = login(dir, { "logout", name }, "")
        assert.equal(0, result.code)
        assert.equal("epoch: no credentials are kept for docker.io\n", result.err)
        local config = json.decode(result.config)
        assert.same({ auths = { other = {} }, x = { 1 } }, config)
      end
    end)
  end)
end)

describe("login on a terminal", function()
  -- The program on one, and behind it whether the terminal shows what is typed.
  local function on_terminal(dir, words, use)
    work.with_loop(nil, function(loop)
      local command = ([[trap : INT; sh -c 'echo $$ >%s/pid; exec %s epoch.lua login %s %s'; code=$?
        stty -a | grep -o -e '-*\<echo\>'; exit $code]]):format(dir, LUA, remote.host, words)
      use(dialogue.start(loop, command, { DOCKER_CONFIG = dir .. "/docker" }))
    end)
  end

  it("asks for what is missing, and shows no password", real(function(dir)
    on_terminal(dir, "2>" .. dir .. "/err </dev/null", function(d)
      d:expect("User name: ")
      d:type("frodo\n")
      d:expect("Password: ")
      d:type("baggins\n")
      d:expect("\r\necho\r\n")
      local shown, code = d:finish()
      assert.equal(0, code, shown)
      assert.is_nil(shown:find("baggins", 1, true))
      assert.matches("logged in to " .. remote.host, work.read_file(dir .. "/err"), 1, true)
      assert.is_string(json.decode(work.read_file(dir .. "/docker/config.json")).auths[remote.host].auth)
    end)
  end))

  it("leaves the terminal as it was, however it ends", real(function(dir)
    for signal, want in pairs { TERM = 143, HUP = 129, QUIT = 131, INT = 130, ["^C"] = 130, ["^D"] = 64 } do
      on_terminal(dir, "-u frodo", function(d)
        d:expect("Password: ")
        if signal:find("^%^") then
          d:type(string.char(signal:byte(2) - 64))
        else
          os.execute(("kill -%s $(cat %s/pid)"):format(signal, dir))
        end
        d:expect(want == 64 and "nothing was typed" or "interrupted")
        d:expect("\r\necho\r\n")
        assert.equal(want, (select(2, d:finish())))
        assert.is_nil(work.read_file(dir .. "/docker/config.json"))
      end)
    end
  end))
end)
