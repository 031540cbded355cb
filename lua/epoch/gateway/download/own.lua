--- A download's own bytes (epoch.gateway.download.layout), to be read from anywhere: few of them are
-- in memory; many, of a large snapshot.json or large maps, in a file that has lost its name.
local errors = require "epoch.errors"
local ngx = require "ngx"
local threads = require "epoch.gateway.threads"

local M = {}

local function in_memory(bytes)
  return {
    read = function(at, length)
      return bytes:sub(at + 1, at + length)
    end,
    close = function() end,
  }
end

local function in_file(file)
  return {
    read = function(at, length)
      local ok, why = file:seek("set", at)
      local bytes = ok and file:read(length)
      if not bytes or #bytes < length then
        return errors.fail("io", "read what belongs to a download: " .. tostring(why or "it is shorter than it was"))
      end
      return bytes
    end,
    close = function()
      file:close()
    end,
  }
end

-- A file that a thread has written, and that nobody finds any more.
local function written(ref, plan)
  local path = os.tmpname()
  local file, why
  ngx.on_abort(function()
    os.remove(path)
    if file then
      file:close()
    end
    ngx.exit(499)
  end)
  local ok, err = threads.call("store", "download", "keep", ref, plan.digest, path)
  if ok then
    file, why = io.open(path, "rb")
  end
  os.remove(path)
  if ok and not file then
    return errors.fail("io", "read what belongs to a download: " .. tostring(why))
  end
  return file, err
end

--- The own bytes of what was laid out: `read` answers some of them.
---@param ref epoch.gateway.download.ref
---@param plan epoch.gateway.download.plan
---@return { read: (fun(at: integer, length: integer): string?, epoch.Error?), close: fun() }?
---@return epoch.Error?
function M.open(ref, plan)
  if plan.bytes then
    return in_memory(plan.bytes)
  end
  local file, err = written(ref, plan)
  return file and in_file(file), err
end

return M
