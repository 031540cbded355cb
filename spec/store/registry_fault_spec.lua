-- A store that fails at each step in turn: what was there stays whole, nothing half-done is
-- believed, and doing it again finishes the job.
local catalog = require "epoch.catalog"
local core = require "epoch.core"
local directory = require "epoch.objectstore.directory"
local errors = require "epoch.errors"
local registry = require "epoch.registry"
local support = require "spec.support.store"
local work = require "spec.support.work"

local CHANGES = { put = true, delete = true }

-- The store, whose n-th change fails: before it is made, or (`after`) when nobody hears that
-- it was.
local function failing(store, n, after)
  local self = { count = 0 }
  return setmetatable(self, { __index = function(_, name)
    return function(_, ...)
      if CHANGES[name] then
        self.count = self.count + 1
        if self.count == n then
          if after then
            assert(store[name](store, ...))
          end
          return errors.fail("unavailable", "the store is gone")
        end
      end
      return store[name](store, ...)
    end
  end })
end

local function check(dir, home)
  for _, name in ipairs(home:repositories() or {}) do
    for _, tag in ipairs(home:tags(name) or {}) do
      local manifest = assert(home:get_manifest(name, tag))
      assert.equal(manifest.digest, assert(home:get_manifest(name, manifest.digest)).digest)
    end
  end
  local bytes = work.read_file(dir .. "/catalog.json")
  return not bytes or assert(catalog.parse(bytes)).repositories
end

-- Prepares, fails `act(home)` at its n-th change, for every n, and does it again.
local function at_each_change(prepare, act, done)
  for _, after in ipairs { false, true } do
    local n, failed = 0, nil
    repeat
      n = n + 1
      support.with_task(function(task, dir)
        local store = directory.open(task, dir .. "/s")
        local home = registry.new(task, store)
        prepare(home)
        local broken = failing(store, n, after)
        local ok, err = act(registry.new(task, broken))
        failed = broken.count >= n
        if failed then
          assert.is_nil(ok)
          assert.equal("unavailable", err.kind)
          check(dir .. "/s", home)
          assert(act(home))
        end
        done(home, check(dir .. "/s", home))
      end)
    until not failed
    assert.is_true(n > 2)
  end
end

local MANIFEST = '{"schemaVersion":2,"layers":[]}'
local OTHER = '{"schemaVersion":2,"layers":[ ]}'

local function nothing() end

describe("a store that fails in the middle of", function()
  it("a push of a new name", function()
    at_each_change(nothing, function(home)
      return home:put_manifest("a", "v1", MANIFEST)
    end, function(home, listed)
      assert.equal(MANIFEST, home:get_manifest("a", "v1").bytes)
      assert.same({ v1 = "manifests/a/v1.json" }, listed.a.tags)
    end)
  end)

  it("moving a tag", function()
    at_each_change(function(home)
      assert(home:put_manifest("a", "v1", MANIFEST))
      assert(home:put_manifest("a", "v2", MANIFEST))
    end, function(home)
      return home:put_manifest("a", "v1", OTHER)
    end, function(home, listed)
      assert.equal(OTHER, home:get_manifest("a", "v1").bytes)
      assert.equal(MANIFEST, home:get_manifest("a", "v2").bytes)
      assert.same({ v1 = "manifests/a/v1.json", v2 = "manifests/a/v2.json" }, listed.a.tags)
    end)
  end)

  it("deleting a digest with two tags", function()
    at_each_change(function(home)
      assert(home:put_manifest("a", "v1", MANIFEST))
      assert(home:put_manifest("a", "v2", MANIFEST))
      assert(home:put_manifest("a", "v3", OTHER))
    end, function(home)
      return home:delete_manifest("a", core.digest(MANIFEST))
    end, function(home, listed)
      assert.same({ "v3" }, home:tags("a"))
      assert.same({ v3 = "manifests/a/v3.json" }, listed.a.tags)
      assert.equal("not_found", select(2, home:get_manifest("a", core.digest(MANIFEST))).kind)
    end)
  end)

  it("deleting the last tag", function()
    at_each_change(function(home)
      assert(home:put_manifest("a", "v1", MANIFEST))
      assert(home:put_manifest("b", "v1", MANIFEST))
    end, function(home)
      return home:delete_manifest("a", "v1")
    end, function(home, listed)
      assert.same({}, home:tags("a"))
      assert.is_nil(listed.a)
      assert.same({ v1 = "manifests/b/v1.json" }, listed.b.tags)
      assert.equal(MANIFEST, home:get_manifest("a", core.digest(MANIFEST)).bytes)
    end)
  end)
end)

-- The store as one that cannot compare before it puts.
local function unconditional(store)
  return setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      local given = name == "put" and select(4, ...) or {}
      if given.if_match or given.if_none_match then
        return errors.fail("unsupported", "no conditions here")
      end
      return store[name](store, ...)
    end
  end })
end

describe("a store without conditions", function()
  it("has a catalog all the same, made of its keys, and says so", function()
    support.with_task(function(task, dir)
      local store = directory.open(task, dir .. "/s")
      local home = registry.new(task, unconditional(store))
      assert(home:put_blob("a", core.digest("{}"), 2, "{}"))
      assert.is_nil(home.notice)
      assert(home:put_manifest("a", "v1", MANIFEST))
      assert.matches("file:///.*/s cannot put objects under conditions; its catalog is made anew", home.notice)
      assert(store:delete("catalog.json"))
      assert(home:put_manifest("b", "v1", OTHER))
      local listed = check(dir .. "/s", home)
      assert.same({ v1 = "manifests/a/v1.json" }, listed.a.tags)
      assert.same({ v1 = "manifests/b/v1.json" }, listed.b.tags)
      assert(home:delete_manifest("a", "v1"))
      listed = check(dir .. "/s", home)
      assert.is_nil(listed.a)
      assert.is_true(home:rebuild_catalog())
    end)
  end)
end)
