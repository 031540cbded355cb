--- Paths as a program in another directory can use them.
local errors = require "epoch.errors"

local M = {}

-- Lua cannot ask for it.
local function current()
  local shell = io.popen("pwd -P", "r")
  local line = shell and shell:read("*l")
  if shell then
    shell:close()
  end
  return line and line:sub(1, 1) == "/" and line or nil
end

--- The path, seen from the root.
---@param path string
---@return string?
---@return epoch.Error?
function M.absolute(path)
  if path:sub(1, 1) == "/" then
    return path
  end
  local here = current()
  if not here then
    return errors.fail("io", "the working directory cannot be found out: is it still there?")
  end
  return here .. "/" .. path:gsub("^%./", "")
end

return M
