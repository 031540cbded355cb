local artifacts = require "spec.support.artifacts"
local children = require "spec.support.children"
local cloudimg = require "epoch.cloudimg"
local cocoon = require "epoch.cocoon"
local core = require "epoch.core"
local errors = require "epoch.errors"
local golden = require "spec.support.golden"
local manifest = require "epoch.manifest"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local function with_task(use)
  local task = assert(tasks.new())
  local ok, err = pcall(use, task, artifacts.store(task))
  task:close()
  if not ok then
    error(err, 0)
  end
end

local PARTS = {
  { "SHA256SUMS", "sums", media_type = "text/plain" }, { "d.10.part", "later" },
  { "d.9.part", "last" }, { "D.part", "first" }, { "d.1.part", ("x"):rep(200000) },
}
local DISK = "first" .. ("x"):rep(200000) .. "later" .. "last"

--- The disk of a stream, or nil, err and what had gone out before.
local function disk(task, raw, blobs, opts)
  local sink = core.collect(8 * 1024 * 1024)
  local given = { writer = sink }
  for k, v in pairs(opts or {}) do
    given[k] = v
  end
  local ok, err = cloudimg.stream(task, raw, blobs, given)
  local bytes = ok and assert(task:await(sink, "finish")) and sink:bytes()
  sink:close()
  return bytes or nil, err
end

describe("a cloud image", function()
  it("is its disk layers, bytewise by title", function()
    with_task(function(task, store)
      local lines, events = {}, {}
      local raw = artifacts.image(store, "win:v1", PARTS)
      work.assert_same_bytes(DISK, disk(task, raw, store, {
        progress = function(line) lines[#lines + 1] = line end,
        on_event = function(e) events[#events + 1] = e end }))
      assert.same({ event = "plan", op = "get", bytes = 0, total = #DISK, layers = 4 }, events[1])
      assert.same({ "D.part: 5B", "d.1.part: 195.3K", "d.10.part: 5B", "d.9.part: 4B" }, lines)
      assert.is_false(store:logged("get - " .. core.digest("sums")))
      raw = artifacts.image(store, "one:v1", { { "disk.raw", "raw",
        media_type = "application/vnd.cocoonstack.windows.disk.raw" } })
      assert.equal("raw", disk(task, raw, store))
    end)
  end)

  it("that oras pushed is the disk that the reference makes of it, on its way and in cocoon", function()
    work.in_directory(function(dir)
      with_task(function(task, store)
        local raw, expected = golden.read "cloudimg/manifest.json", golden.read "cloudimg/disk.qcow2"
        for _, name in ipairs(golden.names "^cloudimg/blobs/") do
          store:add(golden.read(name))
        end
        store.manifests["win11:latest"] = raw
        work.assert_same_bytes(expected, disk(task, raw, store))
        local runner = assert(cocoon.exec_cocoon { binary = artifacts.program(dir) })
        assert.is_true(cloudimg.puller { downloader = store, cocoon = runner, task = task }:pull {
          name = "win11" })
        work.assert_same_bytes(expected, work.read_file(dir .. "/committed"))
      end)
    end)
  end)

  it("of a manifest that has been parsed is the same", function()
    with_task(function(task, store)
      local m = assert(manifest.parse((artifacts.image(store, "win:v1", PARTS))))
      local sink = core.collect(#DISK)
      assert.is_true(cloudimg.stream_parsed(task, m, store, { writer = sink }))
      assert(task:await(sink, "finish"))
      work.assert_same_bytes(DISK, sink:bytes())
      sink:close()
    end)
  end)

  it("that has no order, no disk or is none is refused", function()
    with_task(function(task, store)
      for words, parts in pairs {
        ["no disk layer"] = { PARTS[1] },
        ["two disk layers are called"] = { { "a", "1" }, { "a", "2" } },
        ["has no title"] = { { "a", "1" }, { nil, "2" } },
      } do
        local bytes, err = disk(task, artifacts.image(store, "win:v1", parts), store)
        assert.is_nil(bytes)
        assert.equal("invalid", err.kind)
        assert.truthy(tostring(err):find(words, 1, true), tostring(err))
      end
      local raw = artifacts.snapshot(store, "vm:v1", { { "a", "1" } })
      local bytes, err = disk(task, raw, store, { name = "vm:v1" })
      assert.is_nil(bytes)
      assert.equal("manifest vm:v1 is a snapshot, not a cloud image", tostring(err))
      assert.is_nil((disk(task, "[]", store)))
      assert.is_false(store:logged("get"))
    end)
  end)

  it("goes into cocoon whole", function()
    work.in_directory(function(dir)
      with_task(function(task, store)
        local runner = assert(cocoon.exec_cocoon { binary = artifacts.program(dir) })
        artifacts.image(store, "win/win11:v1", PARTS)
        local puller = cloudimg.puller { downloader = store, cocoon = runner, task = task }
        assert.is_true(puller:pull { name = "win/win11", tag = "v1", local_name = "w" })
        work.assert_same_bytes(DISK, work.read_file(dir .. "/committed"))
        assert.equal("image|import|--|w|", work.read_file(dir .. "/argv"))
      end)
    end)
  end)

  it("or not at all", function()
    for kind, bend in pairs {
      digest_mismatch = function(bytes) return core.bytes("X" .. bytes:sub(2)) end,
      size_mismatch = function(bytes) return core.bytes(bytes:sub(2)) end,
      not_found = function() return errors.fail("not_found", "no such blob") end,
    } do
      for _, at in ipairs { 3, 4 } do -- the last part of the disk and the first
        work.in_directory(function(dir)
          with_task(function(task, store)
            local runner = assert(cocoon.exec_cocoon { binary = artifacts.program(dir),
                                                       stderr = "null", grace = 0.2 })
            local _, layers = artifacts.image(store, "win11:latest", PARTS)
            store.fault[layers[at].digest] = function(bytes)
              assert(children.eventually(function() return work.read_file(dir .. "/part") end))
              return bend(bytes)
            end
            local ok, err = cloudimg.puller { downloader = store, cocoon = runner, task = task }:pull {
              name = "win11" }
            assert.is_nil(ok)
            assert.equal(kind, err.kind)
            assert.matches("ended by SIGKILL; what it has left under cloudimg/temp", tostring(err))
            assert.is_nil(work.read_file(dir .. "/committed"))
          end)
        end)
      end
    end
  end)

  it("through a runner of plain functions, which has to have fail", function()
    with_task(function(task, store)
      artifacts.image(store, "win11:latest", PARTS)
      local sink, waited = core.collect(#DISK), 0
      local function wait()
        waited = waited + 1
        return true
      end
      local answer = { sink, wait, function() end }
      local runner = { image_import = function(_, _, name)
        assert.equal("win11", name)
        return answer[1], answer[2], answer[3]
      end }
      local puller = cloudimg.puller { downloader = store, cocoon = runner, task = task }
      assert.is_true(puller:pull { name = "win11" })
      assert.equal(1, waited)
      work.assert_same_bytes(DISK, sink:bytes())
      sink:close()
      answer = { core.null(), wait }
      assert.has_error(function() puller:pull { name = "win11" } end)
      answer[1]:close()
    end)
  end)

  it("of a name or kind that is none starts nothing", function()
    work.in_directory(function(dir)
      with_task(function(task, store)
        local runner = assert(cocoon.exec_cocoon { binary = artifacts.program(dir) })
        local puller = cloudimg.puller { downloader = store, cocoon = runner, task = task }
        local bytes = artifacts.snapshot(store, "vm:latest", { { "a", "1" } })
        local digest = core.digest(bytes)
        store.manifests["vm:" .. digest] = bytes
        assert.equal(("manifest vm@%s is a snapshot, not a cloud image"):format(digest),
                     tostring(select(2, puller:pull { name = "vm", digest = digest })))
        for _, opts in ipairs { { name = "vm" }, { name = "-x" }, { name = "vm", local_name = "--help" },
                                { name = "vm", tag = "a/b" }, { name = "nothere" } } do
          assert.is_nil((puller:pull(opts)))
        end
        assert.is_nil(work.read_file(dir .. "/argv"))
      end)
    end)
  end)
end)
