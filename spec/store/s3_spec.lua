--- The S3 store on a real one, Ceph's gateway.
local core = require "epoch.core"
local behaviour = require "spec.support.store_behaviour"
local http = require "spec.support.http"
local objectstore = require "epoch.objectstore"
local radosgw = require "spec.support.radosgw"
local s3 = require "epoch.objectstore.s3"
local support = require "spec.support.store"
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
  local gateway, bucket, task
  local prefixes = 0

  setup(function()
    gateway = radosgw.start()
    bucket = gateway:bucket()
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
  end)

  after_each(function()
    task:close()
  end)

  local function open(options)
    local given = gateway:options { bucket = bucket, prefix = "shared" }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    return assert(s3.open(task, given))
  end

  local function with_store(use)
    prefixes = prefixes + 1
    use(open { prefix = ("test-%d/"):format(prefixes) })
  end

  behaviour.describe(with_store)

  it("has the keys of others beside its own prefix", function()
    assert(open { prefix = "p" }:put("k", 1, "x"))
    assert(open { prefix = "p/q" }:put("k", 1, "x"))
    assert(open { prefix = "pp" }:put("k", 1, "x"))
    assert.same({ "k", "q/k" }, names(open { prefix = "p" }:list("")))
    assert.same({ "k" }, names(open { prefix = "pp" }:list("")))
    assert.equal("x", (open { prefix = "" }:read("p/q/k", 1)))
    assert.equal("s3://" .. bucket .. "/p/q", open { prefix = "p/q" }:describe())
    assert.equal("s3://" .. bucket, open { prefix = "" }:describe())
  end)

  it("lists a directory and a file of one name, and more keys than fit on a page", function()
    with_store(function(store)
      local keys, functions = {}, {}
      for i = 1, 1003 do
        keys[i] = ("k%04d"):format(i)
        functions[i] = function() return store:put(keys[i], 0, "") end
      end
      functions[1004], keys[1004] = function() return store:put("k1003/x", 0, "") end, "k1003/x"
      assert(task:all(functions, 8))
      local page = store:list("")
      assert.equal(1000, #page.keys)
      assert.is_true(page.more)
      assert.equal("k1000", page.last)
      local list = {}
      for i, one in ipairs(assert(objectstore.list_all(store, "")).keys) do
        list[i] = one.key
      end
      assert.same(keys, list)
      assert.same({ "k1003/" }, assert(objectstore.list_all(store, "", "/")).prefixes)
    end)
  end)

  it("tells objects apart whose names are no keys", function()
    local store = open { prefix = "odd" }
    for _, name in ipairs { "a b+c~d", "a//b", ".hidden", "\195\169", "x/../y", "t\1t", "dir/" } do
      assert(store.session:ask { method = "PUT", key = "odd/" .. name, body = "" }):discard()
    end
    assert(store:put("z", 1, "z"))
    local page = store:list("")
    assert.same({ "z" }, names(page))
    assert.same({ ".hidden", "a b+c~d", "a//b", "dir/", "t\1t", "x/../y", "\195\169" }, page.others)
    page = store:list("", { delimiter = "/" })
    assert.same({ "z" }, names(page))
    assert.same({ "a/", "dir/", "x/" }, page.prefixes)
    for limit = 1, 3 do
      local all, after = {}, nil
      repeat
        page = assert(store:list("", { limit = limit, after = after }))
        for _, other in ipairs(page.others or {}) do
          all[#all + 1] = other
        end
        after = page.last
      until not page.more
      assert.equal(7, #all)
    end
  end)

  describe("large objects", function()
    local function large(options)
      options = options or {}
      options.multipart_threshold = options.multipart_threshold or 6 * MIB
      options.part_size = 5 * MIB
      return open(options)
    end

    local function uploads()
      local _, body = gateway:curl("GET", "/" .. bucket .. "?uploads=")
      return select(2, body:gsub("<UploadId>", ""))
    end

    it("go in parts and come as they were", function()
      local bytes = work.noise(13 * MIB)
      local store = large()
      local etag = assert(store:put("big", #bytes, bytes, { digest = core.digest(bytes) }))
      local info = store:head("big")
      assert.equal(#bytes, info.size)
      assert.equal(etag, info.etag)
      assert.matches("%-3\"$", etag) -- of three parts
      local got = task:flow { source = store:get("big"), hash = true }
      assert.equal(core.digest(bytes), got.digest)
      local source = store:get("big", { offset = 5 * MIB - 3, length = 6 })
      assert.equal(bytes:sub(5 * MIB - 2, 5 * MIB + 3), support.bytes(task, source))
      assert.equal(0, uploads())
    end)

    it("come from files, spools and pipes", function()
      work.in_directory(function(dir)
        local bytes = work.noise(7 * MIB)
        work.write_file(dir .. "/f", bytes)
        local store = large { spool_dir = dir, parallel = 1 }
        assert(store:put("file", #bytes, function() return core.file(dir .. "/f") end))
        local pipe, into = core.pipe()
        assert(task:all {
          function() return task:flow { source = core.bytes(bytes), sink = into } end,
          function() return store:put("pipe", #bytes, pipe) end,
        })
        for _, key in ipairs { "file", "pipe" } do
          assert.equal(core.digest(bytes), task:flow { source = store:get(key), hash = true }.digest)
        end
      end)
    end)

    it("are not there, nor any part of them, when they are not as promised", function()
      local bytes = work.noise(7 * MIB)
      local store = large()
      local err = kind("digest_mismatch", store:put("bad", #bytes, bytes, { digest = core.digest("x") }))
      assert.matches("write bad to s3://", tostring(err), 1, true)
      kind("size_mismatch", store:put("bad", #bytes + 1, bytes))
      kind("not_found", store:head("bad"))
      assert.equal(0, uploads())
    end)

    it("are not there when they change while they are sent, though they were as promised before", function()
      work.in_directory(function(dir)
        local path, bytes = dir .. "/f", work.noise(20 * MIB)
        work.write_file(path, bytes)
        local store, changed = large { parallel = 1 }, false
        local function change_the_last_part(sent)
          if sent > 6 * MIB and not changed then
            local f = assert(io.open(path, "r+b"))
            f:seek("set", 16 * MIB)
            f:write("another")
            f:close()
            changed = true
          end
        end
        kind("digest_mismatch", store:put("changed", #bytes, core.file(path), {
          digest = core.digest(bytes), on_progress = change_the_last_part }))
        assert.is_true(changed)
        kind("not_found", store:head("changed"))
        changed = false
        kind("truncated", store:put("cut", #bytes, core.file(path), { on_progress = function()
          changed = changed or os.execute(("truncate -s 7M '%s'"):format(path))
        end, digest = core.digest(work.read_file(path)) }))
        kind("not_found", store:head("cut"))
        assert.equal(0, uploads())
      end)
    end)

    it("go in one piece under conditions", function()
      local bytes = work.noise(7 * MIB)
      local store = large()
      assert(store:put("once", #bytes, bytes, { if_none_match = "*" }))
      kind("conflict", store:put("once", #bytes, bytes, { if_none_match = "*" }))
      assert.is_nil(store:head("once").etag:find("-", 1, true))
    end)
  end)

  it("gives URLs that are good without credentials, for a while and for one thing", function()
    local store = open()
    assert(store:put("a/b+c=d", 5, "hello"))
    local url = assert(store:presign("a/b+c=d"))
    local function ask(method, address)
      return http.fetch(task.loop, { method = method, url = address, proxy = "" })
    end
    local answer = assert(ask("GET", url))
    assert.same({ 200, "hello" }, { answer.status, answer.body })
    assert.equal(403, ask("PUT", url).status)
    assert.equal(403, ask("GET", (url:gsub("c%%3Dd", "c%%3De"))).status)
    assert.equal(403, ask("GET", (url:gsub("Expires=900", "Expires=901"))).status)
    url = store:presign("up", { method = "PUT", seconds = 9 })
    assert.equal(200, http.fetch(task.loop, { method = "PUT", url = url, body = "new", proxy = "" }).status)
    assert.equal("new", (store:read("up", 3)))
    kind("invalid", store:presign("../x"))
  end)

  it("is found by the name of its bucket as a host", function()
    local store = open { endpoint = gateway.url:gsub("127.0.0.1", "localhost"), path_style = false }
    assert.equal(bucket .. gateway.url:gsub("^http://127.0.0.1", ".localhost"), store.endpoint.host)
    assert(store:put("by/host", 1, "x"))
    assert.equal("x", (open():read("by/host", 1)))
    assert.same({ "by/host" }, names(store:list("by/")))
    assert.equal("x", http.fetch(task.loop, { url = store:presign("by/host"), proxy = "" }).body)
  end)

  it("says what is wrong with the settings", function()
    local function fails(wanted, words, options)
      local err = kind(wanted, open(options):read("k", 1))
      assert.matches(words, err.message, 1, true)
      assert.is_nil(tostring(err):find("forty", 1, true))
      kind(wanted, open(options):put("k", 1, "x"))
      kind(wanted, open(options):list(""))
    end
    fails("config", "404 NoSuchBucket; make the bucket first", { bucket = "nowhere" })
    fails("unauthorized", "403 SignatureDoesNotMatch; is s3.secret_key right?", { secret_key = "forty" })
    fails("unauthorized", "403 InvalidAccessKeyId; is s3.access_key", { access_key = "WRONG" })
    kind("denied", open { secret_key = "forty" }:head("k")) -- HEAD says no more
  end)

  it("is signed with the time of the store where the clock is wrong", function()
    local store = open { retries = 1 }
    assert(store:put("k", 1, "x"))
    local real = os.time
    os.time = function(...) -- luacheck: ignore 122
      return select("#", ...) > 0 and real(...) or real() - 3600
    end
    local ok, why = pcall(function()
      assert.equal("x", (store:read("k", 1)))
      -- refusals for other reasons do not make it forget
      kind("not_found", store:head("nothing"))
      kind("not_found", store:read("nothing", 1))
      kind("conflict", store:put("k", 1, "y", { if_none_match = "*" }))
      assert.equal("x", (store:read("k", 1)))
    end)
    os.time = real -- luacheck: ignore 122
    assert(ok, why)
    assert.is_true(math.abs(store.session.skew - 3600) < 10)
  end)
end)
