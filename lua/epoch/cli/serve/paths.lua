--- Where nginx, whose Lua is LuaJIT, finds what this program was loaded from.
local errors = require "epoch.errors"
local working_directory = require "epoch.cli.serve.working_directory"

local M = {}

local CORE = "epoch.core"
local HERE = "epoch/cli/serve/paths.lua" -- where modules are

-- The files of LuaJIT and Lua 5.1 stand where those of 5.4 do, but for the number.
local function for_luajit(path)
  return (path:gsub("/5%.4/", "/5.1/"))
end

local function is_file(path)
  local f = io.open(path, "rb")
  if f then
    f:close()
  end
  return f ~= nil
end

-- The template of a search path that has a module.
local function template_of(search, module)
  local name = module:gsub("%.", "/")
  for template in search:gmatch("[^;]+") do
    if is_file((template:gsub("%?", name))) then
      return template
    end
  end
end

-- What a search path has that is absolute: what is relative was meant for this process.
local function absolute_of(search, list)
  for template in search:gmatch("[^;]+") do
    if template:sub(1, 1) == "/" then
      list[#list + 1] = for_luajit(template)
    end
  end
end

--- Both search paths for nginx.
---@param lualib string? where an OpenResty has its own modules
---@return { lua: string, c: string }?
---@return epoch.Error?
function M.find(lualib)
  local source = debug.getinfo(1, "S").source
  local modules = source:sub(2, -#HERE - 1)
  local core = for_luajit(template_of(package.cpath, CORE) or "")
  local directory, err = working_directory.absolute(modules)
  local core_path
  if directory then
    core_path, err = working_directory.absolute(core)
  end
  if not core_path then
    return nil, err
  elseif not is_file((core_path:gsub("%?", "epoch/core"))) then
    return errors.fail("unsupported", ("nginx runs LuaJIT, and the core for it is not there (%s): run make where "
      .. "epoch.lua is, or install for Lua 5.1, too"):format(core_path:gsub("%?", "epoch/core")))
  end
  local lua, c = { directory .. "?.lua", directory .. "?/init.lua" }, { core_path }
  if lualib then
    lua[#lua + 1], c[#c + 1] = lualib .. "/?.lua", lualib .. "/?.so"
  end
  absolute_of(package.path, lua)
  absolute_of(package.cpath, c)
  return { lua = table.concat(lua, ";"), c = table.concat(c, ";") }
end

return M
