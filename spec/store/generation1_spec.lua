--- A store that programs of generation 1 have filled, seen through everything that reads it.
local artifacts = require "spec.support.artifacts"
local copy = require "epoch.copy"
local core = require "epoch.core"
local cloudimg = require "epoch.cloudimg"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local inspect = require "epoch.inspect"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local old = require "epoch.snapshot.old"
local ports = require "epoch.ports"
local snapshot = require "epoch.snapshot"
local support = require "spec.support.store"
local work = require "spec.support.work"

-- An image as it was stored: parts of a disk, in any order.
local function put_image(home, name, parts)
  local layers = {}
  for i, part in ipairs(parts) do
    local digest = core.digest(part[2])
    assert(home:put_blob(name, digest, #part[2], part[2]))
    layers[i] = { title = part[1], digest = digest, size = #part[2] }
  end
  assert(home:put_manifest(name, "latest", assert(manifest.v1.build {
    name = name, tag = "latest", snapshot_id = "", layers = layers,
    created_at = "2026-03-01T00:00:00Z", pushed_at = "2026-03-01T00:00:00Z",
  })))
end

local function with_store(use)
  support.with_task(function(task, dir)
    generation1.store(dir .. "/home")
    local home = assert(homes.open(task, "file://" .. dir .. "/home"))
    put_image(home, "win11", { { "d.qcow2.part.2", "world" }, { "d.qcow2.part.1", "hello " } })
    use(task, home, dir)
    home:close()
  end)
end

-- What a tar has: { name=, mode=, bytes=, sparse= } each.
local function read_tar(task, path)
  local reader, entries = assert(core.tar_reader(core.file(path), { sparse = "COCOON.sparse" })), {}
  while true do
    local entry = task:await(reader, "next")
    if not entry then
      reader:close()
      return entries
    end
    local sink = core.collect(4 * 1024 * 1024)
    assert(task:flow { source = reader:body(), sink = sink, size = entry.size })
    entries[#entries + 1] = { name = entry.name, mode = entry.mode, sparse = entry.sparse, bytes = sink:bytes() }
    sink:close()
  end
end

-- A file with its holes as zeros.
local function expand(entry)
  if not entry.sparse then
    return entry.bytes
  end
  local out, at, from = {}, 0, 1
  for _, piece in ipairs(json.decode(entry.sparse.map)) do
    out[#out + 1] = ("\0"):rep(piece.o - at) .. entry.bytes:sub(from, from + piece.l - 1)
    at, from = piece.o + piece.l, from + piece.l
  end
  return table.concat(out) .. ("\0"):rep(entry.sparse.size - at)
end

local function maps_of(entries)
  local maps = {}
  for _, entry in ipairs(entries) do
    maps[entry.name] = entry.sparse and entry.sparse.map or nil
  end
  return maps
end

-- What cocoon itself wrote of the same snapshot, while its files had their holes.
local function golden_maps(task, dir)
  work.write_file(dir .. "/golden.tar", golden.read("v1-small/export.tar"))
  return maps_of(read_tar(task, dir .. "/golden.tar"))
end

describe("a store of generation 1", function()
  it("is listed with what its artifacts are", function()
    with_store(function(task, home)
      assert.same({ "g-small", "win11" }, home:repositories())
      local found = assert(inspect(task, home, "g-small", "v1"))
      assert.same({ "snapshot", 2167544, "2026-11-21T05:16:18Z", "{}" },
                  { found.kind, found.size, found.created, found.config })
      assert.equal(golden.read("gen1/manifest.json"), found.bytes)
      assert.equal("memory-ranges", found.layers[4].title)
      assert.same({ { tag = "v1", kind = "snapshot", size = 2167544, digest = found.digest,
                      created = "2026-11-21T05:16:18Z" } }, inspect.tags(task, home, "g-small"))
      assert.equal("cloud-image", assert(inspect.tags(task, home, "win11"))[1].kind)
    end)
  end)

  it("gives its images, the parts by name", function()
    with_store(function(task, home)
      local sink = core.collect(100)
      local m = assert(ports.fetch_manifest(ports.downloader(home), "win11", "latest"))
      assert.is_true(cloudimg.stream_parsed(task, m, ports.blob_reader(ports.downloader(home), "win11"),
        { writer = sink }))
      assert.equal("hello world", sink:bytes())
      sink:close()
    end)
  end)

  it("gives its snapshots as what cocoon imports, holes as holes", function()
    with_store(function(task, home, dir)
      local cocoon = snapshot.exec_cocoon { binary = artifacts.program(dir) }
      assert(snapshot.puller { downloader = ports.downloader(home), cocoon = cocoon, task = task }:pull {
        name = "g-small", tag = "v1", local_name = "back", spool_dir = dir })
      local entries = read_tar(task, dir .. "/committed")
      local envelope = json.decode(entries[1].bytes).config
      assert.same({
        id = "W2JU6RNPEHO2QGIGBWCR34YDIT", name = "back", image = "ubuntu:24.04", cpu = 2, nics = 1,
        memory = 536870912, storage = 10737418240, image_blob_ids = { [("cd"):rep(32)] = {} },
      }, envelope)
      local m = manifest.parse(golden.read("gen1/manifest.json"))
      assert.equal(#m.layers + 1, #entries)
      local stored = 0
      for i, layer in ipairs(m.layers) do
        local entry = entries[i + 1]
        assert.same({ layer.title, 416 }, { entry.name, entry.mode })
        assert.equal(layer.digest, core.digest(expand(entry)), layer.title)
        stored = stored + #entry.bytes
      end
      assert.same(golden_maps(task, dir), maps_of(entries))
      assert.is_true(stored < 1000000)
    end)
  end)

  it("takes from config.json what the manifest does not say", function()
    with_store(function(task, home)
      local m = manifest.parse(golden.read("gen1/manifest.json"))
      m.cpu, m.memory, m.nics = 0, 0, 0
      local conf = assert(old.config(task, m, ports.downloader(home), "g-small"))
      assert.same({ "2", "536870912" }, { conf.values.cpu, conf.values.memory })
      assert.is_nil(conf.values.nics)
      for _, config in ipairs { "", "[]", "{", '{"cpus":2,"memory":[],"net":{}}', '{"cpus":{"boot_vcpus":-1}}',
                                '{"cpus":{"boot_vcpus":"2"},"memory":{"size":1.5},"net":7}' } do
        local digest = core.digest(config)
        assert(home:put_blob("g-small", digest, #config, config))
        m.layers = { { title = "config.json", digest = digest, size = #config } }
        conf = assert(old.config(task, m, ports.downloader(home), "g-small"))
        assert.is_nil(conf.values.cpu or conf.values.memory or conf.values.nics)
      end
    end)
  end)

  it("of a blob that is not what it should be gives nothing that cocoon keeps", function()
    with_store(function(task, home, dir)
      local blob = dir .. "/home/blobs/sha256/24e75fa0aa688f6c44aa906b7e8a6aa09f6b05aba4929c4853bdcb6cd6f014ec"
      work.write_file(blob, work.read_file(blob):reverse())
      local cocoon = snapshot.exec_cocoon { binary = artifacts.program(dir), stderr = "null" }
      local ok, err = snapshot.puller { downloader = ports.downloader(home), cocoon = cocoon, task = task }:pull {
        name = "g-small", tag = "v1" }
      assert.is_nil(ok)
      assert.equal("digest_mismatch", err.kind)
      assert.is_nil(core.stat(dir .. "/committed"))
    end)
  end)

  it("is had by its digest, too, though no key says that", function()
    with_store(function(task, home)
      local bytes = golden.read("gen1/manifest.json")
      local digest = core.digest(bytes)
      work.assert_same_bytes(bytes, assert(home:get_manifest("g-small", digest)).bytes)
      work.assert_same_bytes(bytes, assert(home:manifest_json("g-small", digest)))
      assert.equal(1, home:pull_manifest("g-small", core.digest(bytes, "sha512")).generation)
      -- beside one that was put today
      task:sleep(1.1) -- stores tell seconds
      assert(home:put_manifest("g-small", "v2", (bytes:gsub('"tag": "v1"', '"tag": "v2"'))))
      work.assert_same_bytes(bytes, assert(home:get_manifest("g-small", digest)).bytes)
      for _, name in ipairs { "g-small", "other" } do
        local none, err = home:get_manifest(name, core.digest("none"))
        assert.is_nil(none)
        assert.equal("not_found", err.kind)
        assert.equal(("%s@%s is not in %s"):format(name, core.digest("none"), home:describe()), err.message)
      end
    end)
  end)

  it("is copied as it is to another object store, with its base images", function()
    with_store(function(task, home, dir)
      local other = assert(homes.open(task, "file://" .. dir .. "/other"))
      local result = assert(copy.copy(task, { from = home, to = other, name = "g-small", reference = "v1",
                                              to_name = "saved/g", to_tag = "monday" }))
      assert.equal("snapshot", result.kind)
      assert.equal(7, #result.layers)
      assert.equal(2167544, result.size)
      assert.equal(result.size, result.transferred)
      work.assert_same_bytes(golden.read("gen1/manifest.json"), other:get_manifest("saved/g", "monday").bytes)
      local raw = assert(other:get_manifest("saved/g", "monday"))
      for _, layer in ipairs(result.layers) do
        assert.equal(layer.size, other:blob_size("saved/g", layer.digest))
      end
      assert.equal(result.digest, raw.digest)
      other:close()
    end)
  end)

  it("has to be migrated before it is copied to anything else", function()
    with_store(function(task, home, dir)
      local other = assert(homes.open(task, "oci:" .. dir .. "/other"))
      local ok, err = copy.copy(task, { from = home, to = other, name = "g-small", reference = "v1" })
      assert.is_nil(ok)
      assert.equal("unsupported", err.kind)
      assert.equal("manifest g-small:v1 is of generation 1; migrate it first", tostring(err))
      other:close()
    end)
  end)
end)
