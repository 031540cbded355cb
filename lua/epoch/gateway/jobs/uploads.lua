--- Upload sessions, and the hashing of what arrives. For epoch.gateway.thread.
local core = require "epoch.core"
local errors = require "epoch.errors"
local sessions = require "epoch.gateway.sessions"

local M = {
  ahead = sessions.ahead, append = sessions.append, cancel = sessions.cancel, drop = sessions.drop,
  finish = sessions.finish, put = sessions.put, start = sessions.start, state = sessions.state, sweep = sessions.sweep,
  touch = sessions.touch,
}

-- Hashes a part of a file that may still be growing. Where that will be kept, the kernel writes it to
-- disk meanwhile: what it has not written when the last byte comes, somebody waits for.
local function hash_part(hasher, path, from, size, kept)
  local n, message, code = hasher:file(path, from, size)
  if n and n > 0 and kept then
    n, message, code = core.writeback(path, from, n) and n, message, code
  end
  if not n then
    return errors.fail(code, message)
  end
  return n, hasher:state()
end

--- Goes on with a state over `size` bytes of a file: how many there were, and the new state. `room`: so
--- many are to be reserved on the disk, with those.
---@param hash string
---@param room integer?
---@return integer?
---@return string|epoch.Error
function M.hash(home, hash, path, from, size, room)
  if room and home.store.root then
    core.reserve(path, from, room) -- a hint: a disk that is full says so when it is written to
  end
  local hasher, message, code = core.hasher_from(hash)
  if not hasher then
    return errors.fail(code, message)
  end
  local n, state = hash_part(hasher, path, from, size, home.store.root ~= nil)
  hasher:close()
  return n, state
end

--- Is a blob there that can be mounted?
---@return boolean?
---@return epoch.Error?
function M.mountable(home, name, digest)
  return home:blob_exists(name, digest)
end

return M
