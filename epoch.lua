--- The program, straight from a checkout: `lua epoch.lua COMMAND …`. It needs no environment
-- variable: modules and core are found next to this file. In a script of one's own,
-- `dofile "/path/to/epoch.lua"` (or a require that finds this file) only sets up the paths
-- and returns the module. Installed, `epoch` is this file again; there the modules are on
-- Lua's own path already.

local source = debug.getinfo(1, "S").source
local script = type(arg) == "table" and arg[0]
local is_program = type(script) == "string" and source == "@" .. script

local function stop(message)
  if not is_program then
    error(message, 0)
  end
  io.stderr:write("epoch: ", message, "\n")
  os.exit(1, true)
end

-- One build of the core serves LuaJIT and PUC-Rio's 5.1.
local abi = _VERSION:match("^Lua (5%.[14])$")
if not abi then
  stop(_VERSION .. " is not one of the Luas this runs on: apt-get install lua5.4 (or luajit), "
    .. "then lua5.4 epoch.lua …")
end

local here = source:match("^@(.*)/[^/]*$") or "."
local init = here .. "/lua/epoch/init.lua"
local checkout = io.open(init)
if checkout then
  checkout:close()
  local lua_path = here .. "/lua/?.lua;" .. here .. "/lua/?/init.lua;"
  local lua_cpath = here .. "/build/lua/" .. abi .. "/?.so;"
  if package.path:sub(1, #lua_path) ~= lua_path then
    package.path = lua_path .. package.path
  end
  if package.cpath:sub(1, #lua_cpath) ~= lua_cpath then -- $LUA_PATH may have had the first
    package.cpath = lua_cpath .. package.cpath
  end
end

if not is_program then
  -- a require that found this file is still under way, so it cannot be asked again
  local loaded = package.loaded.epoch
  return type(loaded) == "table" and loaded
    or ... == "epoch" and checkout and dofile(init)
    or require "epoch"
end

-- The module, or one line that says what to do. `absent` is what to do when it is nowhere.
local function need(module, what, absent)
  local ok, got = pcall(require, module)
  if ok then
    return got
  end
  local why = tostring(got)
  local nowhere = why:find("module '" .. module .. "' not found:", 1, true)
  stop(what .. " cannot be loaded into " .. (jit and jit.version or _VERSION)
    .. (nowhere and "" or " (" .. why:gsub("%s*\n%s*", " ") .. ")") .. ": " .. absent)
end

need("cjson", "lua-cjson", "apt-get install lua-cjson")
need("argparse", "lua-argparse", "apt-get install lua-argparse")
local cli = need("epoch.cli", "the module epoch", "make install, or start epoch.lua in its checkout")
os.exit(cli.main(arg), true)
