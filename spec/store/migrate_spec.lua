local artifacts = require "spec.support.artifacts"
local cloudimg = require "epoch.cloudimg"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local migrate = require "epoch.migrate"
local migration = require "spec.support.migration"
local ports = require "epoch.ports"
local snapshot = require "epoch.snapshot"
local support = require "spec.support.store"
local work = require "spec.support.work"

local ID = ("cd"):rep(32)
local OVERLAY = "24e75fa0aa688f6c44aa906b7e8a6aa09f6b05aba4929c4853bdcb6cd6f014ec"
local BASE = "e084bb2b54af1fe4a4d231dbf55b90b228a948734eeb84c729e0c4e50c489e57"

-- The golden store, with a second tag and an image, and an empty home: oci:DIR, or file://DIR.
local function with_homes(to, use)
  support.with_task(function(task, dir)
    local from = assert(homes.open(task, "file://" .. dir .. "/old"))
    migration.fill(from, dir)
    local other = assert(homes.open(task, to .. dir .. "/new"))
    use(task, from, other, dir)
    other:close()
    from:close()
  end)
end

-- "NAME:TAG STATE TRANSFERRED" of each.
local function told(results)
  local lines = {}
  for i, one in ipairs(results) do
    lines[i] = ("%s:%s %s %d"):format(one.name, one.tag, one.state, one.transferred)
  end
  return lines
end

local function parsed(home, name, tag)
  local found = assert(home:get_manifest(name, tag))
  return assert(manifest.parse(found.bytes, found.media_type))
end

local function disk(task, home, name, tag)
  local sink = core.collect(100000)
  assert(cloudimg.stream_parsed(task, parsed(home, name, tag),
    ports.blob_reader(ports.downloader(home), name), { writer = sink }))
  local bytes = sink:bytes()
  sink:close()
  return bytes
end

-- What a pull gives cocoon.
local function pulled(task, home, dir)
  local cocoon = snapshot.exec_cocoon { binary = artifacts.program(dir) }
  assert(snapshot.puller { downloader = ports.downloader(home), cocoon = cocoon, task = task }:pull {
    name = "g-small", tag = "v1" })
  return core.digest(work.read_file(dir .. "/committed"))
end

describe("a dry run", function()
  it("says of what could not be migrated why that is so", function()
    with_homes("file://", function(task, from, to, dir)
      local bytes = golden.read("gen1/manifest.json"):gsub('"cidata.img"', '"snapshot.json"')
      assert(from:put_manifest("broken", "named", bytes))
      local base = dir .. "/old/blobs/sha256/" .. BASE
      local good = work.read_file(base)
      local function fails(name, wanted, words)
        for _, dry in ipairs { true, false } do
          local done, err = migrate.migrate(task, { from = from, to = to, names = { name }, dry_run = dry })
          assert.is_nil(done)
          assert.equal(wanted, err.kind)
          assert.matches(words, err.message, 1, true)
        end
      end
      work.write_file(base, "short")
      fails("g-small", "size_mismatch", "5")
      work.write_file(base, good)
      fails("broken", "invalid", "a layer is called snapshot.json")
      assert(from:delete_blob("g-small", "sha256:" .. OVERLAY))
      fails("g-small", "not_found", OVERLAY)
      assert.same({ "win11:latest planned 0" },
        told(assert(migrate.migrate(task, { from = from, to = to, names = { "win11" }, dry_run = true }))))
    end)
  end)
end)

describe("a tag of a name that is none here", function()
  it("is told as not migrated, and keeps no other from being so", function()
    with_homes("file://", function(task, from, to)
      local bytes = golden.read("gen1/manifest.json")
      assert(from.store:put("manifests/Demo/v1.json", #bytes, bytes))
      local said = {}
      local done, err, some = migrate.migrate(task, { from = from, to = to, progress = function(line)
        said[#said + 1] = line
      end })
      assert.is_nil(done)
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find("1 of 4 tags were not migrated (Demo:v1)", 1, true))
      assert.truthy(said[1]:find('Demo:v1: no reference can be "Demo:v1"', 1, true))
      assert.equal(3, #some)
      assert.equal(2, #assert(migrate.migrate(task, { from = from, to = to, names = { "g-small" } })))
    end)
  end)
end)

for _, kind in ipairs { "file://", "oci:" } do
  describe("a migration to " .. kind, function()
    it("makes of every tag what a push of today would have made", function()
      with_homes(kind, function(task, from, to, dir)
        local results = assert(migrate.migrate(task, { from = from, to = to }))
        assert.equal(3, #results)
        assert.same({ "g-small", "v1", "migrated", "snapshot" },
          { results[1].name, results[1].tag, results[1].state, results[1].kind })
        assert.equal("win11:latest migrated 11", told(results)[3])
        assert.same({ "base-images", "g-small", "win11" }, to:repositories())
        assert.same({ "v1", "v2" }, to:tags("g-small"))

        local was, m = manifest.parse(golden.read("gen1/manifest.json")), parsed(to, "g-small", "v1")
        assert.equal(results[1].digest, m.digest)
        assert.equal("snapshot", manifest.classify(m))
        assert.same({
          [media.CREATED] = "2026-11-21T05:16:18.457904159Z", [media.BASE_IMAGE] = "base-images:" .. ID,
          [media.SNAPSHOT_ID] = "W2JU6RNPEHO2QGIGBWCR34YDIT", [media.MIGRATED] = was.digest,
        }, m.annotations)
        assert.equal("2026-11-21T06:16:18.457904159Z", parsed(to, "g-small", "v2").annotations[media.CREATED])

        -- the same files as cocoon's own export of that snapshot, with the same holes
        local today = json.decode(golden.read("v1-small/manifest.json"))
        local maps = json.decode(golden.read("v1-small/config.json")).files
        local config = assert(snapshot.fetch_snapshot_config(task, ports.downloader(to), "g-small", m.config))
        assert.equal(was.created_at, config.created_at)
        for i, layer in ipairs(today.layers) do
          local title = layer.annotations[media.TITLE]
          assert.same({ layer.digest, layer.size, layer.mediaType, title },
            { m.layers[i].digest, m.layers[i].size, m.layers[i].media_type, m.layers[i].title })
          assert.equal(maps[title].sparseMap, config.files[title].sparse_map)
          assert.equal(maps[title].sparseSize, config.files[title].sparse_size)
        end
        assert.equal(#today.layers, #m.layers)
        assert.equal(pulled(task, from, dir), pulled(task, to, dir))

        assert.equal("sha256:" .. BASE, core.digest(disk(task, to, "base-images", ID)))
        assert.equal("hello world", disk(task, to, "win11", "latest"))
        local image = parsed(to, "win11", "latest")
        assert.equal("2026-03-01T00:00:00Z", image.annotations[media.CREATED])
        assert.equal(media.DISK_RAW .. ".part", image.layers[1].media_type)
      end)
    end)

    it("moves no byte a second time", function()
      with_homes(kind, function(task, from, to)
        assert(migrate.migrate(task, { from = from, to = to }))
        local read, get_blob = 0, from.get_blob
        from.get_blob = function(...)
          read = read + 1
          return get_blob(...)
        end
        assert.same({ "g-small:v1 there 0", "g-small:v2 there 0", "win11:latest there 0" },
          told(assert(migrate.migrate(task, { from = from, to = to }))))
        assert.equal(0, read)
      end)
    end)

    it("that is a dry run writes nothing", function()
      with_homes(kind, function(task, from, to, dir)
        local before = support.files(dir .. "/new")
        assert.same({ "g-small:v1 planned 0", "g-small:v2 planned 0" },
          told(assert(migrate.migrate(task, { from = from, to = to, names = { "g-small" }, dry_run = true }))))
        assert.same(before, support.files(dir .. "/new"))
      end)
    end)
  end)
end

describe("a migration", function()
  it("goes on after one that fails, and is completed by the next", function()
    with_homes("file://", function(task, from, to, dir)
      local blob = dir .. "/old/blobs/sha256/" .. OVERLAY
      local bytes = work.read_file(blob)
      work.write_file(blob, bytes:reverse())
      local ok, err, done = migrate.migrate(task, { from = from, to = to })
      assert.is_nil(ok)
      assert.equal("digest_mismatch", err.kind)
      assert.matches("^2 of 3 tags were not migrated %(g%-small:v1, g%-small:v2%)", tostring(err))
      assert.same({ "win11:latest migrated 11" }, told(done))
      assert.same({}, to:tags("g-small") or {})
      work.write_file(blob, bytes)
      local again = assert(migrate.migrate(task, { from = from, to = to }))
      assert.equal("migrated", again[1].state)
      assert.equal("win11:latest there 0", told(again)[3])
      assert.equal(0, again[2].transferred) -- the blobs of v1
    end)
  end)

  it("puts back what was lost on the other side", function()
    with_homes("file://", function(task, from, to, dir)
      local opts = { from = from, to = to, names = { "g-small" } }
      local first = assert(migrate.migrate(task, opts))
      os.remove(dir .. "/new/blobs/sha256/" .. BASE)
      os.remove(dir .. "/new/blobs/" .. first[1].layers[1].digest:gsub(":", "/"))
      local again = assert(migrate.migrate(task, opts))
      assert.same({ "g-small:v1 migrated " .. 7004 + first[1].layers[1].size, "g-small:v2 there 0" }, told(again))
      assert.equal(first[1].digest, again[1].digest)
      assert.truthy(core.stat(dir .. "/new/blobs/sha256/" .. BASE))
    end)
  end)

  it("tells of when it was pushed what does not know when it was made, or says that it was before 1970", function()
    with_homes("file://", function(task, from, to)
      for tag, time in pairs { unknown = "0001-01-01T00:00:00Z", early = "1969-12-31T23:59:59Z" } do
        local bytes = golden.read("gen1/manifest.json"):gsub('(createdAt": ")[^"]*', "%1" .. time)
        assert(from:put_manifest("odd", tag, bytes))
        assert(migrate.migrate(task, { from = from, to = to, names = { "odd" } }))
        assert.equal("2026-11-21T05:18:10.843597284Z", parsed(to, "odd", tag).annotations[media.CREATED])
      end
    end)
  end)

  it("takes what the first programs wrote, without a version", function()
    with_homes("file://", function(task, from, to)
      local was = assert(manifest.parse(golden.read("gen1/manifest.json")))
      local layers = {}
      for i, layer in ipairs(was.layers) do
        layers[i] = { filename = layer.title, digest = layer.digest:match("%x+$"), size = layer.size }
      end
      assert(from:put_manifest("first", "v1", assert(json.encode {
        name = "first", tag = "v1", snapshotID = "ID1", layers = json.array(layers), totalSize = 1,
        createdAt = "2026-04-01T10:00:00Z",
      })))
      assert.same({ "v1" }, from:tags("first"))
      assert(migrate.migrate(task, { from = from, to = to, names = { "first" } }))
      local m = parsed(to, "first", "v1")
      assert.same({ "ID1", "2026-04-01T10:00:00Z" }, { m.annotations[media.SNAPSHOT_ID], m.annotations[media.CREATED] })
      assert.equal(#was.layers, #m.layers)
    end)
  end)

  it("is of what is there, whatever a catalog says that is behind", function()
    with_homes("file://", function(task, from, to, dir)
      work.write_file(dir .. "/old/catalog.json", '{"repositories":{"ghost":{"tags":{"v1":"manifests/ghost/v1.json"}},'
        .. '"g-small":{"tags":{"gone":"manifests/g-small/gone.json"}}}}')
      assert.equal(3, #assert(migrate.migrate(task, { from = from, to = to })))
      assert.same({ "v1", "v2" }, to:tags("g-small"))
      assert.same({ "base-images", "g-small", "win11" }, to:repositories())
      local done, err = migrate.migrate(task, { from = from, to = to, names = { "ghost" } })
      assert.is_nil(done)
      assert.equal("not_found", err.kind)
    end)
  end)

  it("can stay in its home", function()
    with_homes("file://", function(task, from)
      local opts = { from = from, to = from }
      assert.equal(3, #assert(migrate.migrate(task, opts)))
      assert.equal("snapshot", manifest.classify(parsed(from, "g-small", "v1")))
      assert.equal(2, parsed(from, "g-small", "v1").generation)
      assert.same({}, migrate.migrate(task, opts))
    end)
  end)

  it("follows a tag that was pushed again, and overwrites nothing else", function()
    with_homes("file://", function(task, from, to)
      local opts = { from = from, to = to, names = { "win11" } }
      assert(migrate.migrate(task, opts))
      migration.put_image(from, "win11", { { "d.raw", "newer" } })
      assert.same({ "win11:latest migrated 5" }, told(assert(migrate.migrate(task, opts))))
      local bytes = support.put_artifact(to, "win11", "latest", { "another" })
      local ok, err = migrate.migrate(task, opts)
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
      assert.equal(bytes, to:get_manifest("win11", "latest").bytes)
    end)
  end)

  it("of anything hostile leaves no tag", function()
    with_homes("file://", function(task, from, to)
      for words, change in pairs {
        ["base image"] = { '"cdcd', '"../cd' },
        ["createdAt"] = { '"20%d%d%-[^"]*"', '"never"' },
        ["snapshot.json"] = { '"cidata.img"', '"snapshot.json"' },
        ["two layers"] = { '"cidata.img"', '"config.json"' },
      } do
        assert(from:put_manifest("bad", "v1", (golden.read("gen1/manifest.json"):gsub(change[1], change[2]))))
        local ok, err = migrate.migrate(task, { from = from, to = to, names = { "bad" } })
        assert.is_nil(ok, words)
        assert.equal("invalid", err.kind)
        assert.matches(words, tostring(err), 1, true)
        assert.equal("not_found", select(2, to:get_manifest("bad", "v1")).kind)
      end
    end)
  end)
end)
