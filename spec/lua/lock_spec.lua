local core = require "epoch.core"
local lock = require "epoch.lock"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local function with_task(use)
  work.in_directory(function(dir)
    local task = assert(tasks.new { threads = 0 })
    use(task, dir .. "/lock")
    task:close()
  end)
end

describe("a lock", function()
  it("is had at once where nobody has it, and again afterwards", function()
    with_task(function(task, path)
      for _ = 1, 2 do
        local held = assert(lock.take(task, path))
        assert.equal("busy", select(3, core.lock(path)))
        held:close()
      end
    end)
  end)

  it("is waited for, so long and no longer", function()
    with_task(function(task, path)
      local held = assert(core.lock(path))
      local began = core.now()
      local none, err = lock.take(task, path, 0.2)
      assert.is_nil(none)
      assert.equal("busy", err.kind)
      assert.truthy(tostring(err):find(path .. " has been locked by another for 0.2 seconds", 1, true))
      local took = core.now() - began
      assert.is_true(took >= 0.2 and took < 2, took)
      held:close()
    end)
  end)

  it("goes from one coroutine to the next", function()
    with_task(function(task, path)
      local inside, order = 0, {}
      local function branch(name)
        return function()
          local held = assert(lock.take(task, path))
          inside = inside + 1
          assert.equal(1, inside)
          task:sleep(0.02)
          inside, order[#order + 1] = inside - 1, name
          held:close()
          return true
        end
      end
      assert(task:all { branch "a", branch "b", branch "c" })
      table.sort(order)
      assert.same({ "a", "b", "c" }, order)
    end)
  end)

  it("is not waited for any longer when the job is cancelled", function()
    with_task(function(task, path)
      local held = assert(core.lock(path))
      task.loop:cancel("enough")
      local none, err = lock.take(task, path)
      assert.is_nil(none)
      assert.equal("cancelled", err.kind)
      held:close()
    end)
  end)

  it("that cannot be is an error at once", function()
    with_task(function(task, path)
      assert.equal("not_found", select(2, lock.take(task, path .. "/x")).kind)
    end)
  end)
end)
