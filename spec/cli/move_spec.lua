-- push, pull and get as a person types them: the stand-in cocoon on one side, every home there
-- is on the other.
local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local json = require "epoch.json"
local media = require "epoch.media"
local program = require "spec.support.program"
local radosgw = require "spec.support.radosgw"
local registry = require "spec.support.registry"
local standin = require "spec.support.standin"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local FILES = {
  { "config.json", '{"vm":1}' }, { "empty.raw", "" },
  { "overlay.qcow2", work.noise(300 * 1024) }, { "state.json", "{}" },
  tar.pax { { "COCOON.sparse.map", "null" }, { "COCOON.sparse.size", "1048576" } } .. tar.file("hole.raw", ""),
}

-- Two roots of cocoon's, the first with a snapshot, and a way to run the program with either.
local function with_cocoons(use)
  work.in_directory(function(dir)
    local from, to = dir .. "/from", dir .. "/to"
    work.with_loop(nil, function(loop)
      local result = standin.run(loop, from, { "snapshot", "import", "--name=demo" }, artifacts.export(FILES))
      assert.equal(0, result.code, result.stderr)
    end)
    local function epoch(root, words, more)
      local env = standin.env(root, { EPOCH_COCOON_BINARY = standin.program, XDG_DATA_HOME = dir .. "/data",
                                      DOCKER_CONFIG = dir .. "/docker" })
      for name, value in pairs(more or {}) do
        env[name] = value
      end
      return program.run(words, env)
    end
    use {
      dir = dir, from = from, to = to,
      epoch = function(words, more) return epoch(from, words, more) end,
      there = function(words, more) return epoch(to, words, more) end,
    }
  end)
end

local function ok(result)
  assert.equal(0, result.code, result.err)
  return result
end

local remote, gateway
setup(function()
  remote = not registry.missing() and registry.start { auth = true } or nil
  gateway = not radosgw.missing() and radosgw.start() or nil
end)

teardown(function()
  for _, server in pairs { remote, gateway } do
    server:stop()
  end
end)

local HOMES = {
  ["the local default"] = function()
    return {}
  end,
  ["file://"] = function(dir)
    return { "--registry", "file://" .. dir .. "/store" }
  end,
  ["oci:"] = function(dir)
    return { "--registry", "oci:" .. dir .. "/layout" }
  end,
  ["s3://"] = function(dir)
    if not gateway then
      return nil, radosgw.missing()
    end
    local given = gateway:options {}
    work.write_file(dir .. "/config.lua", ([[proxy = "" s3 = { endpoint = %q, access_key = %q, secret_key = %q }]])
      :format(given.endpoint, given.access_key, given.secret_key))
    return { "--config", dir .. "/config.lua", "--registry", "s3://" .. gateway:bucket() }
  end,
  ["docker-registry"] = function(dir)
    if not remote then
      return nil, registry.missing()
    end
    work.write_file(dir .. "/config.lua", ('hosts = { ["%s"] = { credentials = function() return "%s", "%s" end } }')
      :format(remote.host, remote.user, remote.password))
    return { "--config", dir .. "/config.lua", "--registry", remote.url .. "/specs" }
  end,
}

local function with_words(words, more)
  local out = {}
  for _, list in ipairs { words, more } do
    for _, word in ipairs(list) do
      out[#out + 1] = word
    end
  end
  return out
end

for name, home_words in pairs(HOMES) do
  describe("a snapshot by way of " .. name, function()
    it("is pushed once, pulled whole, and got as an archive", function()
      with_cocoons(function(c)
        local home, missing = home_words(c.dir)
        if not home then
          return pending(missing)
        end
        local pushed = json.decode(ok(c.epoch(with_words({ "push", "demo:v1", "--json" }, home))).out)
        assert.same({ "demo", "v1", "snapshot" }, { pushed.name, pushed.tag, pushed.kind })
        assert.equal(#FILES, #pushed.layers)
        assert.is_true(pushed.layers[1].transferred)
        assert.equal(300 * 1024 + 10, pushed.transferred)
        assert.is_true(pushed.seconds > 0)
        local then_ = { SOURCE_DATE_EPOCH = "5" }
        local again = json.decode(ok(c.epoch(with_words({ "push", "demo:v1", "--json" }, home), then_)).out)
        assert.equal(0, again.transferred)
        assert.is_false(again.layers[1].transferred)
        local same = json.decode(ok(c.epoch(with_words({ "push", "demo:v1", "--json" }, home), then_)).out)
        assert.equal(again.digest, same.digest)

        local pulled = ok(c.there(with_words({ "pull", "demo:v1", "--name", "back", "--description", "of old",
                                               "--json" }, home)))
        pulled = json.decode(pulled.out)
        assert.equal(again.digest, pulled.digest)
        assert.equal(again.size, pulled.size)
        assert.same({ "config.json", 8, again.layers[1].digest, true },
                    { pulled.layers[1].title, pulled.layers[1].size, pulled.layers[1].digest,
                      pulled.layers[1].transferred })
        standin.assert_same_files(standin.files(c.from, "demo"), standin.files(c.to, "back"))
        assert.equal("of old", standin.snapshots(c.to).back.description)

        local got = ok(c.epoch(with_words({ "get", "demo:v1", "--tar", "-q" }, home)))
        assert.equal("", got.err)
        ok(c.epoch(with_words({ "get", "demo@" .. again.digest, "--tar", "-o", c.dir .. "/got.tar" }, home)))
        work.assert_same_bytes(got.out, work.read_file(c.dir .. "/got.tar"))
        work.with_loop(nil, function(loop)
          assert.equal(0, standin.run(loop, c.to, { "snapshot", "import", "--name=got" }, got.out).code)
        end)
        standin.assert_same_files(standin.files(c.from, "demo"), standin.files(c.to, "got"))
      end)
    end)
  end)
end

describe("push", function()
  it("goes where it is told, under the tag it is told", function()
    with_cocoons(function(c)
      local env = { EPOCH_SERVER = "file://" .. c.dir .. "/server" }
      local function pushed(words)
        local result = json.decode(ok(c.epoch(with_words(words, { "--json" }), env)).out)
        return ("%s:%s"):format(result.name, result.tag)
      end
      assert.equal("demo:latest", pushed { "push", "demo" })
      assert.equal("demo:v2", pushed { "push", "demo:v1", "-t", "v2" })
      assert.equal("vms/web:v3", pushed { "push", "demo:v1", "vms/web:v3" })
      assert.equal("vms/web:v4", pushed { "push", "demo", "vms/web", "--tag=v4" })
      local elsewhere = "oci:" .. c.dir .. "/layout"
      assert.equal("demo:v5", pushed { "push", "demo", "-t", "v5", "--registry", elsewhere })
      assert.is_string(work.read_file(c.dir .. "/server/manifests/vms/web/v4.json"))
      assert.is_nil(work.read_file(c.dir .. "/server/manifests/demo/v5.json"))
      assert.is_string(work.read_file(c.dir .. "/layout/index.json"))
    end)
  end)

  it("keeps what was said about it", function()
    with_cocoons(function(c)
      ok(c.epoch { "push", "demo", "--base-image", "debian:12", "--source", "https://example.org/x",
                   "--revision", "abc", "--annotation", "a=1=2", "--annotation", "b=" })
      local m = json.decode(work.read_file(c.dir .. "/data/epoch/manifests/demo/latest.json"))
      local a = m.annotations
      assert.same({ "debian:12", "https://example.org/x", "abc", "1=2", "" },
        { a["cocoonstack.snapshot.baseimage"], a["org.opencontainers.image.source"],
          a["org.opencontainers.image.revision"], a.a, a.b })
    end)
  end)

  it("tells on_pushed what it did", function()
    with_cocoons(function(c)
      work.write_file(c.dir .. "/config.lua",
        "on_pushed = function(result) print(result.name, result.digest, result.transferred) end")
      local result = ok(c.epoch { "push", "demo", "--config", c.dir .. "/config.lua", "--json" })
      assert.matches("demo\t" .. json.decode(result.out).digest .. "\t307210", result.err, 1, true)
    end)
  end)

  it("is done even when on_pushed fails, and says so", function()
    with_cocoons(function(c)
      work.write_file(c.dir .. "/config.lua", "on_pushed = function(result)\n  print(result.nobody.knows)\nend")
      local result = ok(c.epoch { "push", "demo", "--config", c.dir .. "/config.lua", "-q" })
      assert.matches("^epoch: push is done, what was to be told of it failed: .*config.lua:2: attempt to index",
        result.err)
    end)
  end)

  it("says on the first line where things go when nobody has said it", function()
    with_cocoons(function(c)
      local result = ok(c.epoch { "push", "demo" })
      assert.equal("", result.out)
      assert.equal(("epoch: no registry is named, using file://%s/data/epoch on this machine"):format(c.dir),
        result.err:match("^[^\n]*"))
      assert.matches("\nconfig.json: 8B sent\n", result.err, 1, true)
      assert.matches("\npushed demo:latest sha256:%x+, 5 layers, 300.0K, 300.0K sent in %d+%.%d s\n$", result.err)
      assert.equal("", ok(c.epoch { "push", "demo", "-q" }).err)
    end)
  end)
end)

describe("exit codes", function()
  local function failing(c, words, env)
    local result = c.epoch(words, env)
    assert.matches("^epoch: " .. words[1] .. "[ :]", result.last)
    return result.code, result.last
  end

  it("are those of the contract", function()
    with_cocoons(function(c)
      ok(c.epoch { "push", "demo:v1" })
      local cases = {
        { 64, { "push", "Demo" }, "upper case" },
        { 64, { "push", "demo", "-t", "a b" }, "a space" },
        { 64, { "push", "demo", "x@sha256:" .. ("0"):rep(64) }, "not known before" },
        { 64, { "pull", "demo:v1", "--name", "a/-b" }, "must begin with" },
        { 64, { "pull", "demo:v1", "--registry", "gopher://x" }, "none of file:///DIR" },
        { 64, { "push", "demo", "--annotation", "x" }, "KEY=VALUE" },
        { 64, { "pull", "demo:v1", "--registry", "file://relative" }, "absolute path" },
        { 2, { "push", "nosuch" }, "not found" },
        { 2, { "pull", "nosuch:v1" }, "nosuch:v1 is not in" },
        { 2, { "get", "demo:v2", "--tar" }, "demo:v2 is not in" },
        { 1, { "get", "demo:v1" }, "%-%-tar gives" },
        { 1, { "pull", "demo:v1" }, "already in use" },
        { 1, { "pull", "127.0.0.1:1/demo:v1" }, "could not connect" },
      }
      for _, case in ipairs(cases) do
        local code, last = failing(c, case[2])
        assert.matches(case[3], last)
        assert.equal(case[1], code, last)
      end
      assert.equal(1, #standin.directories(c.from)) -- the one of the beginning
    end)
  end)

  it("of what arrives and is not what was promised", function()
    with_cocoons(function(c)
      local pushed = json.decode(ok(c.epoch { "push", "demo:v1", "--json" }).out)
      local blob = c.dir .. "/data/epoch/blobs/sha256/" .. pushed.layers[3].digest:match(":(.*)$")
      work.write_file(blob, "short")
      local result = c.there { "pull", "demo:v1", "--json" }
      assert.equal(4, result.code, result.err)
      assert.equal("size_mismatch", json.decode(result.out).error.kind)
      assert.same({}, standin.directories(c.to))
      result = c.there { "get", "demo:v1", "--tar", "-o", c.dir .. "/got.tar" }
      assert.equal(4, result.code)
      assert.is_nil(work.read_file(c.dir .. "/got.tar"))
      assert.equal(4, c.there({ "get", "demo:v1", "--tar" }).code)
    end)
  end)

  it("a cocoon that is missing is told before anything is asked for", function()
    with_cocoons(function(c)
      for _, words in ipairs { { "pull", "127.0.0.1:1/demo" }, { "push", "demo", "127.0.0.1:1/demo" } } do
        local result = c.epoch(words, { EPOCH_COCOON_BINARY = c.dir .. "/nothing" })
        assert.equal(1, result.code)
        assert.matches("nothing", result.last, 1, true)
      end
    end)
  end)
end)

describe("a cloud image", function()
  it("is got and pulled in the order of its titles", function()
    with_cocoons(function(c)
      local home = c.dir .. "/data/epoch"
      local disk, layers = { work.noise(70000), "the end" }, {}
      core.mkdir(home .. "/blobs/sha256")
      core.mkdir(home .. "/manifests/os")
      for i, bytes in ipairs(disk) do
        work.write_file(home .. "/blobs/sha256/" .. core.digest(bytes):match(":(.*)$"), bytes)
        layers[3 - i] = ([[{"mediaType":"%s","digest":"%s","size":%d,"annotations":{"%s":"disk.%d"}}]]):format(
          media.DISK_QCOW2, core.digest(bytes), #bytes, media.TITLE, i)
      end
      work.write_file(home .. "/manifests/os/v1.json", ([[{"schemaVersion":2,"mediaType":"%s","artifactType":"%s",]]
        .. [["config":{"mediaType":"%s","digest":"%s","size":2},"layers":[%s]}]]):format(media.OCI_MANIFEST,
        media.OS_IMAGE, media.OCI_EMPTY, core.digest("{}"), table.concat(layers, ",")))
      work.assert_same_bytes(table.concat(disk), ok(c.epoch { "get", "os:v1" }).out)
      ok(c.epoch { "get", "os:v1", "-o", c.dir .. "/disk" })
      work.assert_same_bytes(table.concat(disk), work.read_file(c.dir .. "/disk"))
      local pulled = json.decode(ok(c.epoch { "pull", "os:v1", "--name", "mine", "--json" }).out)
      assert.same({ "cloud-image", 70007 }, { pulled.kind, pulled.transferred })
      assert.is_table(standin.images(c.from).mine)
      local wrong = c.epoch { "get", "os:v1", "--tar" }
      assert.equal(1, wrong.code)
      assert.matches("its disk comes without --tar", wrong.last, 1, true)
    end)
  end)
end)

describe("mirrors", function()
  it("are asked first, and the registry for what they do not have", function()
    if registry.missing() then
      return pending(registry.missing())
    end
    with_cocoons(function(c)
      local cache, origin = registry.start {}, registry.start {}
      local done, why = pcall(function()
        ok(c.epoch { "push", "demo:old", cache.host .. "/demo:old" })
        work.write_file(c.dir .. "/config.lua", ('hosts = { ["%s"] = { mirrors = { "127.0.0.1:1", "%s" } } }')
          :format(origin.host, cache.host))
        local config = { EPOCH_CONFIG = c.dir .. "/config.lua" }
        ok(c.epoch({ "push", "demo:new", origin.host .. "/demo:new" }, config))
        assert.equal(2, c.epoch { "pull", cache.host .. "/demo:new" }.code) -- mirrors are not written to
        ok(c.there({ "pull", origin.host .. "/demo:old", "--name", "old" }, config))
        ok(c.there({ "pull", origin.host .. "/demo:new", "--name", "new" }, config))
        local result = c.there({ "pull", origin.host .. "/demo:none" }, config)
        assert.equal(2, result.code)
        assert.matches(origin.host, result.last, 1, true)
      end)
      cache:stop()
      origin:stop()
      assert(done, why)
    end)
  end)
end)

describe("get", function()
  it("does not write a disk to a terminal, unless told to", function()
    with_cocoons(function(c)
      ok(c.epoch { "push", "demo:v1" })
      local env = standin.env(c.from, { XDG_DATA_HOME = c.dir .. "/data" })
      local function on_terminal(words)
        local result
        work.with_loop(nil, function(loop)
          local lua = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("[%d.]+$")
          local child = assert(loop:spawn {
            argv = { "/usr/bin/script", "-qec", lua .. " epoch.lua get demo:v1 --tar " .. words, "/dev/null" },
            env = env, stdout = "pipe", stderr = false,
          })
          local out = assert(work.read_all(loop, child:stdout()))
          result = { out = out, code = program.wait(loop, child).code }
        end)
        return result
      end
      local refused = on_terminal ""
      assert.equal(64, refused.code)
      assert.matches("would write a disk to the terminal", refused.out, 1, true)
      assert.is_true(#on_terminal("-o -").out > 300 * 1024)
    end)
  end)
end)
