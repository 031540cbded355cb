local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local errors = require "epoch.errors"
local golden = require "spec.support.golden"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local snapshot = require "epoch.snapshot"
local tar = require "spec.support.tar"
local tasks = require "epoch.task"
local work = require "spec.support.work"

--- Runs `use(push, store, dir, task)`: push(export, options, more) has the stand-in export
-- those bytes, after the shell of `more`.
local function with(use)
  work.in_directory(function(dir)
    local task = assert(tasks.new())
    local store = artifacts.store(task)
    local function push(export, opts, more)
      local runner = assert(snapshot.exec_cocoon { binary = artifacts.program(dir, more),
                                                   stderr = "null", grace = 0.5 })
      work.write_file(dir .. "/export", export)
      local given = { name = "vms/demo", tag = "v1", snapshot = "vm" }
      for k, v in pairs(opts or {}) do
        given[k] = v
      end
      return snapshot.pusher { uploader = store, cocoon = runner, task = task }:push(given)
    end
    local ok, err = pcall(use, push, store, dir, task)
    task:close()
    if not ok then
      error(err, 0)
    end
  end)
end

local SMALL = artifacts.export { { "config.json", "{}" }, { "cow.raw", ("x"):rep(100000) } }

describe("a push", function()
  it("of the golden export gives the golden artifact", function()
    with(function(push, store)
      local theirs = assert(manifest.parse(golden.read("v1-small/manifest.json")))
      local result = assert(push(golden.read("v1-small/export.tar"), {
        base_image = "registry.example/ubuntu:24.04", source = "https://s", revision = "r1",
        annotations = { ["x.y"] = "z" }, created_at = 1795238207,
      }))
      local m = assert(manifest.parse(result.manifest_bytes, media.OCI_MANIFEST))
      assert.same(theirs.layers, m.layers)
      assert.equal("snapshot", manifest.classify(m))
      assert.same({
        ["cocoonstack.snapshot.baseimage"] = "registry.example/ubuntu:24.04",
        ["cocoonstack.snapshot.id"] = "W2JU6RNPEHO2QGIGBWCR34YDIT",
        ["org.opencontainers.image.created"] = "2026-11-21T05:16:47Z",
        ["org.opencontainers.image.source"] = "https://s",
        ["org.opencontainers.image.revision"] = "r1", ["x.y"] = "z",
      }, m.annotations)
      local config = store.blobs[m.config.digest]
      assert.equal(#config, m.config.size)
      local ours, expected = assert(json.decode(config)), assert(json.decode(golden.read(
        "v1-small/config.json")))
      assert.same({ queue_size = 256, disk_queue_size = 128, no_direct_io = true }, ours.extra)
      ours.extra, ours.createdAt, expected.createdAt = nil, nil, nil
      assert.same(expected, ours)
      for _, layer in ipairs(m.layers) do
        assert.equal(layer.digest, core.digest(store.blobs[layer.digest]))
      end
      assert.equal(result.manifest_bytes, store.manifests["vms/demo:v1"])
      assert.equal(core.digest(result.manifest_bytes), result.manifest_digest)
      assert.same({ "vms/demo", "v1", 6, manifest.total_size(m) },
                  { result.name, result.tag, result.layer_count, result.total_size })
      assert.matches("^manifest vms/demo v1$", store.log[#store.log])
    end)
  end)

  it("of the same export at the same time gives the same bytes, and sends nothing again", function()
    with(function(push, store)
      local first = assert(push(SMALL, { created_at = 5 }))
      assert.is_true(first.layers[2].transferred)
      store.log = {}
      local second = assert(push(SMALL, { created_at = 5 }))
      assert.equal(first.manifest_digest, second.manifest_digest)
      assert.is_false(store:logged("put"))
      assert.is_nil(second.layers[2].transferred)
      assert.not_equal(first.manifest_digest, assert(push(SMALL, { created_at = 6 })).manifest_digest)
      local exact = assert(push(SMALL, { created_at = "2026-11-21T05:16:18.5Z" }))
      assert.matches('created": ?"2026%-11%-21T05:16:18%.5Z"', exact.manifest_bytes)
      assert.error_matches(function() push(SMALL, { created_at = "yesterday" }) end, "created_at")
    end)
  end)

  it("takes an export that is compressed, that ends with zeros, that has its envelope last", function()
    with(function(push, _, dir)
      local files = { tar.file("a", "1"), tar.file("b.qcow2", "2") }
      local late = files[1] .. files[2] .. tar.file("snapshot.json",
        '{"version":1,"config":{"name":"x"}}') .. tar.trailer .. ("\0"):rep(8192)
      work.write_file(dir .. "/plain", late)
      os.execute(("gzip -c '%s/plain' > '%s/packed'"):format(dir, dir))
      for _, export in ipairs { late, assert(work.read_file(dir .. "/packed")) } do
        local result = assert(push(export))
        assert.equal(2, result.layer_count)
        assert.equal(media.DISK_QCOW2, result.layers[2].media_type)
      end
    end)
  end)

  it("sends equal, empty and sparse files", function()
    with(function(push, store)
      local export = artifacts.export {
        { "a", "same" }, { "b", "same" }, { "empty", "" },
        tar.pax { { "COCOON.sparse.map", "null" }, { "COCOON.sparse.size", "4096" } }
          .. tar.file("hole.raw", ""),
      }
      local result = assert(push(export))
      assert.equal(4, result.layer_count)
      local puts = 0
      for _, line in ipairs(store.log) do
        puts = puts + (line:find("^put") and 1 or 0)
      end
      assert.equal(3, puts) -- "same", "" and the config
      local m = manifest.parse(result.manifest_bytes)
      local config = assert(json.decode(store.blobs[m.config.digest]))
      assert.same({ mode = 416, sparseMap = "null", sparseSize = 4096 }, config.files["hole.raw"])
    end)
  end)

  it("with annotations that no manifest can hold moves nothing", function()
    with(function(push, store)
      for why, opts in pairs {
        ["annotations: .*no UTF%-8"] = { annotations = { a = "\255" } },
        ["annotations: .*no UTF%-8: "] = { source = "https://\128" },
        ["annotations: .*fewer annotations"] = { annotations = { a = ("x"):rep(5 * 1024 * 1024) } },
      } do
        local result, err = push(SMALL, opts)
        assert.is_nil(result)
        assert.equal("usage", err.kind)
        assert.matches(why, tostring(err))
        assert.is_false(store:logged("blob"))
      end
    end)
  end)

  it("that cannot be finished writes no manifest", function()
    local head = tar.file("snapshot.json", '{"version":1,"config":{"name":"x"}}')
    local cases = {
      { SMALL:sub(1, -1025), "truncated" }, -- no end blocks
      { SMALL:sub(1, 5000), "truncated" }, { "", "truncated" }, { ("x"):rep(512), "invalid" },
      { SMALL .. "x", "invalid" },
      { artifacts.export({ { "a", "x" } }, false), "invalid", "snapshot.json not found in export stream" },
      { artifacts.export({}, "{}"), "invalid", "snapshot.json: it has no config" },
      { artifacts.export({}, '{"version":2}'), "unsupported", "snapshot.json: version 2, only 1 is known" },
      { artifacts.export({}, (" "):rep(16 * 1024 * 1024 + 1)), "too_large", "snapshot.json has 16777217 bytes" },
      { head .. tar.file("a/b", "x") .. tar.trailer, "invalid" },
      { head .. tar.file("../b", "x") .. tar.trailer, "invalid" },
      { head .. tar.file("a", "x") .. tar.file("a", "y") .. tar.trailer, "invalid" },
      { head .. head .. tar.trailer, "invalid" },
      { head .. tar.file("a", "x", { mode = "0004755" }) .. tar.trailer, "invalid", "mode" },
      { head .. tar.pax { { "COCOON.sparse.map", "[]" } } .. tar.file("a", "") .. tar.trailer,
        "invalid", "sparse" },
      { head .. tar.pax { { "COCOON.sparse.map", '[{"o":0,"l":2}]' }, { "COCOON.sparse.size", "9" } }
        .. tar.file("a", "x") .. tar.trailer, "invalid", "sparse" },
    }
    for i, case in ipairs(cases) do
      with(function(push, store)
        local result, err = push(case[1])
        assert.is_nil(result)
        assert.equal(case[2], err.kind, i .. tostring(err))
        assert.matches(case[3] or "", tostring(err))
        assert.is_false(store:logged("manifest"))
      end)
    end
  end)

  it("waits for the export's success, and says why there was none", function()
    with(function(push, store)
      local result, err = push(SMALL, nil, "cat export; echo 'disk on fire' >&2; exit 3")
      assert.is_nil(result)
      assert.equal("process", err.kind)
      assert.matches("cocoon snapshot export vm failed, exit code 3: disk on fire", tostring(err))
      assert.is_false(store:logged("manifest"))
      store.log = {}
      result, err = push(SMALL, nil, "echo 'Error: export: snapshot not found' >&2; exit 1")
      assert.is_nil(result)
      assert.equal("not_found", err.kind)
      assert.same({}, store.log)
      result, err = push(SMALL, nil, "head -c 3000 export; kill -KILL $$")
      assert.is_nil(result)
      assert.matches("ended by SIGKILL", tostring(err))
      assert.is_false(store:logged("manifest"))
    end)
  end)

  it("that the uploader refuses ends the export", function()
    for _, method in ipairs { "blob_exists", "put_blob", "put_manifest" } do
      with(function(push, store)
        store[method] = function()
          return errors.fail("denied", "not for you")
        end
        local began = core.now()
        local result, err = push(SMALL, nil, method ~= "put_manifest" and "cat export; exec sleep 20")
        assert.is_nil(result)
        assert.equal("denied", err.kind)
        assert.is_true(core.now() - began < 5)
        assert.is_nil(store.manifests["vms/demo:v1"])
      end)
    end
  end)

  it("uploads beside the reading of what comes next", function()
    with(function(push, store, dir)
      local put = store.put_blob
      function store.put_blob(self, ...)
        work.write_file(dir .. "/arrived", "")
        return put(self, ...)
      end
      local export = artifacts.export { { "a", "1" }, { "b", "2" } }
      -- what follows a comes when a has been uploaded, or never
      assert(push(export, { concurrency = 1 }, [[
        head -c 2048 export
        for i in $(seq 250); do [ -e arrived ] && break; sleep 0.02; done
        [ -e arrived ] || exit 1
        tail -c +2049 export
        exit 0]]))
    end)
  end)

  it("that has no room for its spool, or is cancelled, ends the export", function()
    with(function(push, store, dir, task)
      local result, err = push(SMALL, { spool_dir = dir .. "/nowhere" }, "cat export; exec sleep 20")
      assert.is_nil(result)
      assert.truthy(tostring(err):find(dir .. "/nowhere", 1, true), tostring(err))
      local exists = store.blob_exists
      function store.blob_exists(self, ...)
        task.loop:cancel("enough")
        return exists(self, ...)
      end
      local began = core.now()
      result, err = push(SMALL, nil, "trap '' TERM; head -c 2048 export; sleep 20; exit 0")
      assert.is_nil(result)
      assert.equal("cancelled", err.kind)
      assert.is_true(core.now() - began < 15)
      assert.is_nil(store.manifests["vms/demo:v1"])
    end)
  end)

  it("is told about as it goes", function()
    with(function(push)
      local lines, events = {}, {}
      assert(push(SMALL, {
        progress = function(line) lines[#lines + 1] = line end,
        on_event = function(e)
          events[#events + 1] = ("%s %s %s %s"):format(e.event, e.title, e.bytes, e.phase or tostring(e.transferred))
        end,
      }))
      assert.truthy(table.concat(lines, "\n"):find("cow.raw: 97.7K", 1, true))
      local all = table.concat(events, "\n")
      for _, e in ipairs {
        "start config.json 0 read", "progress config.json 0 send", "done config.json 2 true",
        "progress cow.raw 100000 read", "progress cow.raw 0 send", "done cow.raw 100000 true",
      } do
        assert.truthy(all:find(e, 1, true), e)
      end
      events = {}
      assert(push(SMALL, { on_event = function(e) events[#events + 1] = e end }))
      for _, e in ipairs(events) do -- it is there by now
        assert.not_equal("send", e.phase)
        if e.event == "done" then
          assert.is_false(e.transferred)
        end
      end
    end)
  end)

  it("of a name that is none starts nothing", function()
    with(function(push, store, dir)
      for _, bad in ipairs { { name = "--help" }, { tag = "../x" }, { snapshot = "-o" } } do
        local result, err = push(SMALL, bad)
        assert.is_nil(result)
        assert.equal("invalid", err.kind)
      end
      assert.is_nil(work.read_file(dir .. "/argv"))
      assert.same({}, store.log)
      assert.has_error(function() push(SMALL, { tga = "x" }) end)
    end)
  end)

  it("goes through a runner of plain functions", function()
    local task = assert(tasks.new { threads = 0 })
    local store, waited = artifacts.store(task), 0
    local runner = { export = function(_, _, name)
      assert.equal("demo", name)
      return core.bytes(SMALL), function()
        waited = waited + 1
        return true
      end
    end }
    local result = assert(snapshot.pusher { uploader = store, cocoon = runner, task = task }:push {
      name = "demo" })
    task:close()
    assert.equal("latest", result.tag)
    assert.equal(1, waited)
  end)
end)
