--- Snapshots and cloud images out of one cocoon, through a real registry, into another cocoon:
-- the real one where it is, else the stand-in.
local artifacts = require "spec.support.artifacts"
local cloudimg = require "epoch.cloudimg"
local core = require "epoch.core"
local homes = require "epoch.home"
local lfs = require "lfs"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local ports = require "epoch.ports"
local registries = require "spec.support.registries"
local snapshot = require "epoch.snapshot"
local standin = require "spec.support.standin"
local support = require "spec.support.store"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local cocoon = standin.real() or standin.program

local HUGE = 3 * 1024 ^ 3
local MAP = '[{"o":4096,"l":4096},{"o":1073741824,"l":100}]'

local function with_holes(name, map, size, data)
  return tar.pax { { "COCOON.sparse.map", map }, { "COCOON.sparse.size", ("%.0f"):format(size) } }
    .. tar.file(name, data)
end

-- An export with files of every kind, those of no bytes where the registry keeps them. `salt`
-- makes the disk a new one to a registry that has kept those of other runs.
local function export(salt, empty)
  return table.concat {
    tar.file("snapshot.json", '{"version":1,"config":{"name":"vm","cpu":2,"queue_size":256}}\n'),
    tar.file("cow.raw", salt .. work.noise(6 * 1024 * 1024)),
    with_holes("memory-ranges", MAP, HUGE, work.noise(4196)),
    tar.file("state.json", "{}"), tar.file("config.json", "{}", { mode = "0000600" }),
    empty and tar.file("empty", "") or "", empty and with_holes("hole", "[]", HUGE, "") or "", tar.trailer,
  }
end

--- A cocoon whose virtual machines are below `root`.
local function cocoon_at(root)
  local path = root .. ".sh"
  assert(core.mkdir(root))
  work.write_file(path, ("#!/bin/sh\nCOCOON_ROOT_DIR='%s' COCOON_RUN_DIR='%s/run' COCOON_LOG_DIR='%s/log' "
    .. "exec '%s' \"$@\"\n"):format(root, root, root, cocoon))
  os.execute("chmod +x " .. path)
  return assert(snapshot.exec_cocoon { binary = path, stderr = "null" })
end

--- A snapshot for the cocoon below `root`, called "vm" when it has no other name.
local function import(root, bytes, name)
  work.with_loop({ threads = 0 }, function(loop)
    local result = standin.run(loop, root, { "snapshot", "import", "--name=" .. (name or "vm") }, bytes,
      { program = cocoon })
    assert.equal(0, result.code, result.stderr)
  end)
end

-- Mode, length, data and where it lies, of every file: holes are not read.
local function look(root, name)
  local dir, found = assert(standin.snapshots(root)[name]).data_dir, {}
  for file in lfs.dir(dir) do
    local path = dir .. "/" .. file
    if lfs.attributes(path, "mode") == "file" then
      local extents, size = core.extents(path)
      local lines = { ("%o %.0f"):format(core.stat(path).mode, size) }
      for i, piece in ipairs(extents) do
        local bytes
        work.with_loop(nil, function(loop)
          bytes = work.read_all(loop, core.file(path, piece))
        end)
        lines[i + 1] = ("%.0f+%.0f %s"):format(piece.offset, piece.length, core.digest(bytes))
      end
      found[file] = table.concat(lines, "\n")
    end
  end
  return found
end

local reference = registries.setting "EPOCH_REFERENCE_BINARY"
if reference == "" then
  describe("the reference's program", function()
    pending "SKIPPED: set EPOCH_REFERENCE_BINARY to its path"
  end)
end

--- The reference's program at a registry, with the cocoon below `root`.
local function run_reference(r, root, words)
  local pipe = assert(io.popen((
    "EPOCH_SERVER=%s EPOCH_REGISTRY_TOKEN=%s EPOCH_COCOON_BINARY=%s.sh timeout 60 %s %s 2>&1; echo \"exit $?\""
  ):format(r.url, r.password or "none", root, reference, words)))
  local text = pipe:read("*a")
  pipe:close()
  assert.matches("exit 0\n$", text)
end

registries.each(function(one, start)
  local r

  setup(function()
    r = start()
  end)

  teardown(function()
    r:stop()
  end)

  local function with_home(use)
    support.with_task(function(task, dir)
      local home = assert(homes.open(task, r.url, {
        docker_config = false, proxy = "", credentials = r.user and function() return r.user, r.password end,
      }))
      use(home, task, dir)
      home:close()
    end)
  end

  it("brings a snapshot from one cocoon to another, holes and all", function()
    with_home(function(home, task, dir)
      local name = registries.fresh "vm"
      local from, to = cocoon_at(dir .. "/from"), cocoon_at(dir .. "/to")
      import(dir .. "/from", export(name, one.empty))

      local lines = {}
      local function push(tag)
        return assert(snapshot.pusher { uploader = ports.uploader(home), cocoon = from, task = task }:push {
          name = name, tag = tag, snapshot = "vm", progress = function(line) lines[#lines + 1] = line end,
          created_at = 1795238207,
        })
      end
      local pushed = push "v1"
      assert.equal(one.empty and 6 or 4, pushed.layer_count)
      assert.is_nil(table.concat(lines, "\n"):find("cow.raw: 6.0M, is there already", 1, true))
      assert.equal(pushed.manifest_digest, assert(home:get_manifest(name, "v1")).digest)
      assert.equal(pushed.manifest_digest, push("v2").manifest_digest)
      assert.is_truthy(table.concat(lines, "\n"):find("cow.raw: 6.0M, is there already", 1, true))

      local puller = snapshot.puller { downloader = ports.downloader(home), cocoon = to, task = task }
      assert.is_true(assert(puller:pull { name = name, tag = "v2", local_name = "tagged" }))
      assert.is_true(assert(puller:pull { name = name, digest = pushed.manifest_digest, local_name = "by-digest" }))
      local want = look(dir .. "/from", "vm")
      assert.equal(HUGE, tonumber(want["memory-ranges"]:match("^%d+ (%d+)")))
      assert.same(want, look(dir .. "/to", "tagged"))
      assert.same(want, look(dir .. "/to", "by-digest"))
    end)
  end)

  if reference ~= "" then
    it("gives the reference's program a snapshot of ours", function()
      with_home(function(home, task, dir)
        local name = registries.fresh "vm"
        local from = cocoon_at(dir .. "/from")
        cocoon_at(dir .. "/to")
        import(dir .. "/from", export(name, one.empty))
        assert(snapshot.pusher { uploader = ports.uploader(home), cocoon = from, task = task }:push {
          name = name, tag = "v1", snapshot = "vm",
        })
        run_reference(r, dir .. "/to", ("pull %s:v1 --name theirs"):format(name))
        assert.same(look(dir .. "/from", "vm"), look(dir .. "/to", "theirs"))
      end)
    end)
  end

  if reference ~= "" and one.reference then
    it("has for us what the reference's program has pushed", function()
      with_home(function(home, task, dir)
        local name = registries.fresh("vm"):gsub("/", "-") -- it pushes under the snapshot's own name
        cocoon_at(dir .. "/from")
        import(dir .. "/from", export(name, one.empty), name)
        run_reference(r, dir .. "/from", ("push %s -t v1"):format(name))
        local to = cocoon_at(dir .. "/to")
        assert(snapshot.puller { downloader = ports.downloader(home), cocoon = to, task = task }:pull {
          name = name, tag = "v1", local_name = "ours",
        })
        assert.same(look(dir .. "/from", name), look(dir .. "/to", "ours"))
      end)
    end)
  end

  it("gives a cloud image as one disk", function()
    with_home(function(home, task)
      local name, store = registries.fresh "image", artifacts.store(task)
      local parts = { { "d.2.part", work.noise(3000000) }, { "d.1.part", work.noise(70000) } }
      local raw = artifacts.image(store, "image", parts)
      for digest, bytes in pairs(store.blobs) do
        assert(home:put_blob(name, digest, #bytes, core.bytes(bytes)))
      end
      assert(home:put_manifest(name, "v1", raw, media.OCI_MANIFEST))

      local downloader = ports.downloader(home)
      local m = assert(ports.fetch_manifest(downloader, name, "v1"))
      assert.equal("cloud-image", manifest.classify(m))
      local sink = core.collect(8 * 1024 * 1024)
      assert(cloudimg.stream_parsed(task, m, ports.blob_reader(downloader, name), { writer = sink }))
      assert(task:await(sink, "finish"))
      work.assert_same_bytes(parts[2][2] .. parts[1][2], sink:bytes())
      sink:close()
    end)
  end)
end)
