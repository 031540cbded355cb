local core = require "epoch.core"
local errors = require "epoch.errors"
local tasks = require "epoch.task"

local function with_task(use)
  local task = assert(tasks.new())
  local ok, err = pcall(use, task)
  task:close()
  if not ok then
    error(err, 0)
  end
end

describe("a task", function()
  it("answers failures as error objects", function()
    with_task(function(task)
      local moved, err = task:flow { source = core.bytes("abc"), size = 2, what = "layer x" }
      assert.is_nil(moved)
      assert.is_true(errors.is(err))
      assert.equal("size_mismatch", err.kind)
      assert.matches("layer x is longer", tostring(err))
    end)
  end)

  it("moves bytes and tells how far it is", function()
    with_task(function(task)
      local seen = 0
      local moved = assert(task:flow({ source = core.bytes(("x"):rep(3000000)), hash = true },
                                     function(bytes) seen = math.max(seen, bytes) end))
      assert.equal(3000000, moved.size)
      assert.equal(3000000, seen)
    end)
  end)

  it("waits for so long and no longer", function()
    with_task(function(task)
      local source, sink = core.pipe()
      assert.is_false(task:await_for(0.01, source, "read", 10))
      assert(sink:write("x"))
      assert.equal("x", task:await_for(10, source, "read", 10))
      source:close()
      sink:close()
    end)
  end)

  it("runs branches side by side, in the order of their answers", function()
    with_task(function(task)
      local began, order, functions = core.now(), {}, {}
      for i, seconds in ipairs { 0.09, 0.06, 0.03 } do
        functions[i] = function()
          assert(task:sleep(seconds))
          order[#order + 1] = i
          return i * 10
        end
      end
      assert.same({ 10, 20, 30 }, task:all(functions))
      assert.same({ 3, 2, 1 }, order)
      assert.is_true(core.now() - began < 0.17)
    end)
  end)

  it("runs no more at once than it may", function()
    with_task(function(task)
      local now, most, functions = 0, 0, {}
      for i = 1, 6 do
        functions[i] = function()
          now = now + 1
          most = math.max(most, now)
          assert(task:sleep(0.01))
          now = now - 1
          return true
        end
      end
      assert.equal(6, #task:all(functions, 2))
      assert.equal(2, most)
    end)
  end)

  it("takes the items of a list, a few at once, until one fails or a signal comes", function()
    with_task(function(task)
      local items, seen, running, most = {}, {}, 0, 0
      for i = 1, 20 do
        items[i] = i
      end
      local function take(item)
        running = running + 1
        most = math.max(most, running)
        assert(task:sleep(0.001 * (item % 3)))
        running = running - 1
        seen[#seen + 1] = item
        return true
      end
      assert.is_true(task:each(items, 3, take))
      table.sort(seen)
      assert.same(items, seen)
      assert.equal(3, most)
      assert.is_true(task:each({}, 3, take))
      assert.is_true(task:each({ 1 }, 64, take))

      seen = {}
      local done, err = task:each(items, 2, function(item)
        seen[#seen + 1] = item
        if item == 5 then
          return errors.fail("io", "enough")
        end
        return true
      end)
      assert.is_nil(done)
      assert.equal("enough", err.message)
      assert.is_true(#seen <= 6)

      task.loop:cancel("stop")
      done, err = task:each(items, 2, function() return true end)
      assert.is_nil(done)
      assert.equal("cancelled", err.kind)
    end)
  end)

  it("needs no branch that waits", function()
    with_task(function(task)
      assert.same({ 1, 2 }, task:all { function() return 1 end, function() return 2 end })
      assert.same({}, task:all {})
    end)
  end)

  it("gives the others up when one fails, and lets them clean up", function()
    with_task(function(task)
      local cleaned
      local results, err = task:all {
        function()
          local ok, why = task:sleep(10)
          assert(task:sleep(0.01) or true)
          cleaned = why and why.kind
          return ok, why
        end,
        function()
          assert(task:sleep(0.01))
          return errors.fail("digest_mismatch", "layer y is not what was promised")
        end,
        function() return 3 end,
      }
      assert.is_nil(results)
      assert.equal("digest_mismatch", err.kind)
      assert.equal("cancelled", cleaned)
    end)
  end)

  it("raises what a branch raised", function()
    with_task(function(task)
      assert.has_error(function()
        task:all { function() error("a mistake", 0) end, function() return task:sleep(10) end }
      end, "a mistake")
    end)
  end)

  it("tells every branch that the loop was cancelled", function()
    with_task(function(task)
      local results, err = task:all {
        function() return task:sleep(10) end,
        function()
          task:sleep(0.01)
          task.loop:cancel("SIGINT")
          return task:sleep(10)
        end,
      }
      assert.is_nil(results)
      assert.equal("cancelled", err.kind)
    end)
  end)

  it("attends to things while somebody waits", function()
    with_task(function(task)
      local order = {}
      task:attend(function()
        for i = 1, 3 do
          assert(task:sleep(0.005))
          order[i] = i
        end
      end, function() return true end)
      assert(task:sleep(0.05))
      assert.same({ 1, 2, 3 }, order)
      assert.same({}, task.attendants.list)
      task:all {
        function() return task:sleep(0.03) end,
        function()
          task:attend(function()
            assert(task:sleep(0.01))
            order[4] = 4
          end, function() return true end)
          return task:sleep(0.03)
        end,
      }
      assert.same({ 1, 2, 3, 4 }, order)
    end)
  end)

  it("tells once who attends to what nobody wants any more", function()
    local seen, wanted = {}, true
    with_task(function(task)
      local function work()
        local _, err = task:sleep(10)
        seen[#seen + 1] = err.kind
        assert(task:sleep(0.01))
        seen[#seen + 1] = "cleaned up"
      end
      task:attend(work, function() return wanted end)
      assert(task:sleep(0.01))
      assert.same({}, seen)
      wanted = false
      assert(task:sleep(0.03))
      assert.same({ "cancelled", "cleaned up" }, seen)
      task:attend(work, function() return true end)
    end)
    assert.same({ "cancelled", "cleaned up", "cancelled" }, seen)
  end)

  it("raises what was raised beside it", function()
    with_task(function(task)
      task:attend(function()
        assert(task:sleep(0.005))
        error("a mistake", 0)
      end, function() return true end)
      assert.has_error(function() task:sleep(1) end, "a mistake")
      assert(task:sleep(0.001))
    end)
  end)

  it("tells no branch twice that it was cancelled", function()
    with_task(function(task)
      local cleaned = {}
      local function work(seconds)
        return function()
          local ok, err = task:sleep(10)
          local slept = task:sleep(seconds)
          cleaned[#cleaned + 1] = slept or false
          return ok, err
        end
      end
      task:all {
        work(0.01), work(0.03),
        function()
          task.loop:cancel("SIGINT")
          return task:sleep(10)
        end,
      }
      assert.same({ true, true }, cleaned)
    end)
  end)

  it("works inside another", function()
    with_task(function(task)
      local answers = assert(task:all {
        function()
          return assert(task:all { function() return task:sleep(0.01) and 1 end,
                                   function() return task:sleep(0.02) and 2 end })
        end,
        function() return task:sleep(0.03) and 3 end,
      })
      assert.same({ { 1, 2 }, 3 }, answers)
    end)
  end)
end)
