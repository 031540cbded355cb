--- Out of a bucket into homes of every kind, all behind a proxy that tells what was asked.
local config = require "epoch.config"
local core = require "epoch.core"
local locate = require "epoch.locate"
local migrate = require "epoch.migrate"
local migration = require "spec.support.migration"
local radosgw = require "spec.support.radosgw"
local registry = require "spec.support.registry"
local server = require "spec.support.server"
local support = require "spec.support.store"
local work = require "spec.support.work"

local ID = ("cd"):rep(32)
local TAGS = { "base-images:" .. ID, "g-small:v1", "g-small:v2", "win11:latest" }
local NAMES = { "base-images", "g-small", "win11" }
local KILLS = jit and 3 or 6 -- spread over all points of a migration

local PROXY = "proxy_pass %s; proxy_set_header Host $http_host; proxy_request_buffering off; proxy_http_version 1.1;"

local missing = radosgw.missing() or registry.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway and docker-registry", function() pending(missing) end)
  end)
end or describe

describe_or_skip("a migration out of a bucket", function()
  local gateway, hub, to_gateway, to_hub, bucket, settings, env, expected

  local function with_home(name, use)
    support.with_task(function(task, dir)
      local from = assert(locate.open_home(task, ("s3://%s/old"):format(bucket), settings))
      local to = name and assert(locate.open_home(task, name(dir), settings))
      use(task, from, to, dir)
      from:close()
      if to then
        to:close()
      end
    end)
  end

  setup(function()
    gateway, hub = radosgw.start(), registry.start()
    to_gateway = server.start { locations = { ["/"] = PROXY:format(gateway.url) } }
    to_hub = server.start { locations = { ["/"] = PROXY:format(hub.url) } }
    bucket = gateway:bucket()
    local given = gateway:options {}
    env = {
      EPOCH_S3_ENDPOINT = to_gateway.url, EPOCH_S3_ACCESS_KEY = given.access_key,
      EPOCH_S3_SECRET_KEY = given.secret_key, no_proxy = "127.0.0.1", XDG_CONFIG_HOME = "/nonexistent",
    }
    settings = assert(config.load {
      system_file = "/nonexistent", configured = { proxy = "" }, getenv = function(name) return env[name] end,
    })
    with_home(function(dir) return "file://" .. dir .. "/new" end, function(task, from, to, dir)
      migration.fill(from, dir)
      assert.equal(3, #assert(migrate.migrate(task, { from = from, to = to })))
      expected = migration.tagged(task, to, NAMES)
      local tags = {}
      for tag in pairs(expected) do
        tags[#tags + 1] = tag
      end
      table.sort(tags)
      assert.same(TAGS, tags)
    end)
  end)

  teardown(function()
    for _, one in ipairs { to_gateway, to_hub, gateway, hub } do
      one:stop()
    end
  end)

  -- What was asked of a proxy since `from`, as "METHOD PATH" without the query.
  local function asked(proxy, from)
    local list = {}
    for method, path in proxy:access_log():sub(from + 1):gmatch("%S+ %S+ %S+ (%S+) ([^%s?]+)%S* %d+\n") do
      list[#list + 1] = method .. " " .. path
    end
    return list
  end

  -- Fails where anything was changed, or a blob's bytes were asked for; those of `allowed`, by path, may be.
  local function check_quiet(proxy, from, allowed)
    for _, one in ipairs(asked(proxy, from)) do
      local path = one:match("^GET (.*)$")
      assert.is_truthy(one:find("^HEAD ") or path and (not path:find("/blobs/") or allowed and allowed[path]), one)
    end
  end

  -- The files that say what the old manifests of a home do not, by their paths at the gateway.
  local function telling_files(from)
    local paths = {}
    for _, name in ipairs(assert(from:repositories())) do
      for _, tag in ipairs(assert(from:tags(name))) do
        for _, layer in ipairs(assert(from:pull_manifest(name, tag)).layers) do
          if layer.title == "config.json" or layer.title == "state.json" then
            paths[("/%s/old/blobs/%s"):format(bucket, (layer.digest:gsub(":", "/")))] = true
          end
        end
      end
    end
    return paths
  end

  -- Everything below a directory, with what would tell of its having been written.
  local function tree(dir)
    local lines = {}
    for i, path in ipairs(core.stat(dir) and support.files(dir) or {}) do
      local stat = core.stat(dir .. "/" .. path)
      lines[i] = ("%s %d %d.%09d %s"):format(path, stat.size, stat.mtime, stat.mtime_ns, stat.id)
    end
    return lines
  end

  -- In a process of its own, which is killed at a point; 0: never.
  local function migrate_until(task, dir, to, at)
    return migration.run(task, dir, { from = ("s3://%s/old"):format(bucket), to = to, at = at, env = env })
  end

  local round = 0
  local kinds = {
    ["file://"] = function(dir) return "file://" .. dir .. "/new" end,
    ["oci:"] = function(dir) return "oci:" .. dir .. "/new" end,
    ["s3://"] = function() return ("s3://%s/new%d"):format(bucket, round) end,
    ["docker-registry"] = function() return ("%s/new%d"):format(to_hub.url, round) end,
  }

  for kind, name in pairs(kinds) do
    describe("into " .. kind, function()
      before_each(function()
        round = round + 1
      end)

      it("writes nothing when it is dry", function()
        with_home(name, function(task, from, to, dir)
          local logs = { #to_gateway:access_log(), #to_hub:access_log() }
          local before, data = tree(dir), tree(hub.dir .. "/data")
          local status, listed = gateway:curl("GET", ("/%s?list-type=2"):format(bucket))
          assert.equal(200, status)
          local results = assert(migrate.migrate(task, { from = from, to = to, dry_run = true }))
          assert.equal(3, #results)
          for _, one in ipairs(results) do
            assert.same({ "planned", 0 }, { one.state, one.transferred })
          end
          assert.same({ before, data }, { tree(dir), tree(hub.dir .. "/data") })
          assert.equal(listed, select(2, gateway:curl("GET", ("/%s?list-type=2"):format(bucket))))
          check_quiet(to_gateway, logs[1], telling_files(from))
          check_quiet(to_hub, logs[2])
        end)
      end)

      it("moves everything once, and no byte a second time", function()
        with_home(name, function(task, from, to, dir)
          assert(migrate.migrate(task, { from = from, to = to }))
          assert.same(expected, migration.tagged(task, to, NAMES))
          local logs = { #to_gateway:access_log(), #to_hub:access_log() }
          local before, data = tree(dir), tree(hub.dir .. "/data")
          for _, one in ipairs(assert(migrate.migrate(task, { from = from, to = to }))) do
            assert.same({ "there", 0 }, { one.state, one.transferred })
          end
          assert.same({ before, data }, { tree(dir), tree(hub.dir .. "/data") })
          assert.is_true(#to_gateway:access_log() > logs[1])
          check_quiet(to_gateway, logs[1])
          check_quiet(to_hub, logs[2])
        end)
      end)

      it("is completed by the next, wherever it was killed", function()
        local points
        with_home(nil, function(task, _, _, dir)
          points = assert(select(2, migrate_until(task, dir, name(dir), 0)))
        end)
        assert.is_true(points > 100)
        local cut = 0
        for i = 1, KILLS do
          round = round + 1
          with_home(name, function(task, from, to, dir)
            assert.is_true(migrate_until(task, dir, name(dir), math.floor(points * (i - 0.5) / KILLS)))
            local there = migration.tagged(task, to, NAMES) -- what has a tag is whole
            for tag, digest in pairs(there) do
              assert.equal(expected[tag], digest)
            end
            cut = cut + (next(there) and not there["win11:latest"] and 1 or 0)
            assert.equal(3, #assert(migrate.migrate(task, { from = from, to = to })))
            assert.same(expected, migration.tagged(task, to, NAMES))
            local leftovers = work.output(("find '%s' -name '.epoch-*' | wc -l"):format(dir))
            assert.equal("0", leftovers)
          end)
        end
        assert.is_true(cut > 0) -- some were killed between the first tag and the last
      end)
    end)
  end
end)
