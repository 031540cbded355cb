--- A store that is a cluster: three monitors, three OSDs with three copies of everything, two
--- gateways. Daemons are killed with SIGKILL while four processes push through both gateways.
--- Whatever was acknowledged must be there afterwards, and one that is told of a failure must
--- get the same thing done through the other gateway. Prints what it did.

local children = require "spec.support.children"
local core = require "epoch.core"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local load = require "spec.support.scale_load"
local radosgw = require "spec.support.radosgw"
local store = require "spec.support.store"

local LIMIT = 60 -- seconds that a cluster may need before all can push again

local missing = radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph", function() pending(missing) end)
  end)
end or describe

local function say(form, ...)
  io.stdout:write("scale: ", form:format(...), "\n")
  io.stdout:flush()
end

describe_or_skip("a cluster under load", function()
  local began, cluster, bucket

  setup(function()
    began = core.now()
    cluster = radosgw.start { monitors = 3, osds = 3, gateways = 2, store = "bluestore" }
    bucket = cluster:bucket()
    say("3 monitors, 3 OSDs on files, 2 gateways, ready in %.0f s", core.now() - began)
  end)

  teardown(function()
    cluster:stop()
    say("%.0f s altogether", core.now() - began)
  end)

  local function open(task, url)
    local options = cluster:options { endpoint = url, retries = 1 }
    return assert(homes.open(task, load.home(bucket), options))
  end

  -- Kills daemons, sees that all go on pushing without, starts them again, and sees the same.
  local function without(running, name, more)
    cluster:kill(name)
    local alone = running:go_on(more, LIMIT)
    say("killed %s; without it every process had %d more acknowledged after %.1f s", name, more, alone)
  end

  local function again(running, name, more)
    cluster:restart(name)
    say("started %s again; %d more each after %.1f s", name, more, running:go_on(more, LIMIT))
  end

  local function check(task, seen, when)
    local through = {}
    for i, url in ipairs(cluster.urls) do
      through[i] = open(task, url)
    end
    local tags, bytes = load.verify(task, through, seen)
    say("%s: %d tags as they were acknowledged last, %.0f MiB pulled and verified, the catalog complete", when, tags,
      bytes / 2 ^ 20)
  end

  local function gateway_dies(running, task)
    local before = #running:seen().failed
    without(running, "client.rgw.0", 8)
    local dead, alive = open(task, cluster.urls[1]), open(task, cluster.urls[2])
    local none, err = dead:put_blob("a", core.digest("one"), 3, "one")
    assert.is_nil(none)
    assert.equal("unavailable", err.kind)
    assert.matches(cluster.urls[1]:match("[%d.]+:%d+"), tostring(err), 1, true)
    assert.is_true(alive:put_blob("a", core.digest("one"), 3, "one"))
    say("a client of it was told: %s", tostring(err))
    local failed = running:seen().failed
    assert.is_true(#failed > before, "nobody was pushing through the gateway that died")
    for i = before + 1, #failed do
      assert.is_true(errors.retryable(failed[i].kind), failed[i].message)
      assert.equal(1, failed[i].gateway)
    end
    say("%d pushes of the load failed with it, and went through the other", #failed - before)
  end

  it("loses nothing that was acknowledged", function()
    store.with_task(function(task, dir)
      local options = cluster:options { bucket = bucket, urls = cluster.urls }
      local running = load.start(task.loop, dir, options)
      local ok, err = pcall(function()
        running:go_on(4, LIMIT)
        without(running, "osd.1", 15)
        again(running, "osd.1", 8)
        without(running, "mon.0", 12)
        again(running, "mon.0", 6)
        assert.same({}, running:seen().failed)
        gateway_dies(running, task)
        again(running, "client.rgw.0", 6)
        without(running, "osd.0", 12)
        running:stop(task)
      end)
      if not ok then
        running:kill()
        error(err, 0)
      end
      local seen = running:seen()
      say("%d pushes and %d removals were acknowledged, the slowest after %.1f s", seen.pushes, seen.removals,
        seen.slowest)
      assert.equal(0, seen.given_up)
      check(task, seen, "without osd.0")

      local all = { "client.rgw.0", "client.rgw.1", "osd.1", "osd.2", "mon.0", "mon.1", "mon.2" }
      for _, name in ipairs(all) do
        cluster:kill(name)
      end
      local down = core.now()
      for i = #all, 1, -1 do
        cluster:restart(all[i])
      end
      cluster:restart("osd.0")
      assert.is_true(children.eventually(function()
        return cluster:answers()
      end, LIMIT))
      say("killed all of them, and started them again; both gateways answer after %.1f s", core.now() - down)
      check(task, seen, "after that")
    end)
  end)
end)
