--- What a download will be, without nginx: its layout put together is what `epoch get` writes.
local conditions = require "epoch.gateway.download.conditions"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local golden_home = require "spec.support.golden_home"
local homes = require "epoch.home"
local jobs = require "epoch.gateway.jobs.download"
local json = require "epoch.json"
local layouts = require "epoch.gateway.download.layout"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local ports = require "epoch.ports"
local snapshot = require "epoch.snapshot"
local support = require "spec.support.store"
local work = require "spec.support.work"

local MIB = 1024 * 1024

local function with_home(use)
  support.with_task(function(task, dir)
    local home = assert(homes.open(task, "file://" .. dir .. "/home"))
    use(home, task, dir)
    home:close()
  end)
end

local function blob(home, name, digest)
  return support.bytes(home.task, home:get_blob(name, digest))
end

--- The bytes of segments. `own`: those that are of no blob.
local function put_together(home, name, segments, own)
  local out = {}
  for i, one in ipairs(segments) do
    local from = one.digest and blob(home, name, one.digest) or own
    out[i] = from:sub(one.at + 1, one.at + one.length)
    assert.equal(one.length, #out[i])
  end
  return table.concat(out)
end

local function plan_of(home, name, tag, check)
  return jobs.plan(home, { name = name, tag = tag }, check ~= false)
end

local function planned(home, name, tag)
  local plan = assert(plan_of(home, name, tag))
  return put_together(home, name, plan.segments, plan.bytes), plan
end

--- What `epoch get --tar` writes.
local function archive(home, name, tag)
  local found = assert(home:get_manifest(name, tag))
  local sink = core.collect(64 * MIB)
  assert(snapshot.stream(home.task, found.bytes, ports.downloader(home), { name = name, writer = sink }))
  local bytes = sink:bytes()
  sink:close()
  return bytes
end

describe("the layout of a download", function()
  it("of a snapshot is its archive, byte for byte", function()
    with_home(function(home, task, dir)
      golden_home.put_snapshot(home, "vms/small", "v1")
      golden_home.push_big(task, dir, home, "big", "v1")
      for name, size in pairs { ["vms/small"] = 158720, big = 200000 } do
        local bytes, plan = planned(home, name, "v1")
        work.assert_same_bytes(archive(home, name, "v1"), bytes)
        assert.equal(#bytes, plan.size)
        assert.is_true(#bytes >= size)
        assert.equal("application/x-tar", plan.media_type)
      end
      assert.equal("vms-small-v1.tar", select(2, planned(home, "vms/small", "v1")).file)
    end)
  end)

  it("of a cloud image is its disk", function()
    with_home(function(home)
      local digest = golden_home.put_image(home, "windows/win11", "25h2")
      local bytes, plan = planned(home, "windows/win11", "25h2")
      work.assert_same_bytes(golden.read("cloudimg/disk.qcow2"), bytes)
      assert.same({ #bytes, 0, 6, "application/octet-stream", "windows-win11-25h2.qcow2", '"' .. digest .. ';disk=1"' },
                  { plan.size, plan.own, #plan.segments, plan.media_type, plan.file, plan.etag })
    end)
  end)

  it("of a snapshot of generation 1 has its files without holes", function()
    support.with_task(function(task, dir)
      local home = assert(homes.open(task, golden_home.unpack_generation1(dir)))
      local bytes, plan = planned(home, "g-small", "v1")
      local reader, sizes = core.tar_reader(core.bytes(bytes)), {}
      local entry = reader:next()
      while entry do
        sizes[entry.name] = entry.size
        assert.same({}, entry.pax)
        local source = reader:body()
        local hashed = assert(task:flow { source = source, hash = true })
        sizes[entry.name .. " digest"] = hashed.digest
        entry = reader:next()
      end
      reader:close()
      for _, layer in ipairs(assert(manifest.parse(golden.read("gen1/manifest.json"))).layers) do
        assert.same({ layer.size, layer.digest }, { sizes[layer.title], sizes[layer.title .. " digest"] })
      end
      assert.equal(#bytes, plan.size)
      home:close()
    end)
  end)

  it("is the same each time, with a tag for it; another artifact has another", function()
    with_home(function(home)
      local digest = golden_home.put_snapshot(home, "demo", "v1")
      golden_home.put_snapshot(home, "demo", "v2")
      golden_home.put_image(home, "demo", "v3")
      local one, two, three = plan_of(home, "demo", "v1"), plan_of(home, "demo", "v2"), plan_of(home, "demo", "v3")
      assert.equal('"' .. digest .. ';tar=1"', one.etag)
      assert.same({ one.etag, one.bytes, one.segments }, { two.etag, two.bytes, two.segments })
      assert.are_not.equal(one.etag, three.etag)
    end)
  end)

  it("can be cut anywhere", function()
    with_home(function(home)
      golden_home.put_snapshot(home, "demo", "v1")
      local bytes, plan = planned(home, "demo", "v1")
      for first = 0, #bytes - 1, 20011 do
        for _, length in ipairs { 1, 511, 70001 } do
          local last = math.min(first + length, #bytes) - 1
          work.assert_same_bytes(bytes:sub(first + 1, last + 1),
            put_together(home, "demo", layouts.cut(plan.segments, first, last), plan.bytes))
        end
      end
      assert.same(plan.segments, layouts.cut(plan.segments, 0, #bytes - 1))
    end)
  end)

  it("keeps much of its own in a file", function()
    with_home(function(home, _, dir)
      local config = { schemaVersion = "v1", description = ("d"):rep(jobs.SMALL) }
      local bytes = json.encode(config)
      local descriptor = { media_type = media.SNAPSHOT_CONFIG, digest = core.digest(bytes), size = #bytes }
      assert(home:put_blob("demo", descriptor.digest, #bytes, bytes))
      assert(home:put_blob("demo", core.digest("x"), 1, "x"))
      local digest = assert(home:put_manifest("demo", "v1", assert(manifest.build {
        config = descriptor,
        layers = { { media_type = media.DISK_RAW, digest = core.digest("x"), size = 1, title = "cow.raw" } },
      })))
      local plan = assert(plan_of(home, "demo", "v1"))
      assert.is_nil(plan.bytes)
      local ref = { name = "demo", tag = "v1" }
      assert.equal("io", select(2, jobs.keep(home, ref, digest, dir .. "/own")).kind) -- of who has gone
      work.write_file(dir .. "/own", "")
      assert(jobs.keep(home, ref, digest, dir .. "/own"))
      local own = work.read_file(dir .. "/own")
      assert.equal(plan.own, #own)
      work.assert_same_bytes(archive(home, "demo", "v1"), put_together(home, "demo", plan.segments, own))
      assert.equal("busy", select(2, jobs.keep(home, ref, core.digest("another"), dir .. "/own")).kind)
      assert.equal("io", select(2, jobs.keep(home, ref, digest, dir .. "/none/own")).kind)
    end)
  end)
end)

describe("what cannot be downloaded", function()
  it("is not there, or is said to be something else", function()
    with_home(function(home)
      support.put_artifact(home, "demo", "thing", { "x" })
      local bytes = '{"architecture":"amd64"}'
      assert(home:put_blob("demo", core.digest(bytes), #bytes, bytes))
      assert(home:put_manifest("demo", "container", assert(manifest.build {
        artifact_type = "application/x", layers = {},
        config = { media_type = media.OCI_CONFIG, digest = core.digest(bytes), size = #bytes },
      })))
      local function problem(tag)
        local plan, err = plan_of(home, "demo", tag)
        return { plan, err.kind, tostring(err) }
      end
      assert.equal("not_found", problem("nothing")[2])
      assert.same({ nil, "unsupported", "manifest demo:container is a container image; pull with oras/crane/docker, "
        .. "then cocoon image pull" }, problem("container"))
      assert.equal("unsupported", problem("thing")[2])
    end)
  end)

  it("is an index with nothing for a machine; else its child is meant", function()
    with_home(function(home)
      local function put_index(tag, digest, size, architecture)
        assert(home:put_manifest("demo", tag, json.encode(json.object {
          { "schemaVersion", 2 }, { "mediaType", media.OCI_INDEX },
          { "manifests", json.array { json.object {
            { "mediaType", media.OCI_MANIFEST }, { "digest", digest }, { "size", size },
            { "platform", { os = "linux", architecture = architecture } } } } },
        })))
      end
      local digest = golden_home.put_snapshot(home, "demo", "v1")
      local size = #golden.read("v1-small/manifest.json")
      put_index("index", digest, size, "amd64")
      put_index("strange", digest, size, "unknown")
      put_index("gone", core.digest("gone"), 4, "amd64")
      assert.equal(plan_of(home, "demo", "v1").etag, plan_of(home, "demo", "index").etag)
      for _, tag in ipairs { "strange", "gone" } do
        assert.is_nil(tostring(select(2, plan_of(home, "demo", tag))):find("file://", 1, true))
        assert.equal("unsupported", select(2, plan_of(home, "demo", tag)).kind)
      end
    end)
  end)

  it("misses a blob, or has one of another size, or a config that is none", function()
    with_home(function(home, _, dir)
      golden_home.put_snapshot(home, "demo", "v1")
      local m = assert(manifest.parse(golden.read("v1-small/manifest.json")))
      local function path(digest)
        return dir .. "/home/blobs/" .. digest:gsub(":", "/")
      end
      local disk = path(m.layers[4].digest)
      local bytes = work.read_file(disk)
      os.remove(disk)
      local _, err = plan_of(home, "demo", "v1")
      assert.equal("broken", err.kind)
      assert.is_truthy(tostring(err):find(m.layers[4].digest, 1, true))
      assert.is_truthy(plan_of(home, "demo", "v1", false))
      work.write_file(disk, bytes:sub(1, -2))
      assert.equal("broken", select(2, plan_of(home, "demo", "v1")).kind)
      work.write_file(disk, bytes)
      work.write_file(path(m.config.digest), (golden.read("v1-small/config.json"):gsub("g", "h")))
      assert.equal("broken", select(2, plan_of(home, "demo", "v1")).kind)
    end)
  end)
end)

describe("the conditions of a download", function()
  local TAG = '"sha256:1;tar=1"'

  it("are a range, or none, or one that is not there", function()
    for range, expected in pairs {
      ["bytes=0-0"] = { 0, 0 }, ["bytes=10-"] = { 10, 99 }, ["bytes=-1"] = { 99, 99 }, ["bytes=-500"] = { 0, 99 },
      ["bytes=90-500"] = { 90, 99 }, [" Bytes=5-6 "] = { 5, 6 }, ["bytes=99-99"] = { 99, 99 },
      ["bytes=0-99999999999999999999"] = { 0, 99 }, ["bytes=100-"] = { false }, ["bytes=-0"] = { false },
      ["bytes=99999999999999999999-"] = { false }, ["bytes=6-5"] = {}, ["bytes=0-1,5-6"] = {}, ["bytes=-"] = {},
      ["lines=0-1"] = {}, ["bytes=a-b"] = {}, ["bytes=0x1-2"] = {}, [""] = {},
    } do
      assert.same(expected, { conditions.range(range, 100, nil, TAG) })
    end
    assert.is_nil(conditions.range(nil, 100, nil, TAG))
    assert.is_false(conditions.range("bytes=0-", 0, nil, TAG))
    assert.is_false(conditions.range("bytes=-5", 0, nil, TAG))
  end)

  it("are a range of just these bytes, else all of them", function()
    assert.same({ 1, 2 }, { conditions.range("bytes=1-2", 100, TAG, TAG) })
    for _, other in ipairs { '"sha256:2;tar=1"', "W/" .. TAG, "Sat, 21 Nov 2026 05:15:32 GMT" } do
      assert.is_nil(conditions.range("bytes=1-2", 100, other, TAG))
    end
  end)

  it("are tags that the client has", function()
    for _, known in ipairs { TAG, "*", '"a", ' .. TAG, "W/" .. TAG .. ',"b"' } do
      assert.is_true(conditions.is_known(known, TAG))
    end
    for _, other in ipairs { '"a"', "", "sha256:1;tar=1", '"sha256:1"' } do
      assert.is_false(conditions.is_known(other, TAG))
      assert.is_true(conditions.is_another(other, TAG))
    end
    assert.is_false(conditions.is_known(nil, TAG))
    assert.is_false(conditions.is_another(nil, TAG))
    assert.is_false(conditions.is_another(TAG, TAG))
    assert.is_true(conditions.is_another("W/" .. TAG, TAG))
  end)
end)
