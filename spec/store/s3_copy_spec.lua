--- What the S3 store does inside the bucket, and over a long time, on a real one: copies, and
-- uploads in parts that go on in another process.
local core = require "epoch.core"
local behaviour = require "spec.support.store_behaviour"
local parts = require "epoch.s3.parts"
local radosgw = require "spec.support.radosgw"
local s3 = require "epoch.objectstore.s3"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local kind, names = behaviour.kind, behaviour.names
local MIB = 1024 * 1024

local missing = radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway", function() pending(missing) end)
  end)
end or describe

describe_or_skip("an S3 store", function()
  local gateway, task, bucket

  setup(function()
    gateway = radosgw.start()
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
    bucket = gateway:bucket()
  end)

  after_each(function()
    task:close()
  end)

  local function open(options)
    local given = gateway:options { bucket = bucket, prefix = "p", part_size = 5 * MIB, copy_threshold = 10 * MIB }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    return assert(s3.open(task, given))
  end

  local function digest_of(store, key)
    return assert(task:flow { source = assert(store:get(key)), hash = true }).digest
  end

  describe("copies", function()
    it("an object, which does not need the first one then", function()
      local store = open { multipart_threshold = 5 * MIB, copy_threshold = 64 * MIB }
      local small, large = "a few bytes", work.plenty(11 * MIB)
      for key, bytes in pairs { ["s/m+a=l%l"] = small, large = large, empty = "" } do
        assert(store:put(key, #bytes, bytes))
        assert(store:put("blobs/copy", 3, "old"))
        local etag = assert(store:copy(key, "blobs/copy"))
        assert.equal(#bytes, store:head("blobs/copy").size)
        assert.is_string(etag)
        assert(store:delete(key))
        gateway:collect()
        assert.equal(core.digest(bytes), digest_of(store, "blobs/copy"))
      end
      assert.same({ "blobs/copy" }, names(store:list("")))
    end)

    it("one that is too large for that in ranges", function()
      local store = open()
      local bytes = work.plenty(21 * MIB + 1)
      assert(store:put("large", #bytes, bytes))
      local etag = assert(store:copy("large", "copy"))
      assert.matches("%-3\"?$", etag)
      assert(store:delete("large"))
      gateway:collect()
      assert.equal(core.digest(bytes), digest_of(store, "copy"))
      assert.same({}, parts.uploads(store, ""))
    end)

    it("several as one, where each is long enough but the last", function()
      local store = open()
      local a, b, c = work.plenty(5 * MIB), work.plenty(13 * MIB, 2), "the end"
      for key, bytes in pairs { a = a, b = b, c = c } do
        assert(store:put(key, #bytes, bytes))
      end
      assert(store:copy({ "a", "b", "c" }, "all"))
      assert.equal(core.digest(a .. b .. c), digest_of(store, "all"))
      local err = kind("invalid", store:copy({ "c", "a" }, "not"))
      assert.matches("copy c, a to not in s3://", tostring(err), 1, true)
      kind("not_found", store:copy({ "a", "nothing" }, "not"))
      kind("not_found", store:copy("nothing", "not"))
      kind("invalid", store:copy("a", "../not"))
      kind("invalid", store:copy("../a", "not"))
      assert.same({ "a", "all", "b", "c" }, names(store:list("")))
      assert.same({}, parts.uploads(store, ""))
    end)
  end)

  describe("takes an object in parts", function()
    it("from one process after the other", function()
      local bytes = work.plenty(18 * MIB)
      local begun = assert(parts.begin(open(), "k"))
      begun = assert(parts.add(open(), begun, 11 * MIB, bytes:sub(1, 11 * MIB)))
      assert.equal(2, #begun.etags)
      kind("not_found", open():head("k"))
      local listed = assert(parts.list(open(), begun))
      assert.same({ 5 * MIB, 6 * MIB }, { listed[1].size, listed[2].size })
      assert.is_true(math.abs(listed[2].modified - os.time()) < 60)
      local again = assert(parts.add(open(), begun, 6 * MIB, bytes:sub(11 * MIB + 1, 17 * MIB)))
      again = assert(parts.add(open(), again, 1 * MIB, bytes:sub(17 * MIB + 1)))
      assert.equal(2, #begun.etags)
      assert(parts.finish(open(), again))
      assert.equal(core.digest(bytes), digest_of(open(), "k"))
      kind("not_found", parts.list(open(), again))
    end)

    it("from a range of a file", function()
      work.in_directory(function(dir)
        local bytes = work.plenty(8 * MIB)
        work.write_file(dir .. "/f", bytes)
        local begun = assert(parts.begin(open(), "k"))
        begun = assert(parts.add(open(), begun, 7 * MIB, function()
          return core.file(dir .. "/f", { offset = MIB, length = 7 * MIB })
        end))
        assert(parts.finish(open(), begun))
        assert.equal(core.digest(bytes:sub(MIB + 1)), digest_of(open(), "k"))
      end)
    end)

    it("and lists and gives up what others have begun", function()
      local store = open()
      local a, b = assert(parts.begin(store, "s/1/a")), assert(parts.begin(store, "s/2/b"))
      assert(parts.begin(open { prefix = "pp" }, "s/1/a"))
      local list = assert(parts.uploads(store, "s/1/"))
      assert.same({ a.key, a.id }, { list[1].key, list[1].id })
      assert.is_true(math.abs(list[1].modified - os.time()) < 60)
      assert.equal(2, #parts.uploads(store, ""))
      assert.is_true(parts.abort(store, a))
      assert.is_true(parts.abort(store, a))
      assert.same({ { b.key, b.id } }, { { parts.uploads(store, "")[1].key, parts.uploads(store, "")[1].id } })
      kind("not_found", parts.add(store, a, 1, "x"))
      kind("size_mismatch", parts.add(store, b, 2, "x"))
    end)
  end)
end)
