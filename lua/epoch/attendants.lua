--- Those who look after something (a connection that may break) while others wait for what
-- comes of it. Each is a coroutine that has a turn whenever somebody is about to wait.
local Attendants = {}
Attendants.__index = Attendants

local M = {}

---@param waiting table<thread, boolean> where those are marked whose waiting gives way
function M.new(waiting)
  return setmetatable({ waiting = waiting, list = {} }, Attendants)
end

-- One turn; who is not wanted any more is told, once, and may wait again to clean up.
local function serve(self, one)
  if coroutine.status(one.thread) == "suspended" then
    local ok, err
    if one.told or one.wanted() then
      ok, err = coroutine.resume(one.thread, true)
    else
      one.told = true
      ok, err = coroutine.resume(one.thread, nil, "not wanted any more", "cancelled")
    end
    if not ok then
      self.waiting[one.thread] = nil
      error(err, 0)
    end
  end
end

--- Begins `work`, whose waits see "cancelled", once, when `wanted` no longer answers true.
---@param work fun()
---@param wanted fun(): boolean
function Attendants:add(work, wanted)
  local one = { thread = coroutine.create(work), wanted = wanted }
  self.waiting[one.thread] = true
  self.list[#self.list + 1] = one
  serve(self, one)
end

--- Gives each a turn. What one raised is raised.
function Attendants:turn()
  for i = #self.list, 1, -1 do
    local one = self.list[i]
    serve(self, one)
    if coroutine.status(one.thread) == "dead" then
      table.remove(self.list, i)
      self.waiting[one.thread] = nil
    end
  end
end

local function nobody()
  return false
end

--- Tells all of them, and forgets who goes on waiting.
function Attendants:close()
  for _, one in ipairs(self.list) do
    one.wanted = nobody
  end
  self:turn()
  self.list = {}
end

return M
