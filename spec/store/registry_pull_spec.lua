local core = require "epoch.core"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local paths = require "epoch.cocoon.paths"
local pull = require "epoch.registry.pull"
local support = require "spec.support.store"
local work = require "spec.support.work"

local ID = "W2JU6RNPEHO2QGIGBWCR34YDIT"
local BASE = ("cd"):rep(32) .. ".qcow2"
local SNAPSHOT = { name = "g-small", tag = "v1" }

-- The golden store, and an empty root.
local function with_store(use)
  support.with_task(function(task, dir)
    generation1.store(dir .. "/home")
    local home = assert(homes.open(task, "file://" .. dir .. "/home"))
    use(task, home, paths.new { root_dir = dir .. "/cocoon", task = task }, dir)
    home:close()
  end)
end

local function put(home, change)
  local m = assert(json.decode(golden.read("gen1/manifest.json")))
  m.layers, m.baseImages = json.array(m.layers), json.array(m.baseImages)
  change(m)
  local bytes = assert(json.encode(m))
  return { get_manifest = function() return { bytes = bytes } end,
           get_blob = function(_, ...) return home:get_blob(...) end }
end

local function refused(kind, words, ...)
  local ok, err = pull.pull(...)
  assert.is_nil(ok)
  assert.equal(kind, err.kind, tostring(err))
  assert.matches(words, tostring(err))
end

describe("a pull into cocoon's directories", function()
  it("of the golden artifact gives the golden files and what the manifest says of them", function()
    with_store(function(task, home, here)
      local lines = {}
      local m = assert(pull.pull(task, home, here, { name = "g-small", tag = "v1", progress = function(line)
        lines[#lines + 1] = line
      end }))
      assert.equal(golden.read("gen1/manifest.json"), m.bytes)
      local dir = here:snapshot_data_dir(ID)
      for _, layer in ipairs(m.layers) do
        assert.equal(layer.digest, core.digest(work.read_file(dir .. "/" .. layer.title)))
        assert.equal(tonumber("644", 8), core.stat(dir .. "/" .. layer.title).mode)
      end
      assert.equal(#m.layers, #core.list(dir))
      local base = here:cloudimg_blob_dir() .. "/" .. BASE
      assert.equal(m.base_images[1].digest, core.digest(work.read_file(base)))
      assert.equal(tonumber("444", 8), core.stat(base).mode)
      local expected = golden.read("gen1/snapshots-after-pull.json"):gsub("/var/lib/cocoon", here.root_dir)
      assert.same(json.decode(expected), json.decode(work.read_file(here:snapshot_db_file())))
      assert.equal(7, #lines)
      assert.is_true(here:snapshot_exists("g-small"))
    end)
  end)

  it("moves nothing a second time, and again what is not as it has to be", function()
    with_store(function(task, home, here)
      assert(pull.pull(task, home, here, SNAPSHOT))
      local dir = here:snapshot_data_dir(ID)
      assert(here:update_snapshot_db(function(db)
        db.snapshots[ID].description = "kept"
        return true
      end))
      local state = work.read_file(dir .. "/state.json")
      work.write_file(dir .. "/state.json", state:reverse())
      work.write_file(dir .. "/config.json", "{")
      os.remove(here:cloudimg_blob_dir() .. "/" .. BASE)
      local moved = {}
      assert(pull.pull(task, home, here, { name = "g-small", tag = "v1", on_event = function(e)
        if e.event == "done" then
          moved[e.title] = e.transferred
        end
      end }))
      assert.same({ ["state.json"] = true, ["config.json"] = true, [BASE] = true, ["cidata.img"] = false,
                    ["data-extra.raw"] = false, ["memory-ranges"] = false, ["overlay.qcow2"] = false }, moved)
      work.assert_same_bytes(state, work.read_file(dir .. "/state.json"))
      assert.equal("kept", here:read_snapshot_db().snapshots[ID].description)
    end)
  end)

  it("that fails leaves no record and no part of a file, and can be done again", function()
    with_store(function(task, home, here, dir)
      local blob = dir .. "/home/blobs/sha256/ab8f7f9630dcd7d3233652b355e8136e6e400eca210b3d8c5959b6fe0b1b984b"
      local bytes = work.read_file(blob)
      for kind, bad in pairs { digest_mismatch = bytes:reverse(), size_mismatch = bytes .. "x" } do
        work.write_file(blob, bad)
        local ok, err = pull.pull(task, home, here, SNAPSHOT)
        assert.is_nil(ok)
        assert.truthy(err.kind == kind or err.kind == "too_large", err.kind)
        assert.matches("state.json", tostring(err))
      end
      os.remove(blob)
      refused("not_found", "state.json", task, home, here, SNAPSHOT)
      assert.is_false(here:snapshot_exists("g-small"))
      assert.is_nil(core.stat(here:snapshot_data_dir(ID) .. "/state.json"))
      work.write_file(blob, bytes)
      assert(pull.pull(task, home, here, SNAPSHOT))
      assert.is_true(here:snapshot_exists("g-small"))
    end)
  end)

  it("takes nobody's name, and does not rename", function()
    with_store(function(task, home, here)
      local function has(id, name)
        return assert(here:update_snapshot_db(function(db)
          db.snapshots, db.names = {}, {}
          db.snapshots[id] = { id = id, name = name, created_at = "2026-11-21T05:16:18Z" }
          db.names[name] = id
          return true
        end))
      end
      has("OTHER", "g-small")
      refused("conflict", "another snapshot called g%-small", task, home, here, SNAPSHOT)
      has(ID, "renamed")
      refused("conflict", 'already, as "renamed"', task, home, here, SNAPSHOT)
      assert.is_nil(core.stat(here:snapshot_data_dir(ID)))
    end)
  end)

  it("of anything hostile writes nothing", function()
    with_store(function(task, home, here, dir)
      for words, change in pairs {
        ["snapshot id"] = function(m) m.snapshotId = "../../x" end,
        ["snapshot id \"nil\""] = function(m) m.snapshotId = nil end,
        ["two layers"] = function(m) m.layers = json.array { m.layers.items[1], m.layers.items[1] } end,
        ["snapshot.json"] = function(m) m.layers.items[1].filename = "snapshot.json" end,
        ["base image \"../x.qcow2\""] = function(m) m.baseImages.items[1].filename = "../x.qcow2" end,
        ["base image \"config.json\""] = function(m) m.baseImages.items[1].filename = "config.json" end,
        ["there twice"] = function(m) m.baseImages = json.array { m.baseImages.items[1], m.baseImages.items[1] } end,
        ["createdAt is missing"] = function(m) m.createdAt = nil end,
        ["createdAt is \"2026-02-30T00:00:00Z\""] = function(m) m.createdAt = "2026-02-30T00:00:00Z" end,
      } do
        local ok, err = pull.pull(task, put(home, change), here, SNAPSHOT)
        assert.is_nil(ok, words)
        assert.equal("invalid", err.kind)
        assert.truthy(tostring(err):find(words, 1, true), tostring(err))
      end
      for _, name in ipairs { "../x", "a/b", "..", "", "a\nb" } do
        local ok, err = pull.pull(task, put(home, function(m) m.layers.items[2].filename = name end), here, SNAPSHOT)
        assert.is_nil(ok)
        assert.equal("invalid", err.kind)
      end
      assert.is_nil(core.stat(dir .. "/cocoon"))
    end)
  end)

  it("is of snapshots of generation 1 only", function()
    with_store(function(task, home, here)
      support.put_artifact(home, "oci", "v1", { "one" },
        '"artifactType":"application/vnd.cocoonstack.snapshot.v1+json",')
      refused("unsupported", "not of generation 1", task, home, here, { name = "oci", tag = "v1" })
      assert(home:put_manifest("img", "v1", assert(manifest.v1.build {
        name = "img", tag = "v1", snapshot_id = "", created_at = "T", pushed_at = "T",
        layers = { { title = BASE, size = 7004, digest =
          "sha256:e084bb2b54af1fe4a4d231dbf55b90b228a948734eeb84c729e0c4e50c489e57" } },
      })))
      refused("unsupported", "is a cloud image, not a snapshot", task, home, here, { name = "img", tag = "v1" })
      refused("not_found", "none:v1", task, home, here, { name = "none", tag = "v1" })
      refused("not_found", "g%-small:latest", task, home, here, { name = "g-small" })
      assert.has_error(function() pull.pull(task, home, here, { name = "g-small", tagg = "v1" }) end)
    end)
  end)
end)
