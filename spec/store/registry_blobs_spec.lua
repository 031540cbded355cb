--- Blobs of a registry in an object store as files, and what may be done with one by hand.
local core = require "epoch.core"
local directory = require "epoch.objectstore.directory"
local errors = require "epoch.errors"
local registry = require "epoch.registry"
local support = require "spec.support.store"
local work = require "spec.support.work"

-- `use(home, dir, task)`: the home in dir/s. `store` may be given a layer over the directory.
local function with_home(use, wrap)
  support.with_task(function(task, dir)
    local store = directory.open(task, dir .. "/s")
    local home = registry.new(task, wrap and wrap(store) or store)
    use(home, dir, task)
    home:close()
  end)
end

local function kind(wanted, value, err)
  assert.is_nil(value)
  assert.is_true(errors.is(err), tostring(err))
  assert.equal(wanted, err.kind)
  return err
end

local function blob_path(dir, digest)
  return dir .. "/s/blobs/" .. digest:gsub(":", "/")
end

local BYTES = work.noise(300000)
local DIGEST = core.digest(BYTES)

describe("a file", function()
  it("becomes a blob, and a blob a file", function()
    with_home(function(home, dir)
      work.write_file(dir .. "/disk", BYTES)
      local digest, size = home:push_blob("vms/demo", dir .. "/disk")
      assert.same({ DIGEST, #BYTES }, { digest, size })
      assert.equal(BYTES, work.read_file(blob_path(dir, DIGEST)))
      work.write_file(dir .. "/back", "what was there")
      local told
      assert.equal(#BYTES, home:pull_blob("other", DIGEST, dir .. "/back", function(bytes) told = bytes end))
      work.assert_same_bytes(BYTES, work.read_file(dir .. "/back"))
      assert.equal(#BYTES, told)
      work.write_file(dir .. "/empty", "")
      digest, size = home:push_blob("demo", dir .. "/empty")
      assert.same({ core.digest(""), 0 }, { digest, size })
      assert.equal(0, home:pull_blob("demo", digest, dir .. "/back"))
      assert.equal("", work.read_file(dir .. "/back"))
      local err = kind("not_found", home:push_blob("demo", dir .. "/nothing"))
      assert.matches('store "' .. dir .. '/nothing"', tostring(err), 1, true)
      kind("not_found", home:pull_blob("demo", core.digest("no"), dir .. "/never"))
      kind("not_found", home:pull_blob("demo", DIGEST, dir .. "/no/such/dir"))
      kind("invalid", home:push_blob("../demo", dir .. "/disk"))
      kind("invalid", home:pull_blob("demo", "sha256:..", dir .. "/never"))
      assert.is_nil(work.read_file(dir .. "/never"))
    end)
  end)

  it("that is there already is not stored again, unless what is there has another size", function()
    with_home(function(home, dir)
      work.write_file(dir .. "/disk", BYTES)
      assert(home:push_blob("demo", dir .. "/disk"))
      local before = core.stat(blob_path(dir, DIGEST)).id
      assert(home:push_blob("demo", dir .. "/disk"))
      assert.equal(before, core.stat(blob_path(dir, DIGEST)).id)
      work.write_file(blob_path(dir, DIGEST), BYTES:sub(1, -2))
      assert(home:push_blob("demo", dir .. "/disk"))
      work.assert_same_bytes(BYTES, work.read_file(blob_path(dir, DIGEST)))
    end)
  end)

  it("that changes while it is stored is refused", function()
    for _, changed in ipairs { BYTES:sub(1, -2), BYTES .. "x", BYTES:sub(1, -2) .. "?" } do
      with_home(function(home, dir)
        work.write_file(dir .. "/disk", BYTES)
        home.store.before_head = function()
          work.write_file(dir .. "/disk", changed)
        end
        kind(#changed == #BYTES and "digest_mismatch" or "size_mismatch", home:push_blob("demo", dir .. "/disk"))
        assert.same({}, support.files(dir .. "/s"))
      end, function(store)
        local head = store.head
        store.head = function(self, key)
          self.before_head()
          return head(self, key)
        end
        return store
      end)
    end
  end)

  it("is not made, nor touched, by a blob that is not what its digest says", function()
    with_home(function(home, dir)
      for _, bad in ipairs { BYTES:sub(1, -2), BYTES .. "x", BYTES:sub(1, -2) .. "?", "" } do
        assert(home:put_blob("demo", DIGEST, #BYTES, BYTES))
        work.write_file(blob_path(dir, DIGEST), bad)
        work.write_file(dir .. "/back", "what was there")
        local err = kind("digest_mismatch", home:pull_blob("demo", DIGEST, dir .. "/back"))
        assert.matches("blob " .. DIGEST .. " in file://", err.message, 1, true)
        assert.equal("what was there", work.read_file(dir .. "/back"))
        kind("digest_mismatch", home:pull_blob("demo", DIGEST, dir .. "/never"))
        assert.is_nil(work.read_file(dir .. "/never"))
      end
    end)
  end)
end)

describe("a blob", function()
  it("is there or not, and can be removed", function()
    with_home(function(home, dir)
      assert.is_false(home:blob_exists("demo", DIGEST))
      assert.is_true(home:delete_blob("demo", DIGEST))
      assert(home:put_blob("demo", DIGEST, #BYTES, BYTES))
      assert.is_true(home:blob_exists("other", DIGEST))
      assert.is_true(home:delete_blob("other", DIGEST))
      assert.is_false(home:blob_exists("demo", DIGEST))
      assert.same({}, support.files(dir .. "/s"))
      kind("invalid", home:delete_blob("demo", "catalog.json"))
      kind("invalid", home:delete_blob("..", DIGEST))
      kind("invalid", home:blob_exists("..", DIGEST))
    end)
  end)
end)

describe("a blob that is a stream", function()
  it("is stored from any body, when it is what its digest says", function()
    with_home(function(home, dir)
      work.write_file(dir .. "/disk", BYTES)
      local told
      assert.is_true(home:push_blob_from_stream("demo", DIGEST, #BYTES, assert(core.file(dir .. "/disk")),
        function(bytes) told = bytes end))
      assert.equal(#BYTES, told)
      work.assert_same_bytes(BYTES, work.read_file(blob_path(dir, DIGEST)))
      local pieces = { "one", "two" }
      local reader = { read = function() return table.remove(pieces, 1) end, close = function() end }
      assert.is_true(home:push_blob_from_stream("demo", core.digest("onetwo"), 6, reader))
      assert.equal("onetwo", work.read_file(blob_path(dir, core.digest("onetwo"))))
      kind("digest_mismatch", home:push_blob_from_stream("demo", core.digest("x"), 1, "y"))
      assert.is_false(home:blob_exists("demo", core.digest("x")))
      for _, body in ipairs { "xy", "" } do
        assert.is_nil((home:push_blob_from_stream("demo", core.digest("x"), 1, body)))
        assert.is_false(home:blob_exists("demo", core.digest("x")))
      end
    end)
  end)

  it("is read as it comes, whole or in part", function()
    with_home(function(home, _, task)
      assert(home:put_blob("demo", DIGEST, #BYTES, BYTES))
      local source, size = home:stream_blob("other", DIGEST)
      assert.equal(#BYTES, size)
      work.assert_same_bytes(BYTES, support.bytes(task, source))
      source, size = home:stream_blob("demo", DIGEST, { offset = 10, length = 5 })
      assert.equal(5, size)
      assert.equal(BYTES:sub(11, 15), support.bytes(task, source))
      assert.equal(#BYTES, home:blob_size("demo", DIGEST))
      kind("not_found", home:stream_blob("demo", core.digest("no")))
      kind("invalid", home:stream_blob("demo", "sha256:.."))
    end)
  end)
end)

describe("the catalog", function()
  it("is told as it stands", function()
    with_home(function(home, dir)
      assert.same({}, home:get_catalog().repositories)
      support.put_artifact(home, "vms/demo", "v1", { "one" })
      local catalog = assert(home:get_catalog())
      assert.same({ v1 = "manifests/vms/demo/v1.json" }, catalog.repositories["vms/demo"].tags)
      assert.matches("^%d+%-%d%d%-%d%dT[%d:]+Z$", catalog.updated_at)
      assert(core.unlink(dir .. "/s/catalog.json"))
      assert.same(catalog.repositories["vms/demo"].tags, home:get_catalog().repositories["vms/demo"].tags)
      work.write_file(dir .. "/s/catalog.json", "{")
      local err = kind("invalid", home:get_catalog())
      assert.matches("s/catalog.json is broken: JSON, byte 2: ", tostring(err), 1, true)
      assert.matches("; rebuild_catalog makes it anew", tostring(err), 1, true)
      assert(home:rebuild_catalog())
      assert.same(catalog.repositories, home:get_catalog().repositories)
    end)
  end)
end)
