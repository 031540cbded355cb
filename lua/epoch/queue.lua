--- A bounded queue between branches of one task (task:all): one puts, others take.
--
-- Only for branches: outside of them nobody else could make the waiting end.
local Queue = {}
Queue.__index = Queue

local M = {}

---@param task epoch.task
---@param room integer how many items may wait
function M.new(task, room)
  return setmetatable({ task = task, room = room, items = {}, ended = false }, Queue)
end

-- The others look again soon, also when nothing else happens in the loop.
local function nudge(self)
  if self.timer then
    self.timer:close()
  end
  self.timer = self.task.loop:timer(0)
end

function Queue:try_put(item)
  if #self.items >= self.room then
    return nil, "the queue is full", "again"
  end
  self.items[#self.items + 1] = item
  nudge(self)
  return true
end

function Queue:try_take()
  if #self.items > 0 then
    nudge(self)
    return table.remove(self.items, 1)
  elseif self.ended then
    return false
  end
  return nil, "the queue is empty", "again"
end

--- Waits for room. nil, err when the task gives up.
function Queue:put(item)
  return self.task:await(self, "try_put", item)
end

--- The next item, false when there will be none. nil, err when the task gives up.
function Queue:take()
  return self.task:await(self, "try_take")
end

--- There will be no more items.
function Queue:finish()
  self.ended = true
  nudge(self)
end

function Queue:close()
  if self.timer then
    self.timer:close()
    self.timer = nil
  end
end

return M
