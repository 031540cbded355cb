--- The tokens of the store, as this worker knows them: never older than a few seconds.
--
-- In a directory the file is looked at once a second and read when it is another one. A bucket is
-- asked through a thread, by one request of all workers every few seconds; what it said lies in the
-- shared dictionary. A request waits for that only where there is nothing to go by, and not for long:
-- a bucket that does not answer holds nobody up. What nobody could confirm for a minute, and what is
-- damaged, lets nobody in.
local core = require "epoch.core"
local errors = require "epoch.errors"
local ngx = require "ngx"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"
local file = require "epoch.gateway.access.token_file"

local M = {}

local LOOK = 1 -- seconds between two looks at a file,
local ASK = 3 -- and at a bucket
local BELIEVED = 60 -- seconds without a confirmation
local WAIT = 2 -- seconds that a request waits for an answer
local TURN = 30 -- seconds until another may ask, when the one who did does not come back
local INLINE = 64 * 1024

local NONE = "none"

---@class epoch.gateway.Known
---@field by_hash table<epoch.digest, epoch.gateway.Token>
---@field by_name table<string, epoch.gateway.Token>
---@field any boolean
local current, current_error
local stamp, looked_at

-- From now on this is known: the bytes of the file, nil where there is none.
local function learn(bytes)
  local list, err = {}, nil
  if bytes then
    list, err = file.parse(bytes)
  end
  if not list then
    ngx.log(ngx.ERR, "tokens of the gateway: ", tostring(err))
    current, current_error = nil, errors.new("unavailable", tostring(err))
    return
  end
  current, current_error = { by_hash = {}, by_name = {}, any = #list > 0 }, nil
  for _, token in ipairs(list) do
    current.by_hash[token.hash], current.by_name[token.name] = token, token
  end
end

local function unreadable(why)
  local message = ("%s cannot be read: %s"):format(file.KEY, tostring(why))
  ngx.log(ngx.ERR, "tokens of the gateway: ", message)
  current, current_error = nil, errors.new("unavailable", message)
end

local function read_file(path, size)
  if size > INLINE then
    return threads.call("store", "tokens", "read")
  end
  local opened, why = io.open(path, "rb")
  local bytes = opened and opened:read("*a")
  if opened then
    opened:close()
  end
  return bytes, why
end

-- The file as it is now, when it is not the one that is known.
local function look(path)
  local stat, why, code = core.stat(path)
  if not stat then
    if code == "not_found" and stamp ~= NONE then
      stamp = NONE
      learn(nil)
    elseif code ~= "not_found" then
      stamp = nil
      unreadable(why)
    end
    return
  end
  local now = ("%s:%.0f.%09.0f:%.0f"):format(stat.id, stat.mtime, stat.mtime_ns, stat.size)
  if now == stamp then
    return
  end
  local bytes
  bytes, why = read_file(path, stat.size)
  if bytes then
    stamp = now
    learn(bytes)
  else
    stamp = nil
    unreadable(why)
  end
end

-- What a bucket has said last, when that is not what is known.
local function take_over(dict)
  local version = dict:get("access:version")
  local held = version ~= stamp and dict:get("access:tokens") or nil
  if held then
    local bytes
    stamp, bytes = held:match("^([^\n]*)\n(.*)$")
    learn(bytes ~= "" and bytes or nil)
  end
end

-- Has the bucket asked, and waits for the answer, but only so long.
local function ask(dict, seconds)
  local ok, err = threads.call_for(seconds, "store", "tokens", "refresh", store.spec())
  if not ok then
    ngx.log(ngx.ERR, "tokens of the gateway: ", tostring(err))
  end
  if not ok and err.kind ~= "timeout" then -- nobody is asking
    dict:delete("access:turn")
  end
end

-- Waits until whoever is asking has the answer.
local function wait_for(dict, seconds)
  local deadline = ngx.now() + seconds
  repeat
    ngx.sleep(0.02)
  until dict:get("access:at") or ngx.now() >= deadline
end

local function confirm(dict)
  local at = dict:get("access:at")
  if at and ngx.now() - at < ASK then
    return take_over(dict)
  elseif dict:add("access:turn", true, TURN) then
    ask(dict, WAIT)
  elseif not at then
    wait_for(dict, WAIT)
  end
  at = dict:get("access:at")
  if not at or ngx.now() - at >= BELIEVED then
    current, stamp = nil, nil
    current_error = errors.new("unavailable", "the store does not say which tokens there are; try again later")
    return
  end
  take_over(dict)
end

--- What is known; nil and the error where tokens cannot be checked. Not for the log phase. `anew`: a
--- file is looked at now, whenever that was done last.
---@param anew boolean?
---@return epoch.gateway.Known?
---@return epoch.Error?
function M.now(anew)
  local root = store.root()
  if not root then
    confirm(ngx.shared.epoch)
  elseif anew or not (current or current_error) or ngx.now() - looked_at >= LOOK or ngx.now() < looked_at then
    looked_at = ngx.now()
    look(root .. "/" .. file.KEY)
  end
  return current, current_error
end

return M
