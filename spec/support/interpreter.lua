--- Starting the Lua of this run once more, for what needs a process of its own.
local work = require "spec.support.work"

local M = {}

local THIS = jit and "luajit" or _VERSION:lower():gsub(" ", "")

--- Where both Luas are run side by side: why this one leaves something to the other, which does the same
--- and takes long; else false. For what is in nginx, say, whoever asks it.
---@param by "lua5.4"|"luajit" whose turn it is
---@return string|false
function M.leaves_to(by)
  local all = " " .. (os.getenv("EPOCH_VMS") or "") .. " "
  return THIS ~= by and all:find(" " .. by .. " ", 1, true) ~= nil and "is tried under " .. by .. " in this run"
end

--- Its path, by its name: the file behind this process may be valgrind, or instrumented.
function M.path()
  return work.output("command -v " .. THIS)
end

--- What an instrumented core needs to be loaded at all, as words for env: as this process was
--- started with, whatever it has hidden from its children since.
function M.preloaded()
  local f = assert(io.open("/proc/self/environ", "rb"))
  local environment, names = f:read("*a"), {}
  f:close()
  for name, value in environment:gmatch("([%u_]+)=(%Z*)") do
    if name == "LD_PRELOAD" or name == "ASAN_OPTIONS" or name == "LSAN_OPTIONS" or name == "UBSAN_OPTIONS" then
      names[#names + 1] = ("%s='%s'"):format(name, value)
    end
  end
  return table.concat(names, " ")
end

--- The same modules and the same core for a script.
function M.paths()
  return ("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath)
end

return M
