--- What can be taken from the files of a machine, where a manifest of generation 1 does not say it.
local core = require "epoch.core"
local envelope = require "epoch.snapshot.envelope"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local json = require "epoch.json"
local machine = require "epoch.snapshot.machine"
local manifest = require "epoch.manifest"
local old = require "epoch.snapshot.old"
local ports = require "epoch.ports"
local support = require "spec.support.store"

local A, B, C = ("a1"):rep(32), ("b2"):rep(32), ("c3"):rep(32)

-- As cloud-hypervisor writes it down: what a device remembers is a text in a text.
local STATE = json.encode {
  id = "", snapshots = { vm = { id = "vm", snapshots = { ["device-manager"] = { snapshots = {
    _disk0 = { snapshot_data = { state = json.encode { disk_path = "/var/lib/cocoon/oci/blobs/" .. A .. ".erofs" } } },
    _disk1 = { snapshot_data = { state = json.encode { disk_path = "/srv/run/overlay.qcow2" } } },
  } } }, snapshot_data = { config = {
    cpus = { boot_vcpus = 4, max_vcpus = 8 }, memory = { size = 1073741824 },
    net = json.array { { tap = "a" }, { tap = "b" } },
    disks = json.array { { path = "/data01/cocoon/cloudimg/blobs/" .. B .. ".qcow2" } },
  } } } },
}

describe("what a machine's files say", function()
  it("is found where cloud-hypervisor writes it", function()
    assert.same({ values = { cpu = 4, memory = 1073741824, nics = 2 }, extra = {},
      base_ids = { [A] = true, [B] = true } }, machine.of { STATE })
    local config = json.encode { cpus = { boot_vcpus = 2 }, disks = json.array { { path = "/x/blobs/" .. C } } }
    assert.same({ values = { cpu = 2, memory = 1073741824, nics = 2 }, extra = {},
      base_ids = { [A] = true, [B] = true, [C] = true } }, machine.of { config, STATE })
  end)

  it("is taken under cocoon's own names at the top", function()
    local top = { hypervisor = "cloud-hypervisor", image = "ubuntu:24.04", image_type = "cloudimg", network = "bridge",
      image_digest = "sha256:" .. A, description = "made for tests", cpu = 3, memory = 5, storage = 7, nics = 1 }
    assert.same({
      hypervisor = "cloud-hypervisor", image = "ubuntu:24.04", imageType = "cloudimg", network = "bridge",
      imageDigest = "sha256:" .. A, description = "made for tests", cpu = 3, memory = 5, storage = 7, nics = 1,
    }, machine.of({ json.encode(top) }).values)
    assert.same({}, machine.of({ json.encode { devices = json.array { top } } }).values)
    assert.same({}, machine.of({ '{"hypervisor":1,"image":"","cpu":-1,"memory":1.5,"nics":"2"}' }).values)
  end)

  it("is taken with what a config has no place for", function()
    local top = { windows = true, queue_size = 256, disk_queue_size = 128, no_direct_io = true,
                  image_blob_ids = { [A] = json.empty_object, short = json.empty_object } }
    assert.same({ values = { windows = true }, extra = { queue_size = 256, disk_queue_size = 128, no_direct_io = true },
                  base_ids = { [A] = true } }, machine.of { json.encode(top) })
    assert.same({ values = {}, extra = { queue_size = 1 }, base_ids = {} },
      machine.of { '{"queue_size":1,"windows":false,"no_direct_io":"yes","disk_queue_size":0,"image_blob_ids":"'
        .. A .. '"}', '{"queue_size":2}' })
  end)

  it("is nothing where it is something else", function()
    for _, bytes in ipairs {
      "", "{", "[]", "7", '"x"', "null", '{"state":"Paused","devices":{"0":{"id":"d0"}}}',
      '{"a":{"memory":{"size":1}}}', '{"path":"/x/blobs/short"}', '{"path":"/x/blobs/' .. A .. '/overlay.qcow2"}',
      '{"name":"/x/blobs/' .. A .. '"}', '{"path":"/x/blobs/' .. A:upper() .. '"}', '{"cpus":2,"memory":[],"net":{}}',
      '{"cpus":{"boot_vcpus":"2"},"memory":{"size":1.5},"net":7}', ('{"a":'):rep(60) .. "1" .. ("}"):rep(60),
    } do
      assert.same({ values = {}, extra = {}, base_ids = {} }, machine.of { bytes }, bytes)
    end
    local text = '{"path":"/blobs/' .. A .. '"}'
    for _ = 1, 12 do
      text = json.encode { state = text }
    end
    assert.same({ [A] = true }, machine.of({ text }).base_ids)
  end)

  it("completes the config of a snapshot, and contradicts no manifest", function()
    support.with_task(function(task, dir)
      local home = assert(homes.open(task, "file://" .. dir .. "/home"))
      local function config_of(change)
        local m = manifest.parse(golden.read("gen1/manifest.json"))
        m.layers = { { title = "state.json", digest = core.digest(STATE), size = #STATE } }
        change(m)
        return assert(old.config(task, m, ports.downloader(home), "g-small")).values
      end
      assert(home:put_blob("g-small", core.digest(STATE), #STATE, STATE))
      local whole = config_of(function() end)
      assert.same({ "2", "536870912", "1" }, { whole.cpu, whole.memory, whole.nics })
      assert.same({ A, B, ("cd"):rep(32) }, whole.imageBlobIds.names)
      local bare = config_of(function(m)
        m.cpu, m.memory, m.nics, m.base_images = 0, 0, 0, {}
      end)
      assert.same({ "4", "1073741824", "2" }, { bare.cpu, bare.memory, bare.nics })
      assert.same({ A, B }, bare.imageBlobIds.names)
      assert.is_nil(bare.hypervisor)
      home:close()
    end)
  end)

  it("goes to cocoon whole", function()
    support.with_task(function(task, dir)
      local home = assert(homes.open(task, "file://" .. dir .. "/home"))
      local said = '{"windows":true,"queue_size":256,"disk_queue_size":128,"no_direct_io":true,"hypervisor":"h"}'
      assert(home:put_blob("g-small", core.digest(said), #said, said))
      local m = manifest.parse(golden.read("gen1/manifest.json"))
      m.layers = { { title = "config.json", digest = core.digest(said), size = #said } }
      local pieces = {}
      assert(envelope.write(assert(old.config(task, m, ports.downloader(home), "g-small")), "mine")(function(piece)
        pieces[#pieces + 1] = piece
      end))
      local config = json.decode(table.concat(pieces)).config
      assert.same({ "mine", 2, true, 256, 128, true, "h" }, { config.name, config.cpu, config.windows,
        config.queue_size, config.disk_queue_size, config.no_direct_io, config.hypervisor })
      assert.is_nil(table.concat(pieces):find("%d%.0[,\n}]"))
      home:close()
    end)
  end)
end)
