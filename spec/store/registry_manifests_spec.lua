--- Manifests of a registry in an object store, as bytes and as what they say.
local core = require "epoch.core"
local directory = require "epoch.objectstore.directory"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local manifest = require "epoch.manifest"
local registry = require "epoch.registry"
local support = require "spec.support.store"

-- `use(home, dir)`: the golden store, as a registry.
local function with_home(use)
  support.with_task(function(task, dir)
    generation1.store(dir .. "/s")
    local home = registry.new(task, directory.open(task, dir .. "/s"))
    use(home, dir)
    home:close()
  end)
end

local function refused(kind, words, value, err)
  assert.is_nil(value)
  assert.equal(kind, err.kind, tostring(err))
  assert.matches(words, tostring(err))
end

describe("a manifest", function()
  it("is had as its bytes, by tag and by digest", function()
    with_home(function(home)
      local bytes = golden.read("gen1/manifest.json")
      assert.equal(bytes, (home:manifest_json("g-small", "v1")))
      local oci, digest = support.put_artifact(home, "demo", "v1", { "one" })
      assert.same({ oci, "application/vnd.oci.image.manifest.v1+json" }, { home:manifest_json("demo", "v1") })
      assert.equal(oci, (home:manifest_json("demo", digest)))
      refused("not_found", "demo:v2 is not in file://", home:manifest_json("demo", "v2"))
      assert.equal(bytes, (home:manifest_json("g-small", core.digest(bytes)))) -- which generation 1 stored by tag only
      refused("not_found", "", home:manifest_json("demo", core.digest(bytes)))
      refused("invalid", "", home:manifest_json("../demo", "v1"))
      refused("invalid", "", home:manifest_json("demo", "sha256:.."))
    end)
  end)

  it("is stored as bytes, and the catalog follows", function()
    with_home(function(home)
      local bytes = golden.read("gen1/manifest.json")
      local digest = assert(home:push_manifest_json("vms/copy", "v2", bytes))
      assert.equal(core.digest(bytes), digest)
      assert.equal(bytes, (home:manifest_json("vms/copy", digest)))
      assert.same({ v2 = "manifests/vms/copy/v2.json" }, home:get_catalog().repositories["vms/copy"].tags)
      refused("invalid", "no JSON object", home:push_manifest_json("demo", "v1", "[]"))
      refused("blob_unknown", "", home:push_manifest_json("demo", "v1", (bytes:gsub("a4f934dc", "00000000"))))
    end)
  end)

  it("is had as what it says, of either generation", function()
    with_home(function(home)
      local m = assert(home:pull_manifest("g-small", "v1"))
      assert.same({ 1, "g-small", "v1", generation1.ID, 6, 1 },
        { m.generation, m.name, m.tag, m.snapshot_id, #m.layers, #m.base_images })
      local bytes, digest = support.put_artifact(home, "demo", "v1", { "one" })
      m = assert(home:pull_manifest("demo", digest))
      assert.same({ 2, bytes, digest, 1 }, { m.generation, m.bytes, m.digest, #m.layers })
      refused("not_found", "demo:v2", home:pull_manifest("demo", "v2"))
    end)
  end)

  it("that was had is stored again under the name and the tag that it has", function()
    with_home(function(home)
      local m = assert(home:pull_manifest("g-small", "v1"))
      assert.equal(m.digest, home:push_manifest(m))
      assert.equal(m.bytes, (home:manifest_json("g-small", m.digest)))
      m.tag, m.memory = "v2", 1024
      assert(home:push_manifest(m))
      assert.same({ "v1", "v2" }, home:list_tags("g-small"))
      local changed = assert(home:pull_manifest("g-small", "v2"))
      assert.same({ "v2", 1024, m.pushed_at, 2167544 },
        { changed.tag, changed.memory, changed.pushed_at, changed.total_size })
    end)
  end)

  it("that is built is stored, when its blobs are there", function()
    with_home(function(home)
      local given = {
        name = "built", tag = "v1", snapshot_id = "ID", created_at = "2026-03-01T00:00:00Z",
        pushed_at = "2026-03-01T00:00:00Z", cpu = 2,
        layers = { { title = "config.json", size = 2, digest = core.digest("{}") } },
      }
      refused("blob_unknown", "", home:push_manifest(given))
      assert(home:put_blob("built", core.digest("{}"), 2, "{}"))
      local digest = assert(home:push_manifest(given))
      local m = assert(home:pull_manifest("built", digest))
      assert.same({ "built", 2, "application/vnd.cocoon.config+json" }, { m.name, m.cpu, m.layers[1].media_type })
      given.tag = "../x"
      refused("invalid", "", home:push_manifest(given))
      given.tag = nil
      assert.has_error(function() home:push_manifest(given) end)
    end)
  end)

  it("that cannot be of generation 1 is refused", function()
    with_home(function(home)
      support.put_artifact(home, "demo", "v1", { "one" })
      refused("unsupported", "not of generation 1", home:push_manifest(assert(home:pull_manifest("demo", "v1"))))
      local m = assert(manifest.parse('{"schemaVersion":1,"name":"x","tag":"v1","layers":[]}'))
      refused("invalid", "snapshot_id is missing", home:push_manifest(m))
      m = assert(home:pull_manifest("g-small", "v1"))
      m.layers[1].digest = "sha512:" .. ("0"):rep(128)
      refused("invalid", "is not sha256", home:push_manifest(m))
    end)
  end)

  it("is taken away by its tag, or with all its tags by its digest", function()
    with_home(function(home)
      local bytes = golden.read("gen1/manifest.json")
      local digest = assert(home:push_manifest_json("g-small", "v2", bytes))
      assert(home:push_manifest_json("g-small", "v3", bytes))
      assert.is_true(home:delete_manifest("g-small", "v2"))
      assert.is_true(home:delete_manifest("g-small", "v2"))
      assert.same({ "v1", "v3" }, home:list_tags("g-small"))
      assert.is_true(home:delete_manifest("g-small", digest))
      assert.is_nil((home:manifest_json("g-small", "v1")))
      refused("not_found", "g%-small", home:list_tags("g-small"))
      refused("invalid", "", home:list_tags("../x"))
      assert.same({}, home:get_catalog().repositories)
    end)
  end)
end)
