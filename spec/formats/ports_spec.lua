local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local ports = require "epoch.ports"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local function with_task(use)
  local task = assert(tasks.new { threads = 0 })
  local ok, err = pcall(use, task)
  task:close()
  if not ok then
    error(err, 0)
  end
end

--- An object of `bytes`, in pieces; with `failure` that comes in the place of its end.
local function object(bytes, failure)
  local self = { closed = 0 }
  function self.read(_, n)
    assert(n > 0)
    if bytes == "" then
      return nil, failure
    end
    local piece = bytes:sub(1, math.min(n, 100000))
    bytes = bytes:sub(#piece + 1)
    return piece
  end
  function self.close()
    self.closed = self.closed + 1
  end
  return self
end

describe("a blob", function()
  it("is moved from a source or from any object", function()
    with_task(function(task)
      local bytes = work.noise(300000)
      local object_of_it = object(bytes)
      for _, blob in ipairs { core.bytes(bytes), object_of_it } do
        local sink = core.collect(#bytes)
        local moved = assert(ports.flow(task, blob, { sink = sink, size = #bytes,
                                                      digest = core.digest(bytes) }))
        assert.equal(#bytes, moved.size)
        work.assert_same_bytes(bytes, sink:bytes())
      end
      assert.equal(1, object_of_it.closed)
      assert.has_error(function() ports.flow(task, "bytes", {}) end)
    end)
  end)

  it("that an object gives wrong is as wrong as from a source", function()
    with_task(function(task)
      local bytes = ("x"):rep(200000)
      local cases = {
        { object(bytes .. "y"), "size_mismatch" }, { object(bytes:sub(2)), "size_mismatch" },
        { object(bytes:sub(2) .. "y"), "digest_mismatch" }, { object(""), "size_mismatch" },
        { object(bytes:sub(9), errors.new("timeout", "too slow")), "timeout" },
        { object(bytes:sub(9), "plain words"), "io" },
      }
      for _, case in ipairs(cases) do
        local sink = core.collect(2 * #bytes)
        local moved, err = ports.flow(task, case[1], { sink = sink, size = #bytes,
                                                       digest = core.digest(bytes) })
        assert.is_nil(moved)
        assert.equal(case[2], err.kind)
        assert.equal(1, case[1].closed)
        sink:close()
      end
    end)
  end)
end)

describe("a home", function()
  it("is an uploader and a downloader", function()
    local calls = {}
    local home = setmetatable({}, { __index = function(_, method)
      return function(_, ...)
        calls[#calls + 1] = { method, ... }
        if method == "blob_size" and select(2, ...) ~= "there" then
          return errors.fail(select(2, ...) == "gone" and "not_found" or "denied", "x")
        elseif method == "get_manifest" then
          return { bytes = "b", media_type = "t", digest = "d" }
        end
        return 7
      end
    end })
    local up, down = ports.uploader(home), ports.downloader(home)
    assert.is_true(up:blob_exists("n", "there"))
    assert.is_false(up:blob_exists("n", "gone"))
    assert.equal("denied", select(2, up:blob_exists("n", "else")).kind)
    assert.equal(7, up:put_blob("n", "d", "body", 5))
    assert.equal(7, up:put_manifest("n", "t", "bytes", "type"))
    assert.same({ "b", "t" }, { down:get_manifest("n", "t") })
    assert.equal(7, ports.blob_reader(down, "n"):read_blob("d"))
    assert.same({ { "put_blob", "n", "d", 5, "body" }, { "put_manifest", "n", "t", "bytes", "type" },
                  { "get_manifest", "n", "t" }, { "get_blob", "n", "d" } },
                { calls[4], calls[5], calls[6], calls[7] })
  end)
end)

describe("the manifest of an artifact", function()
  local store, child, index

  before_each(function()
    store = artifacts.store()
    child = assert(json.encode { schemaVersion = 2, artifactType = media.SNAPSHOT,
                                 mediaType = media.OCI_MANIFEST, layers = json.array {} })
    index = function(size)
      return assert(json.encode {
        schemaVersion = 2, mediaType = media.OCI_INDEX, manifests = json.array { {
          mediaType = media.OCI_MANIFEST, digest = core.digest(child), size = size or #child,
          platform = { os = "linux", architecture = "arm64" },
        } },
      })
    end
    store.manifests["n:" .. core.digest(child)] = child
  end)

  it("of an index is that of its child, and which one is said", function()
    store.manifests["n:v1"] = index()
    local said = {}
    local m = assert(ports.fetch_manifest(store, "n", "v1", function(s) said[#said + 1] = s end))
    assert.equal("snapshot", manifest.classify(m))
    assert.matches("taking its manifest for linux/arm64", said[1])
  end)

  it("that is not what was asked for is refused", function()
    local digest = core.digest(child)
    store.manifests["n:" .. digest] = child .. " "
    assert.equal("digest_mismatch", select(2, ports.fetch_manifest(store, "n", digest)).kind)
    store.manifests["n:v1"] = index()
    assert.equal("digest_mismatch", select(2, ports.fetch_manifest(store, "n", "v1")).kind)
    store.manifests["n:" .. digest] = child
    store.manifests["n:v1"] = index(#child + 1)
    assert.equal("size_mismatch", select(2, ports.fetch_manifest(store, "n", "v1")).kind)
    assert.equal("not_found", select(2, ports.fetch_manifest(store, "n", "v2")).kind)
  end)

  it("is not looked for in an index in an index", function()
    child = index()
    store.manifests["n:" .. core.digest(child)] = child
    store.manifests["n:v1"] = index()
    assert.equal("invalid", select(2, ports.fetch_manifest(store, "n", "v1")).kind)
  end)
end)
