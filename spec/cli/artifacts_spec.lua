-- ls, inspect, tag and rm as a person types them, on every home there is.
local core = require "epoch.core"
local homes = require "epoch.home"
local json = require "epoch.json"
local media = require "epoch.media"
local program = require "spec.support.program"
local registry = require "spec.support.registry"
local script = require "spec.support.registry_script"
local store = require "spec.support.store"
local work = require "spec.support.work"

local SNAPSHOT = ([["artifactType":"%s","annotations":{"%s":"2026-11-21T06:16:47.25+01:00"},]])
  :format(media.SNAPSHOT, media.CREATED)

local remote, script_server
setup(function()
  remote = not registry.missing() and registry.start { auth = true } or nil
end)

teardown(function()
  if remote then
    remote:stop()
  end
end)

local function credentials()
  return remote.user, remote.password
end

local HOMES = {
  ["file://"] = function(dir) return "file://" .. dir .. "/store" end,
  ["oci:"] = function(dir) return "oci:" .. dir .. "/layout" end,
  ["docker-registry"] = function() return remote and remote.url .. "/specs" .. math.floor(core.now() * 1000) end,
}

-- A new home, what the module sees of it, and the program that is told of it.
local function with_home(where, use)
  store.with_task(function(task, dir)
    local name = where(dir)
    if not name then
      return pending(registry.missing())
    end
    local options = name:find("^http") and { credentials = credentials } or nil
    local home = assert(homes.open(task, name, options))
    work.write_file(dir .. "/config.lua", remote and ('hosts = { ["%s"] = { credentials = function() return "%s", "%s" '
      .. "end } }"):format(remote.host, remote.user, remote.password) or "")
    local ok, err = pcall(use, {
      dir = dir, name = name, home = home, task = task,
      epoch = function(...)
        return program.run({ "--registry", name, ... }, { EPOCH_CONFIG = dir .. "/config.lua",
                                                          DOCKER_CONFIG = dir })
      end,
    })
    home:close()
    if not ok then
      error(err, 0)
    end
  end)
end

local function ok(result)
  assert.equal(0, result.code, result.err)
  return result
end

local function decoded(result)
  return assert(json.decode(ok(result).out))
end

local function raw(c, ref)
  return ok(c.epoch("inspect", ref, "--raw")).out
end

for kind, where in pairs(HOMES) do
  describe("artifacts in " .. kind, function()
    it("are listed, shown, tagged and removed", function()
      with_home(where, function(c)
        local manifest, digest = store.put_artifact(c.home, "vms/demo", "v1", { "abc", work.noise(3000) }, SNAPSHOT)
        store.put_artifact(c.home, "vms/demo", "v2", { "other" })
        assert.equal(decoded(c.epoch("ls", "--json"))[1].name, "vms/demo")
        assert.same({ "v1", "v2" }, decoded(c.epoch("ls", "--json"))[1].tags)
        local of_tags = decoded(c.epoch("ls", "vms/demo", "--json"))
        assert.same({ tag = "v1", digest = digest, kind = "snapshot", size = 3005,
                      created = "2026-11-21T05:16:47Z" }, of_tags[1])
        assert.same({ "v2", "unknown", json.null }, { of_tags[2].tag, of_tags[2].kind, of_tags[2].created })

        local shown = decoded(c.epoch("inspect", "vms/demo:v1", "--json"))
        assert.same({ "vms/demo", "v1", digest, media.OCI_MANIFEST, media.SNAPSHOT, "snapshot", 3005 },
          { shown.name, shown.tag, shown.digest, shown.mediaType, shown.artifactType, shown.kind, shown.size })
        assert.same({ 3, core.digest("abc") }, { shown.layers[1].size, shown.layers[1].digest })
        assert.equal(json.null, shown.layers[1].title)
        assert.equal(manifest, raw(c, "vms/demo:v1"))
        assert.equal(manifest, raw(c, "vms/demo@" .. digest))

        assert.same({ name = "vms/demo", tag = "v2", digest = digest },
          decoded(c.epoch("tag", "vms/demo:v1", "v2", "--json")))
        assert.equal("", ok(c.epoch("tag", "vms/demo@" .. digest, "v3")).out)
        assert.equal(manifest, raw(c, "vms/demo:v2"))
        assert.equal(manifest, raw(c, "vms/demo:v3"))
        ok(c.epoch("tag", "vms/demo:v1", "vms/demo:v2"))

        assert.equal("", ok(c.epoch("rm", "vms/demo@" .. digest, "vms/demo:never")).out)
        local left = ok(c.epoch("ls", "--json")).out:gsub("%s", "") -- registries remember the name
        assert.is_true(left == "[]" or left == '[{"name":"vms/demo","tags":[]}]', left)
        assert.equal(2, c.epoch("inspect", "vms/demo:v1").code)
        assert.equal(2, c.epoch("tag", "vms/demo:v1", "v9").code)
        ok(c.epoch("rm", "vms/demo:v1"))
      end)
    end)

    it("are an index too, whose bytes nobody touches", function()
      with_home(where, function(c)
        local child, digest = store.put_artifact(c.home, "demo", "by digest", { "abc" })
        local index = ([[{ "schemaVersion": 2, "mediaType": "%s",
          "manifests": [ { "mediaType": "%s", "digest": "%s", "size": %d,
                           "platform": { "os": "linux", "architecture": "arm64", "variant": "v8" } } ] }]]):format(
          media.OCI_INDEX, media.OCI_MANIFEST, digest, #child)
        assert(c.home:put_manifest("demo", "all", index, media.OCI_INDEX))
        ok(c.epoch("tag", "demo:all", "more"))
        assert.equal(index, raw(c, "demo:more"))
        local shown = decoded(c.epoch("inspect", "demo:more", "--json"))
        assert.same({ "image-index", #child, core.digest(index), media.OCI_INDEX },
          { shown.kind, shown.size, shown.digest, shown.mediaType })
        assert.matches('"layers": [],\n  "config": {}\n}', c.epoch("inspect", "demo:all", "--json").out, 1, true)
        assert.matches("manifests\n  linux/arm64/v8  %d+B  " .. media.OCI_MANIFEST:gsub("%p", "%%%0") .. "  " .. digest,
          c.epoch("inspect", "demo:all").out)
      end)
    end)
  end)
end

local LOCAL = HOMES["file://"]

describe("what is shown of an artifact", function()
  -- Stores one of which the config is these bytes.
  local function put(c, tag, config, media_type, more)
    assert(c.home:put_blob("demo", core.digest(config), #config, config))
    assert(c.home:put_manifest("demo", tag, ([[{"schemaVersion":2,"mediaType":"%s",%s"config":{"mediaType":"%s",]]
      .. [["digest":"%s","size":%d},"layers":[]}]]):format(media.OCI_MANIFEST, more or "", media_type,
      core.digest(config), #config)))
  end

  it("is its config to the digit", function()
    with_home(LOCAL, function(c)
      local config = [[{"b":[],"a":{},"n":1.50, "big":123456789012345678901234567890,
        "created":"2020-02-29T00:00:00.123456789Z"}]]
      put(c, "v1", config, media.OCI_CONFIG)
      local result = ok(c.epoch("inspect", "demo:v1", "--json"))
      assert.matches('"config": ' .. config .. "\n}\n", result.out, 1, true)
      assert.same({ "container-image", "2020-02-29T00:00:00Z", #config },
        { decoded(result).kind, decoded(result).created, decoded(result).size })
      assert.equal("2020-02-29T00:00:00Z", decoded(c.epoch("ls", "demo", "--json"))[1].created)
      local shown = ok(c.epoch("inspect", "demo:v1")).out
      assert.matches("\nconfig\n  n        1.50\n  big      123456789012345678901234567890\n", shown, 1, true)
    end)
  end)

  it("takes no longer for blanks", function()
    with_home(LOCAL, function(c)
      local config = (" "):rep(500000) .. '{"a":' .. (" "):rep(500000) .. "1}" .. ("\n"):rep(500000)
      put(c, "v1", config, media.SNAPSHOT_CONFIG)
      local before = core.now()
      assert.equal(1, decoded(c.epoch("inspect", "demo:v1", "--json")).config.a)
      assert.matches("\nconfig\n  a  1\n", ok(c.epoch("inspect", "demo:v1")).out, 1, true)
      assert.is_true(core.now() - before < 10)
    end)
  end)

  it("is an empty config where there is no object of JSON, and where it would be too long", function()
    with_home(LOCAL, function(c)
      for tag, config in pairs { text = "no JSON", list = "[1]", cut = '{"a":', twice = '{"a":1,"a":2}' } do
        put(c, tag, config, "application/octet-stream")
        assert.matches('"config": {}\n}\n', ok(c.epoch("inspect", "demo:" .. tag, "--json")).out, 1, true)
      end
      local huge = '{"a":"' .. ("x"):rep(16 * 1024 * 1024) .. '"}'
      put(c, "huge", huge, media.SNAPSHOT_CONFIG)
      local shown = decoded(c.epoch("inspect", "demo:huge", "--json"))
      assert.same({ {}, #huge }, { shown.config, shown.size })
    end)
  end)

  it("can be borne by a terminal", function()
    with_home(LOCAL, function(c)
      put(c, "v1", '{"\\u001b[31m":"\\u202ex"}', media.SNAPSHOT_CONFIG,
        '"annotations":{"\\u001b]0;x\\u0007":"a\\nb"},"artifactType":"\\u009b1m",')
      local shown = ok(c.epoch("inspect", "demo:v1")).out
      for _, words in ipairs { '\n  \\x1b]0;x\\x07  a\\nb\n', "artifact type  \\u{9b}1m\n",
                               "\n  \\x1b[31m  \\u{202e}x\n" } do
        assert.matches(words, shown, 1, true)
      end
      assert.is_nil(shown:find("[%z\1-\9\11-\31\127-\255]"))
    end)
  end)

  it("is nothing when its config is not what was promised", function()
    with_home(LOCAL, function(c)
      put(c, "v1", '{"a":1}', media.SNAPSHOT_CONFIG)
      local path = c.dir .. "/store/blobs/sha256/" .. core.digest('{"a":1}'):match(":(.*)")
      work.write_file(path, '{"a":2}')
      local result = c.epoch("inspect", "demo:v1", "--json")
      assert.same({ 4, "digest_mismatch" }, { result.code, json.decode(result.out).error.kind })
      os.remove(path)
      result = c.epoch("inspect", "demo:v1")
      assert.equal(2, result.code)
      assert.matches("^epoch: inspect demo:v1: fetch the config: blob sha256:", result.err)
    end)
  end)
end)

describe("ls", function()
  it("goes on behind what is broken, and says what is", function()
    with_home(LOCAL, function(c)
      store.put_artifact(c.home, "demo", "a", { "abc" }, SNAPSHOT)
      store.put_artifact(c.home, "demo", "e", { "abc" }, SNAPSHOT)
      local at = c.dir .. "/store/manifests/demo/"
      work.write_file(at .. "b.json", "no JSON")
      work.write_file(at .. "c.json", '{"schemaVersion":3}')
      work.write_file(at .. "d.json", ([[{"schemaVersion":2,"config":{"mediaType":"%s","digest":"%s","size":3}}]])
        :format(media.SNAPSHOT_CONFIG, core.digest("not there")))
      local result = ok(c.epoch("ls", "demo", "--json"))
      local rows = json.decode(result.out)
      local words = {}
      for i, row in ipairs(rows) do
        words[i] = ("%s %s %s %s"):format(row.tag, row.kind, row.digest ~= json.null, row.size ~= json.null)
      end
      assert.same({ "a snapshot true true", "b unknown false false", "c unknown true false", "d unknown true true",
                    "e snapshot true true" }, words)
      assert.matches("epoch: ls: demo:b: [^\n]*JSON[^\n]*\nepoch: ls: demo:c: [^\n]*schemaVersion[^\n]*\n"
        .. "epoch: ls: demo:d: fetch the config: [^\n]*not in", result.err)
      assert.matches("\nb    broken    %-     %-  +%-\nc    broken ", c.epoch("ls", "demo").out)
      assert.equal("", c.epoch("ls", "demo", "-q").err)
    end)
  end)

  it("has columns for people, and few tags of many", function()
    with_home(LOCAL, function(c)
      local _, digest = store.put_artifact(c.home, "a/demo", "t1", { work.noise(2048) }, SNAPSHOT)
      for i = 2, 9 do
        store.put_artifact(c.home, "a/demo", "t" .. i, { work.noise(2048) }, SNAPSHOT)
      end
      store.put_artifact(c.home, "b", "latest", {})
      assert.equal("NAME    TAGS\na/demo  t1, t2, t3, t4, t5, t6, t7, t8 and 1 more\nb       latest\n",
        ok(c.epoch "ls").out)
      assert.equal("TAG  KIND      SIZE  CREATED               DIGEST\nt1   snapshot  2.0K  2026-11-21T05:16:47Z  "
        .. digest:sub(1, 19), ok(c.epoch("ls", "a/demo")).out:match("^[^\n]*\n[^\n]*"))
    end)
  end)

  it("finds nothing in a local default that is not there yet", function()
    work.in_directory(function(dir)
      local result = ok(program.run({ "ls", "--json" }, { XDG_DATA_HOME = dir }))
      assert.equal("[]\n", result.out)
      assert.equal(("epoch: no registry is named, using file://%s/epoch on this machine\n"):format(dir), result.err)
      assert.equal("", ok(program.run({ "ls", "-q" }, { XDG_DATA_HOME = dir })).err)
      assert.equal(2, program.run({ "ls", "demo" }, { XDG_DATA_HOME = dir }).code)
    end)
  end)
end)

describe("rm", function()
  it("looks at all of it first, and goes on behind what cannot be removed", function()
    if not remote then
      return pending(registry.missing())
    end
    with_home(LOCAL, function(c)
      store.put_artifact(c.home, "demo", "v1", {})
      store.put_artifact(c.home, "demo", "v2", {})
      assert.equal(64, c.epoch("rm", "demo:v1", "Demo").code)
      assert.equal(2, #c.home:tags("demo"))
      work.write_file(c.dir .. "/config.lua", "")
      local result = c.epoch("rm", remote.host .. "/x:y", "demo:v1", "demo:v2", "--json")
      assert.same({ 3, "unauthorized" }, { result.code, json.decode(result.out).error.kind })
      assert.matches(("^epoch: rm %s/x:y: [^\n]*epoch login[^\n]*\nepoch: rm: 1 of 3 could not be removed, %s/x:y is "
        .. "the first\n$"):format(remote.host, remote.host):gsub("%-", "%%-"), result.err)
      assert.same({}, assert(c.home:tags("demo")))
    end)
  end)

  it("says what a registry does not let it do", function()
    if not remote then
      return pending(registry.missing())
    end
    local strict = registry.start { delete = false }
    local done, why = pcall(store.with_task, function(task)
      local home = assert(homes.open(task, strict.url, { docker_config = false }))
      store.put_artifact(home, "demo", "v1", {})
      home:close()
      local result = program.run({ "rm", strict.host .. "/demo:v1", "--json" }, {})
      assert.same({ 1, "unsupported" }, { result.code, json.decode(result.out).error.kind })
      assert.equal("v1", decoded(program.run({ "ls", strict.host .. "/demo", "--json" }, {}))[1].tag)
    end)
    strict:stop()
    assert(done, why)
  end)

  it("says that a registry has removed more than a tag", function()
    with_home(HOMES["docker-registry"], function(c)
      local _, digest = store.put_artifact(c.home, "demo", "v1", {})
      local result = ok(c.epoch("rm", "demo:v1", "--json"))
      assert.matches("^epoch: rm: http://[^ ]* cannot delete a tag by itself: the manifest " .. digest, result.err)
      assert.same({ { name = "demo", tag = "v1", digest = json.null } }, decoded(result))
    end)
  end)

  describe("with a registry that does not answer", function()
    setup(function()
      script_server = script.start({
        slow = "note(repo, ngx.var.uri) ngx.sleep(30)",
        denied = "answer(403, '{}')",
      }, { ["= /v2/_catalog"] = "return 404;" })
    end)

    teardown(function()
      script_server:stop()
    end)

    it("is ended by a signal, and removes no more", function()
      work.with_loop(nil, function(loop)
        for signal, code in pairs { INT = 130, TERM = 143 } do
          local before = #script.seen(script_server, "slow")
          local host = script_server.url:match("//(.*)")
          local process = program.start(loop, { "rm", host .. "/slow:a", host .. "/slow:b" }, {})
          repeat
            loop:poll(0.02)
          until #script.seen(script_server, "slow") > before
          assert(process:kill(signal))
          local out = assert(work.read_all(loop, process:stdout()))
          local result = program.wait(loop, process)
          assert.same({ code, "" }, { result.code, out })
          assert.matches("epoch: rm: interrupted\n$", result.stderr)
          assert.equal(before + 1, #script.seen(script_server, "slow"))
        end
      end)
    end)

    it("tells what to do where there is no list", function()
      local result = program.run { "--registry", script_server.url, "ls" }
      assert.equal(1, result.code)
      assert.matches("^epoch: ls: http://[^ ]* has no list of its repositories; name one\n$", result.err)
    end)

    it("tells what is not allowed", function()
      assert.equal(3, program.run({ "--registry", script_server.url, "ls", "denied" }).code)
    end)
  end)
end)

describe("every Lua", function()
  for _, vm in ipairs { "lua5.4", "luajit", "lua5.1" } do
    it(("does the same: %s"):format(vm), function()
      if not core.which(vm) then
        return pending(vm .. " is not here")
      end
      with_home(LOCAL, function(c)
        local _, digest = store.put_artifact(c.home, "demo", "v1", { work.noise(5000) }, SNAPSHOT)
        work.write_file(c.dir .. "/script", ([[
          exec 2>&1
          epoch() { word=$1; shift; env -i PATH="$PATH" %s epoch.lua "$word" --registry %s "$@"; }
          epoch ls; epoch tag demo:v1 v2 --json; epoch ls demo; epoch inspect demo:v2; epoch rm demo:v1 demo:v2
          epoch ls --json; epoch inspect demo:v1; echo $?]]):format(vm, c.name))
        local pipe = io.popen("sh " .. c.dir .. "/script")
        local said = pipe:read("*a")
        pipe:close()
        local short = digest:sub(1, 19)
        assert.equal(table.concat({
          "NAME  TAGS", "demo  v1",
          '{', '  "name": "demo",', '  "tag": "v2",', ('  "digest": "%s"'):format(digest), "}",
          "TAG  KIND      SIZE  CREATED               DIGEST",
          "v1   snapshot  4.9K  2026-11-21T05:16:47Z  " .. short,
          "v2   snapshot  4.9K  2026-11-21T05:16:47Z  " .. short,
          "name           demo", "tag            v2", "digest         " .. digest, "kind           snapshot",
          "media type     " .. media.OCI_MANIFEST, "artifact type  " .. media.SNAPSHOT,
          "size           4.9K (5002 bytes)", "created        2026-11-21T05:16:47Z", "", "annotations",
          "  " .. media.CREATED .. "  2026-11-21T06:16:47.25+01:00", "", "layers",
          "  -  4.9K  application/octet-stream  " .. core.digest(work.noise(5000)),
          "[]", ("epoch: inspect demo:v1: demo:v1 is not in %s"):format(c.name), "2", "",
        }, "\n"), said)
      end)
    end)
  end
end)

describe("what is typed wrong", function()
  it("ends with 64, before anything is asked for", function()
    for words, want in pairs {
      ["ls demo:v1"] = "ls takes a NAME without tag", ["ls Demo"] = "upper case",
      ["ls x@sha256:" .. ("0"):rep(64)] = "ls takes a NAME", ["ls a b"] = "too many arguments",
      ["inspect"] = "missing argument", ["inspect demo:a:b"] = "not allowed", ["inspect http://x/y"] = "no scheme",
      ["tag demo"] = "missing argument", ["tag demo -x"] = "unknown option",
      ["tag demo a/b"] = "cross%-repository tagging not supported", ["tag demo other:v1"] = "copy does that",
      ["rm"] = "missing argument", ["rm demo:"] = "the tag is empty", ["rm demo@sha256:x"] = "64",
      ["inspect demo --row"] = 'did you mean "%-%-raw"',
    } do
      local list = {}
      for word in words:gmatch("%S+") do
        list[#list + 1] = word
      end
      list[#list + 1] = "--registry=http://127.0.0.1:1"
      local result = program.run(list, {})
      assert.equal(64, result.code, words)
      assert.matches(want, result.last)
      assert.equal("", result.out)
    end
  end)
end)
