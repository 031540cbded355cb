--- How quickly bytes come: smoothed, so that it can be read, and true from the first second on.
local Rate = {}
Rate.__index = Rate

local M = {}

local STEP = 0.25 -- seconds that are looked at as one: less says more about buffers than about speed
local SPAN = 4 -- seconds after which what was counts for a third

---@param now number
function M.new(now)
  return setmetatable({ last = now, fresh = 0, average = 0, weight = 0 }, Rate)
end

--- So many bytes more have come. (Fewer than none when something is sent again.)
---@param bytes integer
---@param now number
function Rate:add(bytes, now)
  self.fresh = self.fresh + bytes
  local passed = now - self.last
  if passed < STEP then
    return
  end
  local old = math.exp(-passed / SPAN)
  self.average = self.average * old + math.max(self.fresh, 0) / passed * (1 - old)
  -- the average begins at nothing; the weight says how much of it that still is
  self.weight = self.weight * old + 1 - old
  self.fresh, self.last = 0, now
end

--- Nil as long as it cannot be told.
---@param now number
---@return number?
function Rate:per_second(now)
  self:add(0, now)
  return self.weight > 0 and self.average / self.weight or nil
end

return M
