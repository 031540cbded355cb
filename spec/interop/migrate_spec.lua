--- A snapshot of generation 1 in cocoon, migrated or not: the real one where it is, else the stand-in.
local core = require "epoch.core"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local migrate = require "epoch.migrate"
local migration = require "spec.support.migration"
local ports = require "epoch.ports"
local radosgw = require "spec.support.radosgw"
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

-- Where cocoon's own export of that snapshot found data in its files.
local function maps()
  local of = {}
  for title, file in pairs(json.decode(golden.read("v1-small/config.json")).files) do
    of[title] = file.sparseMap
  end
  return of
end

-- The files that a pull gives cocoon are those that were pushed, holes as holes.
local function check_pulled(task, home, root)
  local was = assert(manifest.parse(golden.read("gen1/manifest.json")))
  assert(snapshot.puller { downloader = ports.downloader(home), cocoon = cocoon_at(root), task = task }:pull {
    name = "g-small", tag = "v1" })
  local files, count, map_of = standin.files(root, "g-small"), 0, maps()
  for _, layer in ipairs(was.layers) do
    assert.equal(layer.digest, core.digest(files[layer.title].bytes), layer.title)
    local extents, size = core.extents(standin.snapshots(root)["g-small"].data_dir .. "/" .. layer.title)
    assert.equal(layer.size, size)
    local lines = {}
    for i, one in ipairs(map_of[layer.title] and extents or {}) do
      lines[i] = ('{"o":%d,"l":%d}'):format(one.offset, one.length)
    end
    assert.equal(map_of[layer.title] or "[]", "[" .. table.concat(lines, ",") .. "]", layer.title)
  end
  for _ in pairs(files) do
    count = count + 1
  end
  assert.equal(#was.layers, count)
end

describe("cocoon", function()
  it("has the files that were pushed as generation 1, from either", function()
    support.with_task(function(task, dir)
      local from = assert(homes.open(task, "file://" .. dir .. "/old"))
      migration.fill(from, dir)
      local to = assert(homes.open(task, "file://" .. dir .. "/new"))
      assert(migrate.migrate(task, { from = from, to = to }))
      check_pulled(task, from, dir .. "/from")
      check_pulled(task, to, dir .. "/to")
      to:close()
      from:close()
    end)
  end)

  local missing = radosgw.missing()
  it("has them out of a bucket, too, and out of the one that they were migrated to", function()
    if missing then
      return pending(missing)
    end
    local gateway = radosgw.start()
    local ok, err = pcall(support.with_task, function(task, dir)
      local bucket = gateway:bucket()
      local from = assert(homes.open(task, ("s3://%s/old"):format(bucket), gateway:options {}))
      migration.fill(from, dir)
      local to = assert(homes.open(task, ("s3://%s/new"):format(bucket), gateway:options {}))
      assert(migrate.migrate(task, { from = from, to = to }))
      check_pulled(task, from, dir .. "/from")
      check_pulled(task, to, dir .. "/to")
      to:close()
      from:close()
    end)
    gateway:stop()
    assert(ok, err)
  end)
end)
