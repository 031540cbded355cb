--- What is done to a store in a bucket, on a real one: gc, beside pushes, and fsck.
local children = require "spec.support.children"
local config = require "epoch.config"
local core = require "epoch.core"
local fsck = require "epoch.fsck"
local gc = require "epoch.gc"
local gc_race = require "spec.support.gc_race"
local locate = require "epoch.locate"
local parts = require "epoch.s3.parts"
local program = require "spec.support.program"
local radosgw = require "spec.support.radosgw"
local support = require "spec.support.store"
local work = require "spec.support.work"

local missing = radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway", function() pending(missing) end)
  end)
end or describe

local DELETE = { grace = 0, delete = true }

describe_or_skip("a bucket", function()
  local gateway, bucket, settings, env

  setup(function()
    gateway = radosgw.start()
    bucket = gateway:bucket()
    local given = gateway:options {}
    env = {
      EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_ACCESS_KEY = given.access_key,
      EPOCH_S3_SECRET_KEY = given.secret_key, no_proxy = "127.0.0.1",
    }
    settings = assert(config.load {
      system_file = "/nonexistent", configured = { proxy = "" }, getenv = function(name) return env[name] end,
    })
  end)

  teardown(function()
    gateway:stop()
  end)

  local function with_home(prefix, use)
    support.with_task(function(task, dir)
      local home = assert(locate.open_home(task, ("s3://%s/%s"):format(bucket, prefix), settings))
      use(home, task, dir)
      home:close()
    end)
  end

  it("is cleaned", function()
    with_home("clean", function(home, task)
      support.put_artifact(home, "a", "v1", { "one" })
      local gone = core.digest("gone")
      assert(home:put_blob("a", gone, 4, "gone"))
      assert.equal(1, assert(gc(task, home)).young)
      local found = assert(gc(task, home, DELETE))
      assert.same({ 1, 1, gone, 4 }, { #found.blobs, found.removed, found.blobs[1].digest, found.freed })
      assert.is_false(home:blob_exists("a", gone))
      assert.is_true(home:blob_exists("a", core.digest("one")))
      assert.equal("not_found", select(2, home.store:head("gc.json")).kind)
      assert(home.store:put("manifests/a/v2.json", 1, "{"))
      assert(home:put_blob("a", gone, 4, "gone"))
      assert.is_nil((gc(task, home, DELETE)))
      assert.is_true(home:blob_exists("a", gone))
    end)
  end)

  it("is cleaned beside pushes", function()
    with_home("race", function(home, task)
      local whole, refused = gc_race.run(task, home, 20, 0.002)
      assert.is_true(whole > 0 and refused > 0, ("%d whole, %d refused"):format(whole, refused))
    end)
  end)

  it("is cleaned by one at a time", function()
    with_home("one", function(home, task)
      assert(home:put_blob("a", core.digest("gone"), 4, "gone"))
      local until_time = assert(home:announce_removal { core.digest("else") })
      local found, err = gc(task, home, DELETE)
      assert.is_nil(found)
      assert.equal("busy", err.kind)
      assert(home:end_removal(until_time))
      assert.equal(1, assert(gc(task, home, DELETE)).removed)
    end)
  end)

  -- A client that is killed when it has sent more than two parts of four.
  local function killed_client(task, dir)
    local path = dir .. "/put.lua"
    work.write_file(path, [[
      local task = assert(require "epoch.task".new())
      local store = assert(require "epoch.objectstore.s3".open(task, {
        endpoint = arg[1], bucket = arg[2], prefix = arg[3], access_key = arg[4], secret_key = arg[5], proxy = "",
        multipart_threshold = 5 * 1024 * 1024, part_size = 5 * 1024 * 1024, parallel = 1,
      }))
      local stat = io.open("/proc/self/stat")
      local bytes = ("x"):rep(20 * 1024 * 1024)
      store:put("blobs/sha256/" .. ("a"):rep(64), #bytes, bytes, { on_progress = function(sent)
        if sent > 12 * 1024 * 1024 then
          os.execute("kill -9 " .. stat:read("*n"))
        end
      end })]])
    local given = gateway:options {}
    local process = assert(task.loop:spawn {
      argv = { children.lua, path, given.endpoint, bucket, "left", given.access_key, given.secret_key },
      env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, PATH = os.getenv("PATH") },
    })
    assert.equal("KILL", assert(task:await(process, "wait")).signal)
    process:close()
  end

  local function keys_of(uploads)
    local keys = {}
    for i, one in ipairs(uploads) do
      keys[i] = one.key
    end
    return keys
  end

  it("is rid of parts that a killed client has left", function()
    with_home("left", function(home, task, dir)
      killed_client(task, dir)
      local key = "blobs/sha256/" .. ("a"):rep(64)
      assert.same({}, home.store:list("blobs/").keys)
      assert.same({}, assert(gc(task, home, { grace = 3600, delete = true })).uploads)
      local found = assert(gc(task, home, { grace = 0 }))
      assert.same({ key }, keys_of(found.uploads))
      assert.equal(10 * 1024 * 1024, found.uploads[1].size)
      assert.is_false(found.uploads[1].removed)
      local result = program.run({ "gc", "--registry", ("s3://%s/left"):format(bucket), "--grace", "0" }, env)
      assert.equal(("epoch: gc: no blobs (0B) can be removed from s3://%s/left\n"):format(bucket)
        .. "epoch: gc: 1 upload that nobody has finished (10.0M) can be given up\n", result.err)
      found = assert(gc(task, home, DELETE))
      assert.same({ true, 0 }, { found.uploads[1].removed, found.removed })
      assert.same({}, assert(gc(task, home, DELETE)).uploads)
      local status, body = gateway:curl("GET", "/" .. bucket .. "?uploads=")
      assert.equal(200, status)
      assert.is_nil(body:find("<Upload>", 1, true))
      assert.is_true(home.store:abandon { key = key, id = found.uploads[1].id })
    end)
  end)

  it("keeps parts that are somebody else's, or still come", function()
    with_home("live", function(home, task)
      local other = assert(locate.open_home(task, ("s3://%s/live-not"):format(bucket), settings))
      local theirs = assert(parts.begin(other.store, "blobs/sha256/theirs"))
      local strange = assert(parts.begin(home.store, "elsewhere/data"))
      local slow = assert(parts.begin(home.store, "uploads/id/data"))
      local begun = os.time() + 1
      assert(task:sleep(2.1))
      slow = assert(parts.add(home.store, slow, 3, "abc"))
      assert.same({}, assert(home.store:unfinished(begun)))
      assert.same({ "uploads/id/data" }, keys_of(assert(home.store:unfinished(os.time() + 2))))
      assert.equal(1, #assert(gc(task, home, DELETE)).uploads)
      assert.equal("not_found", select(2, parts.list(home.store, slow)).kind)
      for store, one in pairs { [home.store] = strange, [other.store] = theirs } do
        assert.same({}, assert(parts.list(store, one)))
        assert(store:abandon(one))
      end
      other:close()
    end)
  end)

  it("with something unreadable in it keeps these, too", function()
    with_home("doubt", function(home, task)
      local left = assert(parts.begin(home.store, "blobs/sha256/left"))
      assert(home.store:put("manifests/a/v1.json", 1, "{"))
      assert.is_nil((gc(task, home, DELETE)))
      assert.equal(1, #assert(home.store:unfinished(math.huge)))
      assert(home.store:abandon(left))
    end)
  end)

  it("is checked", function()
    with_home("check", function(home, task)
      support.put_artifact(home, "a", "v1", { "one", ("x"):rep(300000) })
      assert.same({}, assert(fsck(task, home)).broken)
      local one, x = core.digest("one"), core.digest(("x"):rep(300000))
      assert(home.store:put("blobs/" .. one:gsub(":", "/"), 3, "eno"))
      assert(home:delete_blob("a", x))
      local kinds = {}
      for _, broken in ipairs(assert(fsck(task, home)).broken) do
        kinds[broken.digest] = broken.err.kind
        assert.same({ "a:v1" }, broken.breaks)
      end
      assert.same({ [one] = "digest_mismatch", [x] = "not_found" }, kinds)
    end)
  end)
end)
