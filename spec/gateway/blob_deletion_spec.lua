--- Blobs that are removed while others push: a push never ends well without what it needs.
local blobs = require "epoch.gateway.jobs.blobs"
local client = require "spec.support.gateway_client"
local core = require "epoch.core"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local removal = require "epoch.registry.removal"
local support = require "spec.support.store"

local BYTES = "needed or not"
local DIGEST = core.digest(BYTES)

describe("the deletion of a blob", function()
  -- A registry that has the blob, and the bytes of a manifest that needs it.
  local function in_registry(use)
    support.with_task(function(task, dir)
      local home = assert(homes.open(task, "file://" .. dir))
      for _, bytes in ipairs { "{}", BYTES } do
        assert(home:put_blob("b", core.digest(bytes), #bytes, bytes))
      end
      use(home, task, client.manifest { BYTES })
    end)
  end

  it("leaves no announcement behind, whatever came of it", function()
    in_registry(function(home, _, bytes)
      assert(home:put_manifest("b", "v1", bytes))
      local ok, err = blobs.delete(home, "a", DIGEST)
      assert.is_nil(ok)
      assert.equal("unsupported", err.kind)
      assert.is_nil(home.store:head(removal.KEY))
      assert.is_true(blobs.delete(home, "b", DIGEST))
      assert.is_nil(home.store:head(removal.KEY))
      assert.is_false(blobs.delete(home, "b", DIGEST))
    end)
  end)

  it("waits for others who remove something", function()
    in_registry(function(home, task)
      local until_time = assert(removal.announce(home, { core.digest("another") }))
      assert(task:all {
        function()
          return assert(task:sleep(0.3)) and removal.withdraw(home, until_time)
        end,
        function()
          return blobs.delete(home, "b", DIGEST)
        end,
      })
      assert.is_false(home:blob_exists("b", DIGEST))
    end)
  end)

  it("and a push that has not been seen: the push says what is missing", function()
    in_registry(function(home, task, bytes)
      local looked, pushed, why
      local each = home.each_manifest
      home.each_manifest = function(self, ...)
        local ok, err = each(self, ...)
        looked = true
        assert(task:sleep(0.2)) -- the push puts its manifest, and waits for what is announced
        return ok, err
      end
      assert(task:all {
        function()
          return blobs.delete(home, "a", DIGEST)
        end,
        function()
          while not looked do
            assert(task:sleep(0.01))
          end
          pushed, why = home:put_manifest("b", "v1", bytes)
          return true
        end,
      })
      assert.is_nil(pushed)
      assert.is_true(errors.is(why))
      assert.equal("blob_unknown", why.kind)
      assert.is_nil(home:get_manifest("b", "v1"))
    end)
  end)

  it("and a push that has been seen: the blob stays", function()
    in_registry(function(home, task, bytes)
      local pushed, deleted, why
      local each = home.each_manifest
      home.each_manifest = function(self, ...)
        assert(task:sleep(0.2)) -- the push puts its manifest meanwhile
        return each(self, ...)
      end
      assert(task:all {
        function()
          deleted, why = blobs.delete(home, "a", DIGEST)
          return true
        end,
        function()
          assert(task:sleep(0.05))
          pushed = home:put_manifest("b", "v1", bytes)
          return true
        end,
      })
      assert.is_nil(deleted)
      assert.equal("unsupported", why.kind)
      assert.is_string(pushed)
      assert.is_true(home:blob_exists("b", DIGEST))
    end)
  end)
end)
