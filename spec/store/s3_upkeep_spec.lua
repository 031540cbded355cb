--- What is done to a store in a bucket, on a real one: gc, beside pushes, and fsck.
local config = require "epoch.config"
local core = require "epoch.core"
local fsck = require "epoch.fsck"
local gc = require "epoch.gc"
local gc_race = require "spec.support.gc_race"
local locate = require "epoch.locate"
local radosgw = require "spec.support.radosgw"
local support = require "spec.support.store"

local missing = radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway", function() pending(missing) end)
  end)
end or describe

local DELETE = { grace = 0, delete = true }

describe_or_skip("a bucket", function()
  local gateway, bucket, settings

  setup(function()
    gateway = radosgw.start()
    bucket = gateway:bucket()
    local given = gateway:options {}
    local env = {
      EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_ACCESS_KEY = given.access_key,
      EPOCH_S3_SECRET_KEY = given.secret_key,
    }
    settings = assert(config.load {
      system_file = "/nonexistent", configured = { proxy = "" }, getenv = function(name) return env[name] end,
    })
  end)

  teardown(function()
    gateway:stop()
  end)

  local function with_home(prefix, use)
    support.with_task(function(task)
      local home = assert(locate.open_home(task, ("s3://%s/%s"):format(bucket, prefix), settings))
      use(home, task)
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
