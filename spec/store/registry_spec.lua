local catalog = require "epoch.catalog"
local catalog_race = require "spec.support.catalog_race"
local core = require "epoch.core"
local directory = require "epoch.objectstore.directory"
local errors = require "epoch.errors"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local json = require "epoch.json"
local registry = require "epoch.registry"
local support = require "spec.support.store"
local tasks = require "epoch.task"
local work = require "spec.support.work"


local function with_home(use)
  support.with_task(function(task, dir)
    local home = assert(homes.open(task, "file://" .. dir .. "/s"))
    use(home, dir .. "/s", task)
    home:close()
  end)
end

local function kind(wanted, value, err)
  assert.is_nil(value)
  assert.is_true(errors.is(err))
  assert.equal(wanted, err.kind)
  return err
end

local function catalog_of(dir)
  local bytes = work.read_file(dir .. "/catalog.json")
  return bytes and assert(catalog.parse(bytes)).repositories
end

local function tags_in_catalog(dir, name)
  local entry = catalog_of(dir)[name]
  return entry and entry.tags
end

describe("a blob", function()
  it("is stored once, found by any name, and read in part", function()
    with_home(function(home, dir, task)
      local bytes = work.noise(300000)
      for _, algorithm in ipairs { "sha256", "sha512" } do
        local digest = core.digest(bytes, algorithm)
        local err = kind("not_found", home:blob_size("demo", digest))
        assert.equal(("blob %s is not in file://%s"):format(digest, dir), err.message)
        kind("not_found", home:get_blob("demo", digest))
        assert.is_false(home:mount_blob("demo", digest, "other"))
        assert.is_true(home:put_blob("demo", digest, #bytes, bytes))
        assert.is_true(home:put_blob("demo", digest, #bytes, function() error("not needed") end))
        assert.equal(#bytes, home:blob_size("other/name", digest))
        assert.is_true(home:mount_blob("third", digest, "demo"))
        local source, size = home:get_blob("demo", digest)
        assert.equal(#bytes, size)
        work.assert_same_bytes(bytes, support.bytes(task, source))
        source, size = home:get_blob("demo", digest, { offset = 100000, length = 50 })
        assert.equal(50, size)
        assert.equal(bytes:sub(100001, 100050), support.bytes(task, source))
        assert.equal(bytes, work.read_file(dir .. "/blobs/" .. digest:gsub(":", "/")))
      end
    end)
  end)

  it("may be empty", function()
    with_home(function(home, _, task)
      local digest = core.digest("")
      assert.is_true(home:put_blob("demo", digest, 0, ""))
      assert.equal(0, home:blob_size("demo", digest))
      assert.equal("", support.bytes(task, home:get_blob("demo", digest)))
    end)
  end)

  it("is there only when it is what was promised", function()
    with_home(function(home, dir)
      local digest = core.digest("abc")
      kind("digest_mismatch", home:put_blob("demo", digest, 3, "abd"))
      kind("size_mismatch", home:put_blob("demo", digest, 4, "abc"))
      kind("size_mismatch", home:put_blob("demo", digest, 2, "abc"))
      kind("invalid", home:put_blob("demo", digest, -1, "abc"))
      kind("invalid", home:put_blob("demo", digest, 0 / 0, "abc"))
      assert.same({}, support.files(dir))
    end)
  end)

  it("is not believed when it has another size", function()
    with_home(function(home, dir)
      local digest = core.digest("abc")
      assert(home:put_blob("demo", digest, 3, "abc"))
      work.write_file(dir .. "/blobs/" .. digest:gsub(":", "/"), "ab")
      assert(home:put_blob("demo", digest, 3, "abc"))
      assert.equal(3, home:blob_size("demo", digest))
    end)
  end)
end)

describe("a cancelled upload", function()
  it("leaves nothing, and can be done again", function()
    with_home(function(home, dir, task)
      local bytes = work.noise(100000)
      local digest = core.digest(bytes)
      local source, sink = core.pipe()
      assert(sink:write(bytes:sub(1, 5000)))
      task.loop:cancel("enough")
      kind("cancelled", home:put_blob("demo", digest, #bytes, source))
      sink:close()
      assert.same({}, support.files(dir))
      assert.is_true(home:put_blob("demo", digest, #bytes, bytes))
      assert.equal(#bytes, home:blob_size("demo", digest))
    end)
  end)
end)

describe("hostile names", function()
  it("are refused before any path is touched", function()
    with_home(function(home, dir)
      local digest = core.digest("x")
      for _, name in ipairs { "", "..", "../etc", "a/../b", "/a", "a//b", "a/", "A", "_digests", "a/_digests",
                              "a\nb", "a\0", ("a"):rep(256), ".locks" } do
        kind("invalid", home:blob_size(name, digest))
        kind("invalid", home:get_blob(name, digest))
        kind("invalid", home:put_blob(name, digest, 1, "x"))
        kind("invalid", home:mount_blob(name, digest, "a"))
        kind("invalid", home:mount_blob("a", digest, name))
        kind("invalid", home:get_manifest(name, "v1"))
        kind("invalid", home:put_manifest(name, "v1", "{}"))
        kind("invalid", home:delete_manifest(name, "v1"))
        kind("invalid", home:tags(name))
      end
      for _, given in ipairs { "", "..", "a/b", "-x", "a b", "sha256:..", "sha256:" .. ("A"):rep(64),
                               "md5:" .. ("a"):rep(32), digest .. "/x", digest .. "\n", ("t"):rep(129) } do
        kind("invalid", home:get_manifest("a", given))
        kind("invalid", home:put_manifest("a", given, "{}"))
        kind("invalid", home:delete_manifest("a", given))
        kind("invalid", home:blob_size("a", given))
        kind("invalid", home:put_blob("a", given, 1, "x"))
      end
      assert.equal("not_found", select(3, core.stat(dir)))
    end)
  end)
end)

describe("a manifest", function()
  it("is found by tag and digest, with its bytes, digest and type", function()
    with_home(function(home, dir)
      kind("not_found", home:get_manifest("a/b", "v1"))
      local bytes, digest = support.put_artifact(home, "a/b", "v1", { "one", "two" })
      local wanted = { bytes = bytes, digest = digest,
                       media_type = "application/vnd.oci.image.manifest.v1+json" }
      assert.equal(core.digest(bytes), digest)
      assert.same(wanted, home:get_manifest("a/b", "v1"))
      assert.same(wanted, home:get_manifest("a/b", digest))
      assert.equal(bytes, work.read_file(dir .. "/manifests/a/b/v1.json"))
      assert.equal(bytes, work.read_file(dir .. "/manifests/a/b/_digests/" .. digest:gsub(":", "-") .. ".json"))
      kind("not_found", home:get_manifest("a", digest))
      local _, by_digest = support.put_artifact(home, "d", "by digest", { "one" })
      kind("not_found", home:get_manifest("d", "latest"))
      assert.equal(by_digest, home:get_manifest("d", by_digest).digest)
      assert.same({}, home:tags("d"))
      local long = core.digest(bytes, "sha512")
      assert.equal(long, home:put_manifest("a/b", long, bytes))
      assert.equal(long, home:get_manifest("a/b", long).digest)
    end)
  end)

  it("is refused when it is none, or not the one that was said", function()
    with_home(function(home, dir)
      kind("invalid", home:put_manifest("a", "v1", "no json"))
      kind("invalid", home:put_manifest("a", "v1", "[]"))
      kind("invalid", home:put_manifest("a", "v1", '{"layers":1}'))
      kind("invalid", home:put_manifest("a", "v1", '{"layers":[{"digest":"x","size":1}]}'))
      kind("invalid", home:put_manifest("a", "v1", '{"mediaType":"a/b"}', "c/d"))
      kind("invalid", home:put_manifest("a", "v1", '{"layers":[],"layers":[]}'))
      kind("invalid", home:put_manifest("a", "v1", '{"manifests":[],"layers":[]}'))
      kind("invalid", home:put_manifest("a", "v1", '{"manifests":[]}', "application/vnd.oci.image.manifest.v1+json"))
      kind("invalid", home:put_manifest("a", "v1", '{"config":{}}', "application/vnd.oci.image.index.v1+json"))
      kind("too_large", home:put_manifest("a", "v1", ("x"):rep(4 * 1024 * 1024 + 1)))
      kind("digest_mismatch", home:put_manifest("a", core.digest("x"), "{}"))
      assert.same({}, support.files(dir))
      assert(home:put_manifest("a", "v1", '{"manifests":[]}'))
      assert.equal("application/vnd.oci.image.index.v1+json", home:get_manifest("a", "v1").media_type)
    end)
  end)

  it("is stored only when its blobs are there, with their sizes", function()
    with_home(function(home)
      assert(home:put_blob("a", core.digest("{}"), 2, "{}"))
      local function manifest(digest, size, more)
        return ('{"schemaVersion":2,"config":{"digest":"%s","size":2},"layers":[{"digest":"%s","size":%d%s}]%s}')
          :format(core.digest("{}"), digest, size, more or "",
                  ',"subject":{"mediaType":"x/y","digest":"' .. core.digest("no") .. '","size":2}')
      end
      local err = kind("blob_unknown", home:put_manifest("a", "v1", manifest(core.digest("x"), 1)))
      assert.matches(core.digest("x"), err.message, 1, true)
      assert.matches("again when a gc has removed it", err.message, 1, true)
      kind("size_mismatch", home:put_manifest("a", "v1", manifest(core.digest("{}"), 3)))
      kind("not_found", home:get_manifest("a", "v1"))
      assert(home:put_manifest("a", "v1", manifest(core.digest("x"), 1, ',"urls":["http://elsewhere/"]')))
      assert(home:put_manifest("a", "v2", manifest(core.digest("x"), 1,
        ',"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar"')))
      assert(home:put_manifest("a", "v3", manifest(core.digest("{}"), 2)))
    end)
  end)

  it("that has changed on disk is not handed out", function()
    with_home(function(home, dir)
      local _, digest = support.put_artifact(home, "a", "v1", { "one" })
      local path = dir .. "/manifests/a/_digests/" .. digest:gsub(":", "-") .. ".json"
      work.write_file(path, '{"layers":[]}')
      kind("digest_mismatch", home:get_manifest("a", digest))
      work.write_file(dir .. "/manifests/a/v1.json", "no json")
      kind("invalid", home:get_manifest("a", "v1"))
    end)
  end)

  it("is deleted by tag, alone, or by digest with every tag of it", function()
    with_home(function(home, dir)
      assert.is_true(home:delete_manifest("a", "v1"))
      assert.is_true(home:delete_manifest("a", core.digest("x")))
      assert.equal("not_found", select(3, core.stat(dir)))
      local _, one = support.put_artifact(home, "a", "v1", { "one" })
      support.put_artifact(home, "a", "v2", { "one" })
      support.put_artifact(home, "a", "latest", { "two" })
      support.put_artifact(home, "b", "v1", { "one" })
      assert.is_true(home:delete_manifest("a", "v2"))
      assert.is_true(home:delete_manifest("a", "v2"))
      kind("not_found", home:get_manifest("a", "v2"))
      assert.equal(one, home:get_manifest("a", one).digest)
      support.put_artifact(home, "a", "v2", { "one" })
      assert.is_true(home:delete_manifest("a", one))
      assert.same({ "latest" }, home:tags("a"))
      assert.same({ latest = "manifests/a/latest.json" }, tags_in_catalog(dir, "a"))
      kind("not_found", home:get_manifest("a", one))
      assert.equal(one, home:get_manifest("b", "v1").digest)
      assert.equal(3, home:blob_size("a", core.digest("one")))
      assert.is_true(home:delete_manifest("b", "v1"))
      assert.is_nil(tags_in_catalog(dir, "b"))
      assert.same({ "a" }, home:repositories())
    end)
  end)
end)

describe("the catalog", function()
  it("has the members and the layout of the reference's", function()
    with_home(function(home, dir)
      support.put_artifact(home, "g-small", "v1", { "one" })
      support.put_artifact(home, "demo", "latest", { "one" })
      local bytes = work.read_file(dir .. "/catalog.json")
      local T = "%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ"
      assert.equal(3, select(2, bytes:gsub('"updatedAt": "' .. T .. '"', "")))
      assert.equal([[
{
  "repositories": {
    "demo": {
      "tags": {
        "latest": "manifests/demo/latest.json"
      },
      "updatedAt": T
    },
    "g-small": {
      "tags": {
        "v1": "manifests/g-small/v1.json"
      },
      "updatedAt": T
    }
  },
  "updatedAt": T
}]], (bytes:gsub('"' .. T .. '"', "T")))
    end)
  end)

  it("of the reference is read, and written back as it was", function()
    local bytes = golden.read("v1-small/catalog.json")
    local read = assert(catalog.parse(bytes))
    assert.equal((bytes:gsub("%s*$", "")), assert(catalog.encode(read)))
    assert.equal("manifests/g-small/v1.json", read.repositories["g-small"].tags.v1)
    assert.equal(json.decode(bytes).updatedAt, read.updated_at)
  end)

  it("keeps what only generation 1 took for a name, and says that nothing leads to it", function()
    with_home(function(home, dir)
      local old, younger = "manifests/Demo..Agent/v1.json", "manifests/a/v1+x.json"
      support.put_artifact(home, "a", "v1", { "one" })
      for _, key in ipairs { old, younger } do
        assert(home.store:put(key, 2, "{}"))
      end
      work.write_file(dir .. "/catalog.json", json.encode { repositories = {
        ["Demo..Agent"] = { tags = { v1 = old }, updatedAt = "2025-01-02T03:04:05.678Z" },
        a = { tags = { v1 = "manifests/a/v1.json", ["v1+x"] = younger } },
      } })
      for _, change in ipairs { function() support.put_artifact(home, "a", "v2", { "one" }) end,
                                function() assert(home:rebuild_catalog()) end } do
        change()
        local all = json.decode(work.read_file(dir .. "/catalog.json")).repositories
        assert.equal(old, all["Demo..Agent"].tags.v1)
        assert.same({ v1 = "manifests/a/v1.json", v2 = "manifests/a/v2.json", ["v1+x"] = younger }, all.a.tags)
      end
      assert.is_nil(home.notice)
      assert.same({ "a" }, home:repositories())
      assert.equal(("file://%s has 2 tags that no reference leads to, for their names are none here "
        .. "(Demo..Agent:v1 and others)"):format(dir), home.notice)
      assert.same({ "Demo..Agent:v1", "a:v1+x" }, home:others())
      assert.same({ "v1", "v2" }, home:tags("a"))
    end)
  end)

  it("never decides what can be reached", function()
    with_home(function(home, dir)
      support.put_artifact(home, "a", "v1", { "one" })
      support.put_artifact(home, "b/c", "v1", { "one" })
      for _, text in ipairs { '{"repositories":{"b/c":{"tags":{}},"../x":{"tags":{}},"gone":{}}}', "no json",
                              '{"repositories":[1,2],"x":null}', "" } do
        work.write_file(dir .. "/catalog.json", text)
        assert.same({ "v1" }, home:tags("a"))
        assert.same(text:find("gone") and { "a", "b/c", "gone" } or { "a", "b/c" }, home:repositories())
        assert.is_table(home:get_manifest("a", "v1"))
      end
      assert(core.unlink(dir .. "/catalog.json"))
      assert.same({ "a", "b/c" }, home:repositories())
      assert.is_true(home:rebuild_catalog())
      assert.same({ v1 = "manifests/b/c/v1.json" }, tags_in_catalog(dir, "b/c"))
      -- a push repairs one that cannot be read, or is none, all of it
      for _, text in ipairs { "{", "", "[]", "{}", "null", '{"repositories":null}',
                              '{"repositories":[1,{"tags":[2]}]}' } do
        work.write_file(dir .. "/catalog.json", text)
        support.put_artifact(home, "a", "v2", { "one" })
        assert.same({ v1 = "manifests/a/v1.json", v2 = "manifests/a/v2.json" }, tags_in_catalog(dir, "a"))
        assert.same({ v1 = "manifests/b/c/v1.json" }, tags_in_catalog(dir, "b/c"))
      end
      work.write_file(dir .. "/catalog.json", '{"repositories":{"x":{"tags":["y"]}}}')
      support.put_artifact(home, "a", "v2", { "one" })
      assert.same({}, tags_in_catalog(dir, "x"))
    end)
  end)

  it("tells repositories from parts of their names", function()
    with_home(function(home)
      support.put_artifact(home, "a/b", "v1", { "one" })
      kind("not_found", home:tags("a"))
      support.put_artifact(home, "a", "b", { "one" })
      assert.same({ "b" }, home:tags("a"))
      assert.same({ "a", "a/b" }, home:repositories())
    end)
  end)

  it("loses nothing when two processes write at once, twenty times in a row", function()
    work.in_memory(function(dir)
      local task = assert(tasks.new())
      catalog_race.run(task, dir, "file://" .. dir .. "/homeROUND", 20)
      task:close()
      for round = 1, 20 do
        local n = 0
        for name, entry in pairs(catalog_of(dir .. "/home" .. round)) do
          n = n + 1
          assert.same({ v1 = ("manifests/%s/v1.json"):format(name) }, entry.tags)
        end
        assert.equal(2 * catalog_race.EACH, n)
      end
    end)
  end)

  it("loses nothing when one task does many things at once", function()
    with_home(function(home, dir, task)
      local functions = {}
      for i = 1, 12 do
        functions[i] = function()
          return home:put_manifest("vm", "v" .. i, '{"schemaVersion":2,"layers":[]}')
        end
      end
      assert(task:all(functions))
      assert.equal(12, #home:tags("vm"))
      for i = 1, 12 do
        assert.equal(("manifests/vm/v%d.json"):format(i), tags_in_catalog(dir, "vm")["v" .. i])
      end
    end)
  end)

  it("gives up a change that is never let through, and says so", function()
    support.with_task(function(task, dir)
      local store = directory.open(task, dir .. "/s")
      local tries = 0
      local busy = setmetatable({
        put = function(_, key, ...)
          if key == "catalog.json" then
            tries = tries + 1
            return errors.fail(tries < 4 and "conflict" or "no_space", "not now")
          end
          return store:put(key, ...)
        end,
      }, { __index = function(_, name)
        return function(_, ...) return store[name](store, ...) end
      end })
      local home = registry.new(task, busy)
      kind("no_space", home:put_manifest("a", "v1", "{}"))
      assert.equal(4, tries)
      assert.same({ "v1" }, home:tags("a")) -- and the tag can be reached all the same
    end)
  end)
end)

describe("golden artifacts", function()
  it("are put and got byte for byte: a cloud image", function()
    local manifest = golden.read("cloudimg/manifest.json")
    local value = assert(json.decode(manifest))
    with_home(function(home, _, task)
      local function put(blob)
        local bytes = golden.read("cloudimg/blobs/" .. blob.digest:match(":(.*)"))
        assert(home:put_blob("win", blob.digest, #bytes, bytes))
        work.assert_same_bytes(bytes, support.bytes(task, home:get_blob("win", blob.digest)))
      end
      put(value.config)
      for _, layer in ipairs(value.layers) do
        put(layer)
      end
      local digest = assert(home:put_manifest("win", "latest", manifest))
      assert.equal(manifest, home:get_manifest("win", digest).bytes)
    end)
  end)

  it("are put and got byte for byte: a snapshot", function()
    local manifest = golden.read("v1-small/manifest.json")
    local config = golden.read("v1-small/config.json")
    with_home(function(home, dir, task)
      local function put(bytes)
        local digest = core.digest(bytes)
        assert(home:put_blob("g-small", digest, #bytes, bytes))
        work.assert_same_bytes(bytes, support.bytes(task, home:get_blob("g-small", digest)))
      end
      put(config)
      local reader = assert(core.tar_reader(core.bytes(golden.read("v1-small/import.tar"))))
      while true do
        local entry = task:await(reader, "next")
        if not entry then
          assert.is_false(entry)
          break
        end
        put(support.bytes(task, reader:body()))
      end
      reader:close()
      assert(home:put_manifest("g-small", "v1", manifest)) -- every blob it needs is there
      assert.equal(manifest, home:get_manifest("g-small", "v1").bytes)
      assert.equal(manifest, work.read_file(dir .. "/manifests/g-small/v1.json"))
    end)
  end)
end)
