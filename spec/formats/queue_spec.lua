local errors = require "epoch.errors"
local queues = require "epoch.queue"
local tasks = require "epoch.task"

local function with_task(use)
  local task = assert(tasks.new { threads = 0 })
  local ok, err = pcall(use, task)
  task:close()
  if not ok then
    error(err, 0)
  end
end

describe("a queue", function()
  it("hands items from one branch to others, as many as fit at once", function()
    with_task(function(task)
      local queue, most, got = queues.new(task, 2), 0, {}
      local function take()
        while true do
          local item = queue:take()
          if not item then
            return item == false
          end
          got[#got + 1] = item
        end
      end
      assert(task:all { function()
        for i = 1, 20 do
          assert(queue:put(i))
          most = math.max(most, #queue.items)
        end
        queue:finish()
        return true
      end, take, take })
      queue:close()
      table.sort(got)
      assert.equal(20, #got)
      assert.same({ 1, 20 }, { got[1], got[20] })
      assert.equal(2, most)
    end)
  end)

  it("lets the others go when one fails", function()
    with_task(function(task)
      local queue = queues.new(task, 1)
      local ok, err = task:all { function()
        while true do
          local put, why = queue:put(1)
          if not put then
            return nil, why
          end
        end
      end, function()
        queue:take()
        return errors.fail("io", "no")
      end, function()
        return queue:take()
      end }
      queue:close()
      assert.is_nil(ok)
      assert.equal("io", err.kind)
    end)
  end)
end)
