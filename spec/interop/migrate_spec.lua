--- A snapshot of generation 1 in cocoon, migrated or not: the real one where it is, else the stand-in.
local core = require "epoch.core"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local manifest = require "epoch.manifest"
local migrate = require "epoch.migrate"
local ports = require "epoch.ports"
local snapshot = require "epoch.snapshot"
local standin = require "spec.support.standin"
local support = require "spec.support.store"
local work = require "spec.support.work"

local cocoon = standin.real() or standin.program

local function cocoon_at(root)
  assert(core.mkdir(root))
  work.write_file(root .. ".sh", ("#!/bin/sh\nCOCOON_ROOT_DIR='%s' COCOON_RUN_DIR='%s/run' COCOON_LOG_DIR='%s/log' "
    .. "exec '%s' \"$@\"\n"):format(root, root, root, cocoon))
  os.execute(("chmod +x '%s.sh'"):format(root))
  return assert(snapshot.exec_cocoon { binary = root .. ".sh", stderr = "null" })
end

describe("cocoon", function()
  it("has the files that were pushed as generation 1, from either", function()
    support.with_task(function(task, dir)
      work.write_file(dir .. "/objects.tar", golden.read("gen1/objects.tar"))
      assert(core.mkdir(dir .. "/old"))
      os.execute(("tar -xf '%s/objects.tar' -C '%s/old'"):format(dir, dir))
      local from = assert(homes.open(task, "file://" .. dir .. "/old"))
      local to = assert(homes.open(task, "file://" .. dir .. "/new"))
      assert(migrate.migrate(task, { from = from, to = to }))
      local was = assert(manifest.parse(golden.read("gen1/manifest.json")))
      for place, home in pairs { from = from, to = to } do
        local root = dir .. "/" .. place
        assert(snapshot.puller { downloader = ports.downloader(home), cocoon = cocoon_at(root), task = task }:pull {
          name = "g-small", tag = "v1" })
        local files, count = standin.files(root, "g-small"), 0
        for _, layer in ipairs(was.layers) do
          assert.equal(layer.digest, core.digest(files[layer.title].bytes), layer.title)
        end
        for _ in pairs(files) do
          count = count + 1
        end
        assert.equal(#was.layers, count)
        local path = standin.snapshots(root)["g-small"].data_dir .. "/data-extra.raw"
        local extents, size = core.extents(path)
        assert.equal(1048576, size)
        assert.is_true(#extents == 1 and extents[1].length < 65536) -- the hole is one
      end
      to:close()
      from:close()
    end)
  end)
end)
