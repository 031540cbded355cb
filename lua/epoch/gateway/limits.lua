--- How often somebody may ask: a bucket that holds `burst` requests and is filled at a rate, kept as
-- the one number that says when it will be full (in a dictionary that the workers share). Two workers
-- that look at the same moment may let one more through: that is no matter here.
local M = {}

---@class epoch.gateway.Limit
---@field requests number a second
---@field burst number

--- Takes one out of a bucket, or with `cost` 0 only looks: true, or false and the seconds until there
--- is one. A dictionary that is full lets everybody through.
---@param dict table ngx.shared.DICT, or what works like one
---@param key string
---@param limit epoch.gateway.Limit
---@param now number
---@param cost integer? 1
---@return boolean
---@return number? wait
function M.take(dict, key, limit, now, cost)
  local each = 1 / limit.requests
  local room = each * limit.burst
  local full = math.max(dict:get(key) or 0, now)
  if full > now + room + 1 then -- the clock was set back
    full = now
  end
  local wait = full + each - room - now
  if wait > 1e-9 then
    return false, wait
  elseif cost ~= 0 then
    dict:set(key, full + each, math.ceil(room + each) + 1)
  end
  return true
end

return M
