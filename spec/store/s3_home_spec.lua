--- s3://BUCKET as a home: what holds for every registry in a store, on a real one, and the way
-- from the settings to it.
local catalog_race = require "spec.support.catalog_race"
local config = require "epoch.config"
local core = require "epoch.core"
local errors = require "epoch.errors"
local locate = require "epoch.locate"
local radosgw = require "spec.support.radosgw"
local support = require "spec.support.store"
local tasks = require "epoch.task"
local work = require "spec.support.work"

-- Each takes a second or two, and five when instrumented: there three show what there is to show.
local RACES = (jit or (os.getenv("EPOCH_BUILD") or "build") ~= "build") and 3 or 20

local missing = radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway", function() pending(missing) end)
  end)
end or describe

describe_or_skip("a bucket as a home", function()
  local gateway, bucket, task, settings

  setup(function()
    gateway = radosgw.start()
    bucket = gateway:bucket()
    local given = gateway:options {}
    local env = {
      EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_ACCESS_KEY = given.access_key,
      EPOCH_S3_SECRET_KEY = given.secret_key, EPOCH_SERVER = "s3://" .. bucket,
    }
    settings = assert(config.load {
      system_file = "/nonexistent", configured = { proxy = "" },
      getenv = function(name) return env[name] end,
    })
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

  it("is reached with what the environment says", function()
    local home, ref = locate.open(task, "vms/demo:v1", settings)
    assert(home, ref)
    assert.equal("s3://" .. bucket .. "/epoch", home:describe())
    local manifest, digest = support.put_artifact(home, ref.name, ref.tag, { "one", ("two"):rep(100000), "" })
    assert.equal(manifest, home:get_manifest("vms/demo", "v1").bytes)
    assert.equal(manifest, home:get_manifest("vms/demo", digest).bytes)
    assert.equal(3, home:blob_size("vms/demo", core.digest("one")))
    assert.equal(("two"):rep(100000), support.bytes(task, home:get_blob("vms/demo", core.digest(("two"):rep(100000)))))
    assert.same({ "v1" }, home:tags("vms/demo"))
    assert.same({ "vms/demo" }, home:repositories())
    local status = gateway:curl("GET", "/" .. bucket .. "/epoch/catalog.json")
    assert.equal(200, status)
    assert.is_true(home:delete_manifest("vms/demo", digest))
    assert.same({}, home:repositories())
    home:close()
  end)

  it("believes no blob of another size", function()
    local home = assert(locate.open_home(task, "s3://" .. bucket .. "/sizes", settings))
    local digest = core.digest("right")
    local key = "blobs/" .. digest:gsub(":", "/")
    assert(home.store:put(key, 4, "left"))
    assert(home:put_blob("demo", digest, 5, "right"))
    assert.equal("right", (home.store:read(key, 5)))
    assert.is_true(home:mount_blob("other", digest, "demo"))
  end)

  it("loses no entry of the catalog when two processes write at once, time after time", function()
    local given = gateway:options {}
    work.in_memory(function(dir)
      catalog_race.run(task, dir, "s3://" .. bucket .. "/raceROUND", RACES, {
        EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_ACCESS_KEY = given.access_key,
        EPOCH_S3_SECRET_KEY = given.secret_key,
      })
    end)
    for round = 1, RACES do
      local home = assert(locate.open_home(task, ("s3://%s/race%d"):format(bucket, round), settings))
      local repositories, n = assert(home:get_catalog()).repositories, 0
      for name, entry in pairs(repositories) do
        n = n + 1
        assert.same({ v1 = ("manifests/%s/v1.json"):format(name) }, entry.tags)
      end
      assert.equal(2 * catalog_race.EACH, n)
    end
  end)

  it("loses no entry of the catalog among many who change it", function()
    local functions = {}
    for i = 1, 12 do
      functions[i] = function()
        local home = assert(locate.open_home(task, "s3://" .. bucket .. "/many", settings))
        return (support.put_artifact(home, ("vm%02d"):format(i), "v1", { tostring(i) }))
      end
    end
    assert(task:all(functions))
    local home = assert(locate.open_home(task, "s3://" .. bucket .. "/many", settings))
    local bytes = assert(home.store:read("catalog.json", 100000))
    for i = 1, 12 do
      assert.matches(('"vm%02d":'):format(i), bytes, 1, true)
    end
  end)

  it("says whose bucket is missing, and does not take that for an empty one", function()
    local home = assert(locate.open_home(task, "s3://nowhere", settings))
    for _, call in ipairs {
      function() return home:repositories() end,
      function() return home:get_manifest("demo", "v1") end,
      function() return home:put_blob("demo", core.digest("x"), 1, "x") end,
    } do
      local value, err = call()
      assert.is_nil(value)
      assert.is_true(errors.is(err))
      assert.equal("config", err.kind)
      assert.matches("NoSuchBucket", tostring(err))
    end
  end)
end)
