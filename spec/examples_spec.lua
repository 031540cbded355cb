--- What the README and examples/ promise, done by the real program under every Lua there is.

local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local media = require "epoch.media"
local program = require "spec.support.program"
local registry = require "spec.support.registry"
local server = require "spec.support.server"
local standin = require "spec.support.standin"
local store = require "spec.support.store"
local work = require "spec.support.work"

local LUAS = { "lua5.4", "luajit", "lua5.1" }

local function run(dir, command)
  local pipe = assert(io.popen(("cd '%s' && %s 2>&1; echo \"exit $?\""):format(dir, command)))
  local out = pipe:read("*a")
  pipe:close()
  return out
end

describe("the README", function()
  it("shows examples/first.lua, in five lines", function()
    local shown = work.read_file("README.md"):match("<!%-%- example %-%->\n```lua\n(.-)```")
    assert.equal(work.read_file("examples/first.lua"), shown)
    assert.equal(5, select(2, shown:gsub("\n", "")))
  end)
end)

describe("examples/first.lua", function()
  local web

  setup(function()
    web = server.start { files = { ["page.html"] = ("<p>hello</p>\n"):rep(20000) } }
  end)

  teardown(function()
    web:stop()
  end)

  for _, lua in ipairs(LUAS) do
    it("hashes, tars and downloads under " .. lua, function()
      work.in_directory(function(dir)
        local page = ("<p>hello</p>\n"):rep(20000)
        local first = ("%s '%s/epoch.lua' run '%s/examples/first.lua' "):format(lua, work.here(), work.here())
        assert.equal(core.digest(page) .. "\ttrue\nexit 0\n", run(dir, first .. web.url .. "/page.html"))
        local reader = core.tar_reader(core.file(dir .. "/page.tar"))
        local entry = assert(reader:next())
        assert.equal("page", entry.name)
        work.with_loop(nil, function(loop)
          work.assert_same_bytes(page, (work.read_all(loop, reader:body())))
        end)
        assert.is_false(reader:next())

        os.remove(dir .. "/page.tar")
        assert.matches("no such page\nexit 1\n$", run(dir, first .. web.url .. "/none"))
        assert.is_nil(work.read_file(dir .. "/page.tar"))
      end)
    end)
  end
end)

describe("examples/quickstart.lua", function()
  for _, lua in ipairs(LUAS) do
    it("pushes and pulls under " .. lua, function()
      local out = run("/", ("%s '%s/epoch.lua' run '%s/examples/quickstart.lua'"):format(lua, work.here(), work.here()))
      assert.matches("%$ " .. lua .. " epoch.lua push hello:v1\n", out)
      assert.matches("hello%-again has the same files as hello", out)
      assert.matches("exit 0\n$", out)
    end)
  end
end)

describe("examples for people who script", function()
  it("push, and pull with a port of their own that has some of the blobs", function()
    work.in_directory(function(dir)
      work.with_loop(nil, function(loop)
        assert.equal(0, standin.run(loop, dir .. "/from", { "snapshot", "import", "--name=web" },
          artifacts.export { { "a", "1" }, { "b", ("2"):rep(100000) } }).code)
      end)
      local function script(root, words)
        local result = program.run(words, standin.env(dir .. root, {
          EPOCH_COCOON_BINARY = standin.program, EPOCH_SERVER = "file://" .. dir .. "/store" }))
        assert.equal(0, result.code, result.err)
        return result
      end
      assert.matches("^vms/web:monday sha256:%x+ 2 layers, 97%.%dK\n$",
        script("/from", { "run", "examples/push.lua", "web", "vms/web:monday" }).out)
      local digest = core.digest(("2"):rep(100000))
      local words = { "--progress", "json", "run", "examples/push.lua", "web", "vms/web:monday" }
      assert.matches('^{"event":"start","op":"push","title":"a"', script("/from", words).err)
      assert.equal("", script("/from", { "-q", "run", "examples/push.lua", "web", "vms/web:monday" }).err)
      assert(core.mkdir(dir .. "/share"))
      assert(core.rename(dir .. "/store/blobs/sha256/" .. digest:match(":(.*)$"),
        dir .. "/share/" .. digest:match(":(.*)$")))
      local result = script("/to", { "run", "examples/pull.lua", "vms/web:monday", "back", dir .. "/share" })
      assert.matches(digest .. " is at hand", result.err, 1, true)
      standin.assert_same_files(standin.files(dir .. "/from", "web"), standin.files(dir .. "/to", "back"))
    end)
  end)

  it("migrate a store of generation 1, as often as it takes", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/objects.tar", golden.read("gen1/objects.tar"))
      assert(core.mkdir(dir .. "/old"))
      os.execute(("tar -xf '%s/objects.tar' -C '%s/old'"):format(dir, dir))
      local function script(...)
        return program.run { "run", "examples/migrate.lua", "file://" .. dir .. "/old", "oci:" .. dir .. "/new", ... }
      end
      local blob = dir .. "/old/blobs/sha256/24e75fa0aa688f6c44aa906b7e8a6aa09f6b05aba4929c4853bdcb6cd6f014ec"
      assert(core.rename(blob, blob .. "-away"))
      local result = script("g-small")
      assert.same({ 1, "" }, { result.code, result.out })
      assert.matches("g-small: 1 of 1 tags were not migrated", result.err, 1, true)
      assert(core.rename(blob .. "-away", blob))
      assert.matches("^g%-small:v1 migrated, %d[%d.]*K moved\n$", script().out)
      assert.equal("g-small:v1 there, 0B moved\n", script("g-small").out)
      local home = "oci:" .. dir .. "/new"
      assert.equal(0, program.run({ "get", "--tar", "g-small:v1", "-o", dir .. "/a.tar", "--registry", home }).code)
      assert.equal(1, program.run({ "run", "examples/migrate.lua" }).code)
    end)
  end)

  it("credentials from a program", function()
    if registry.missing() then
      return pending(registry.missing())
    end
    local remote = registry.start { auth = true }
    local ok, why = pcall(work.in_directory, function(dir)
      local asked = dir .. "/credentials"
      work.write_file(asked, ('#!/bin/sh\n[ "$1" = %s ] || exit 1\necho %s\necho %s\n'):format(
        remote.host, remote.user, remote.password))
      os.execute("chmod 700 " .. asked)
      store.with_task(function(t)
        local home = assert(require("epoch.home").open(t, remote.url, {
          credentials = function() return remote.user, remote.password end,
        }))
        local empty = function() return core.bytes("{}") end
        assert(home:put_blob("vms/web", core.digest("{}"), 2, empty))
        assert(home:put_manifest("vms/web", "monday", ([[{"schemaVersion":2,"mediaType":"%s","layers":[],]]
          .. [["config":{"mediaType":"%s","digest":"%s","size":2}}]]):format(media.OCI_MANIFEST, media.OCI_EMPTY,
          core.digest("{}")), media.OCI_MANIFEST))
        home:close()
      end)
      local ref = remote.host .. "/vms/web"
      local result = program.run({ "run", "examples/credentials.lua", asked, ref })
      assert.equal("monday\n", result.out, result.err)
      work.write_file(asked, "#!/bin/sh\nexit 1\n")
      result = program.run({ "run", "examples/credentials.lua", asked, ref })
      assert.equal(3, result.code, result.err)
      assert.matches("has no credentials for " .. remote.host, result.last, 1, true)
    end)
    remote:stop()
    assert(ok, why)
  end)
end)
