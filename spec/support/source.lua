--- The tree as text: what files there are, and what they name.

local lfs = require("lfs")

local M = {}

--- Paths of all files below `dir` that end in `suffix`, sorted.
function M.files(dir, suffix)
  local found = {}
  local function walk(at)
    for name in lfs.dir(at) do
      local path = at .. "/" .. name
      local hidden = name:sub(1, 1) == "."
      if not hidden and lfs.attributes(path, "mode") == "directory" then
        walk(path)
      elseif not hidden and name:sub(#name - #suffix + 1) == suffix then
        found[#found + 1] = path
      end
    end
  end
  if lfs.attributes(dir, "mode") == "directory" then
    walk(dir)
  end
  table.sort(found)
  return found
end

function M.read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

--- C without its comments; strings stay, newlines stay.
function M.without_c_comments(text)
  local out, at = {}, 1
  while true do
    local s, _, what = text:find('(["\'/])', at)
    if not s then
      out[#out + 1] = text:sub(at)
      return table.concat(out)
    end
    out[#out + 1] = text:sub(at, s - 1)
    local two = text:sub(s, s + 1)
    local stop
    if two == "/*" then
      stop = select(2, text:find("*/", s + 2, true)) or #text
      out[#out + 1] = (text:sub(s, stop):gsub("[^\n]", " "))
    elseif two == "//" then
      stop = (text:find("\n", s, true) or #text + 1) - 1
    elseif what == "/" then
      stop = s
      out[#out + 1] = what
    else -- a literal, up to its closing quote
      stop = s + 1
      while stop <= #text and text:sub(stop, stop) ~= what do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      out[#out + 1] = text:sub(s, stop)
    end
    at = stop + 1
  end
end

--- The names in a C file's #include lines: { { name, system = bool }… }.
function M.includes(path)
  local list = {}
  for line in (M.without_c_comments(M.read(path)) .. "\n"):gmatch("(.-)\n") do
    local open, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
    if name then
      list[#list + 1] = { name = name, system = open == "<" }
    end
  end
  return list
end

--- What a Lua file requires by a literal name, at any depth of nesting.
function M.requires(path)
  local list = {}
  local text = M.read(path):gsub("%-%-%[(=*)%[.-%]%1%]", ""):gsub("%-%-[^\n]*", "")
  for name in text:gmatch("require%s*%(?%s*[\"']([^\"']+)[\"']") do
    list[#list + 1] = name
  end
  return list
end

--- `lua/epoch/cli/main.lua` -> `epoch.cli.main`.
function M.module_of(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

return M
