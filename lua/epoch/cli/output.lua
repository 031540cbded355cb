--- What the program says, and where: stdout carries what was asked for, stderr the rest.
local errors = require "epoch.errors"
local json = require "epoch.json"

local M = {}

local function failed(why)
  return errors.fail("io", "writing to standard output: " .. tostring(why))
end

--- Writes to stdout as it is.
---@param s string
---@return true?
---@return epoch.Error?
function M.write(s)
  local ok, why = io.stdout:write(s)
  if not ok then
    return failed(why)
  end
  return true
end

--- A full disk often shows only here.
---@return true?
---@return epoch.Error?
function M.flush()
  local ok, why = io.stdout:flush()
  if not ok then
    return failed(why)
  end
  return true
end

--- One value as JSON and a newline, to stdout.
---@return true?
---@return epoch.Error?
function M.write_json(value)
  local s, err = json.encode(value, 2)
  if not s then
    return nil, err
  end
  return M.write(s .. "\n")
end

--- A line to stderr. There is nobody to tell when that fails.
---@param line string
function M.say(line)
  io.stderr:write(line .. "\n")
end

--- Which Lua this is: "LuaJIT 2.1.0-beta3", "Lua 5.4".
---@return string
function M.lua_name()
  local jit = rawget(_G, "jit")
  return jit and jit.version or _VERSION
end

--- Says what failed. The last line on stderr is one sentence, whatever came before it.
---@param err epoch.Error
---@param how {json?: boolean, verbose?: boolean}
function M.report(err, how)
  if how.json and M.write_json(json.object {
    { "error", json.object {
      { "kind", err.kind },
      { "message", err.message },
      { "op", err.op or json.null },
      { "status", err.status or json.null },
    } },
  }) then
    M.flush()
  end
  local cause = how.verbose and err.cause
  while cause do
    M.say("caused by: " .. tostring(cause))
    cause = errors.is(cause) and cause.cause
  end
  M.say("epoch: " .. tostring(err))
end

return M
