--- The registry and a real S3 store as generation 1 had them: settings from a cluster's ConfigMap, and
-- snapshots out of cocoon's directories and into them.
local calendar = require "epoch.calendar"
local config = require "epoch.config"
local core = require "epoch.core"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local json = require "epoch.json"
local kubernetes_api = require "spec.support.kubernetes"
local paths = require "epoch.cocoon.paths"
local radosgw = require "spec.support.radosgw"
local registry = require "epoch.registry"
local support = require "spec.support.store"
local work = require "spec.support.work"

local SNAPSHOT = { name = "g-small", tag = "v1" }

local missing = radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway", function() pending(missing) end)
  end)
end or describe

describe_or_skip("a registry in a bucket", function()
  local gateway, bucket, api

  setup(function()
    gateway = radosgw.start()
    api = kubernetes_api.start {}
  end)

  teardown(function()
    api:stop()
    gateway:stop()
  end)

  before_each(function()
    bucket = gateway:bucket()
  end)

  -- As a pod opens it.
  local function open(task, dir, prefix)
    local given = gateway:options {}
    api:put("prod/configmaps/agent-env", assert(json.encode { kind = "ConfigMap", data = {
      EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_BUCKET = bucket, EPOCH_S3_ACCESS_KEY = given.access_key,
      EPOCH_S3_SECRET_KEY = given.secret_key, EPOCH_S3_PREFIX = prefix,
    } }))
    assert(core.mkdir(dir .. "/pod", tonumber("700", 8)))
    return assert(registry.new_from_configmap(task, "prod", "agent-env", api:pod(dir .. "/pod")))
  end

  -- Digests and sizes by key, as curl finds them; without the catalog, which has times in it.
  local function objects(prefix)
    local out = {}
    local _, listing = gateway:curl("GET", "/" .. bucket .. "?list-type=2")
    for key in listing:gmatch("<Key>([^<]*)</Key>") do
      local _, bytes = gateway:curl("GET", "/" .. bucket .. "/" .. key)
      out[key:sub(#prefix + 1)] = core.digest(bytes)
    end
    out["catalog.json"] = nil
    return out
  end

  it("takes the golden root under the golden keys, and gives it back", function()
    support.with_task(function(task, dir)
      generation1.root(dir .. "/root")
      generation1.store(dir .. "/golden")
      local home = open(task, dir)
      local here = paths.new { root_dir = dir .. "/root", task = task }
      local pushed_at = calendar.rfc3339("2026-11-21T05:18:10Z")
      local m = assert(registry.push(task, home, here, { name = "g-small", tag = "v1", pushed_at = pushed_at }))
      assert.equal((golden.read("gen1/manifest.json"):gsub("10%.843597284Z", "10Z")), m.bytes)
      local expected = { ["manifests/g-small/v1.json"] = m.digest }
      for _, path in ipairs(support.files(dir .. "/golden/blobs")) do
        expected["blobs/" .. path] = core.digest(work.read_file(dir .. "/golden/blobs/" .. path))
      end
      assert.same(expected, objects("epoch/"))
      assert.same({ v1 = "manifests/g-small/v1.json" }, home:get_catalog().repositories["g-small"].tags)
      assert.same({ "v1" }, home:list_tags("g-small"))
      assert.equal(m.bytes, (home:manifest_json("g-small", "v1")))

      local there = paths.new { root_dir = dir .. "/there", task = task }
      assert(registry.pull(task, home, there, SNAPSHOT))
      local data = here:snapshot_data_dir(generation1.ID)
      for _, path in ipairs(support.files(data)) do
        work.assert_same_bytes(work.read_file(data .. "/" .. path),
          work.read_file(there:snapshot_data_dir(generation1.ID) .. "/" .. path))
      end
      local record = golden.read("gen1/snapshots-after-pull.json"):gsub("/var/lib/cocoon", there.root_dir)
      assert.same(json.decode(record), json.decode(work.read_file(there:snapshot_db_file())))
      home:close()
    end)
  end)

  it("sends only what is not there, holes and empty files too", function()
    support.with_task(function(task, dir)
      generation1.root(dir .. "/root")
      local home = open(task, dir, "vms")
      local here = paths.new { root_dir = dir .. "/root", task = task }
      local data = here:snapshot_data_dir(generation1.ID)
      os.execute(("truncate -s 1M '%s/all-hole.raw' && : >'%s/nothing'"):format(data, data))
      local function push()
        local moved = 0
        assert(registry.push(task, home, here, { name = "g-small", tag = "v1", on_event = function(e)
          moved = moved + (e.transferred and 1 or 0)
        end }))
        return moved
      end
      assert.equal(9, push())
      local before = objects("vms/")
      assert.equal(0, push())
      assert.same(before, objects("vms/"))
      assert.equal(core.digest(""), before["blobs/" .. core.digest(""):gsub(":", "/")])
      assert.equal(0, home:blob_size("g-small", core.digest("")))
      home:close()
    end)
  end)

  it("is the one of the settings, too", function()
    support.with_task(function(task)
      finally(function() config.configure {} end)
      local given = gateway:options { bucket = bucket }
      given.proxy = nil -- a setting for all
      config.configure { s3 = given, proxy = "" }
      local home = assert(registry.new_from_env(task))
      local digest = core.digest("bytes")
      assert(home:push_blob_from_stream("demo", digest, 5, core.bytes("bytes")))
      assert.equal(5, home:blob_size("demo", digest))
      assert.equal("bytes", support.bytes(task, home:stream_blob("demo", digest)))
      home:close()
    end)
  end)
end)
