--- A store that programs of generation 1 have filled, seen through everything that reads it.
local copy = require "epoch.copy"
local core = require "epoch.core"
local cloudimg = require "epoch.cloudimg"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local inspect = require "epoch.inspect"
local manifest = require "epoch.manifest"
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
    work.write_file(dir .. "/objects.tar", golden.read("gen1/objects.tar"))
    assert(core.mkdir(dir .. "/home"))
    os.execute(("tar -xf '%s/objects.tar' -C '%s/home'"):format(dir, dir))
    local home = assert(homes.open(task, "file://" .. dir .. "/home"))
    put_image(home, "win11", { { "d.qcow2.part.2", "world" }, { "d.qcow2.part.1", "hello " } })
    use(task, home, dir)
    home:close()
  end)
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

  it("says of a snapshot that it has to be migrated", function()
    with_store(function(task, home, dir)
      local other = assert(homes.open(task, "file://" .. dir .. "/other"))
      local runner = { import = function() error("cocoon must not be started") end }
      for _, act in ipairs {
        function()
          return snapshot.puller { downloader = ports.downloader(home), cocoon = runner, task = task }:pull {
            name = "g-small", tag = "v1" }
        end,
        function()
          return copy.copy(task, { from = home, to = other, name = "g-small", reference = "v1" })
        end,
      } do
        local ok, err = act()
        assert.is_nil(ok)
        assert.equal("unsupported", err.kind)
        assert.equal("manifest g-small:v1 is of generation 1; migrate it first", tostring(err))
      end
      other:close()
    end)
  end)
end)
