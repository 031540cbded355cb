--- The puller and a real S3 store: as it was once set up, a bucket that machines fill their cocoon from.
local core = require "epoch.core"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local interpreter = require "spec.support.interpreter"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local paths = require "epoch.cocoon.paths"
local puller = require "epoch.puller"
local radosgw = require "spec.support.radosgw"
local support = require "spec.support.store"
local work = require "spec.support.work"

local missing = radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway", function() pending(missing) end)
  end)
end or describe

describe_or_skip("a puller from a bucket", function()
  local gateway, bucket

  setup(function()
    gateway = radosgw.start()
    bucket = gateway:bucket()
  end)

  teardown(function()
    gateway:stop()
  end)

  -- The golden objects, stored anew.
  local function fill(task, dir, config)
    generation1.store(dir .. "/golden")
    local home = assert(homes.open(task, config.home, config.options))
    local bytes = golden.read("gen1/manifest.json")
    local m = assert(manifest.parse(bytes))
    for _, list in ipairs { m.layers, m.base_images } do
      for _, layer in ipairs(list) do
        assert(home:put_blob("g-small", layer.digest, layer.size, function()
          return core.file(dir .. "/golden/blobs/" .. layer.digest:gsub(":", "/"))
        end))
      end
    end
    assert(home:put_manifest("g-small", "v1", bytes))
    assert.equal(bytes, home:get_manifest("g-small", "v1").bytes)
    home:close()
  end

  it("pulls in the background, and with what it was configured with", function()
    support.with_task(function(task, dir)
      local config = { home = "s3://" .. bucket, options = gateway:options {} }
      fill(task, dir, config)
      local root = dir .. "/cocoon"
      local p = assert(puller.new_from_config(config, root))
      assert.same({ "g-small" }, p:list_remote())
      local warming = assert(p:prewarm { "g-small:v1" })
      assert.is_true(warming:wait())
      local here = paths.new { root_dir = root }
      local id = assert(here:resolve_snapshot_id("g-small"))
      local record = assert(here:read_snapshot_db()).snapshots[id]
      for _, layer in ipairs(assert(manifest.parse(golden.read("gen1/manifest.json"))).layers) do
        assert.equal(layer.digest, core.digest(work.read_file(record.data_dir .. "/" .. layer.title)))
      end
      assert.is_true(puller.new_from_config(config, root .. "2"):ensure_snapshot_tag("g-small", "v1"))
    end)
  end)

  it("takes what is configured where it is given no options, in the background, too", function()
    support.with_task(function(task, dir)
      local given = gateway:options {}
      fill(task, dir, { home = "s3://" .. bucket, options = given })
      local script = ([[%s
        local function new(root)
          return require("epoch.puller").new_from_config({ home = "s3://%s" }, %q .. root)
        end
        print(new("/a"):ensure_snapshot_tag("g-small", "v1"), assert(new("/b"):prewarm { "g-small:v1" }):wait())
      ]]):format(interpreter.paths(), bucket, dir)
      local preloaded = interpreter.preloaded()
      local out = work.output(("%s EPOCH_S3_ENDPOINT='%s' EPOCH_S3_ACCESS_KEY='%s' EPOCH_S3_SECRET_KEY='%s' "
        .. "NO_PROXY=127.0.0.1 '%s' -e '%s' 2>&1"):format(preloaded ~= "" and "env " .. preloaded or "env",
        given.endpoint, given.access_key, given.secret_key, interpreter.path(), script:gsub("'", "'\\''")))
      assert.equal("true\ttrue", out)
    end)
  end)

  it("is set up by what a ConfigMap says", function()
    support.with_task(function(task, dir)
      local given = gateway:options {}
      fill(task, dir, { home = "s3://" .. bucket, options = given })
      local function map(data)
        work.write_file(dir .. "/map", assert(json.encode { kind = "ConfigMap", data = data }))
      end
      work.write_file(dir .. "/kubectl", ('#!/bin/sh\necho "$*" >%s/asked\ncat %s/map\n'):format(dir, dir))
      os.execute("chmod +x " .. dir .. "/kubectl")
      local kube = { getenv = function() end, kubectl = dir .. "/kubectl" }
      map {
        EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_BUCKET = bucket .. "\n", EPOCH_S3_ACCESS_KEY = given.access_key,
        EPOCH_S3_SECRET_KEY = given.secret_key, EPOCH_S3_PREFIX = "epoch/", OTHER = "x",
      }
      local p = assert(puller.new(dir .. "/cocoon", "prod", "agent-env", kube))
      assert.equal("get configmap --namespace=prod --output=json -- agent-env\n", work.read_file(dir .. "/asked"))
      assert.is_true(p:ensure_snapshot_tag("g-small", "v1"))
      assert.is_true(paths.new { root_dir = dir .. "/cocoon" }:snapshot_exists("g-small"))
      map { EPOCH_S3_ENDPOINT = given.endpoint }
      local none, err = puller.new(dir .. "/cocoon", "prod", "agent-env", kube)
      assert.is_nil(none)
      assert.equal("config", err.kind)
      assert.equal("ConfigMap prod/agent-env has no EPOCH_S3_BUCKET, no EPOCH_S3_ACCESS_KEY, no EPOCH_S3_SECRET_KEY",
        tostring(err))
    end)
  end)

  it("is refused where its keys are wrong, and says so", function()
    support.with_task(function(_, dir)
      local config = { home = "s3://" .. bucket, options = gateway:options { secret_key = "wrong" } }
      local ok, err = puller.new_from_config(config, dir .. "/cocoon"):ensure_snapshot_tag("g-small", "v1")
      assert.is_nil(ok)
      assert.equal("unauthorized", err.kind)
      assert.is_nil(tostring(err):find("wrong", 1, true))
    end)
  end)
end)
