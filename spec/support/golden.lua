--- What the real programs made: in ../shared/golden, or where that is not in the copy of it,
-- spec/golden. In both a file may be compressed, as NAME.zst; here it is called NAME.

local core = require "epoch.core"
local source = require "spec.support.source"
local work = require "spec.support.work"

local M = {}

M.SHARED, M.COPY = "../shared/golden", "spec/golden"

local function places(dir)
  return ipairs(dir and { dir } or { M.SHARED, M.COPY })
end

local function unwrapped(path)
  local bytes
  work.with_loop({}, function(loop)
    bytes = assert(work.read_all(loop, assert(core.unwrap(assert(core.file(path))))))
  end)
  return bytes
end

--- The bytes of a file.
---@param name string such as "v1-small/export.tar"
---@param dir string? the place; else the first of the two that has it
function M.read(name, dir)
  for _, place in places(dir) do
    local path = place .. "/" .. name
    if core.stat(path .. ".zst") then
      return unwrapped(path .. ".zst")
    elseif core.stat(path) then
      return work.read_file(path)
    end
  end
  error("no golden file " .. name, 2)
end

--- The names of the files that fit a pattern, each once, sorted.
---@param pattern string
---@param dir string? only of this place
function M.names(pattern, dir)
  local names, seen = {}, {}
  for _, place in places(dir) do
    for _, path in ipairs(source.files(place, "")) do
      local name = path:sub(#place + 2):gsub("%.zst$", "")
      if name:find(pattern) and not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

return M
