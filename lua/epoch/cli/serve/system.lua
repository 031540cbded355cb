--- What Linux says of this process and of this machine.
local M = {}

local MAX_FILES = 4096 -- more than that a worker does not need; nginx has memory for each connection at once

local function read(path)
  local file = io.open(path)
  local all = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return all
end

--- The user's numeric id.
---@return string
function M.uid()
  return read("/proc/self/status"):match("\nUid:%s+%d+%s+(%d+)")
end

--- How many files a worker may have open.
---@return integer
function M.files()
  return math.min(tonumber(read("/proc/self/limits"):match("Max open files%s+%d+%s+(%d+)")) or MAX_FILES, MAX_FILES)
end

--- The name servers, as nginx takes them.
---@param path string? /etc/resolv.conf
---@return string[]
function M.name_servers(path)
  local list = {}
  for line in read(path or "/etc/resolv.conf"):gmatch("[^\n]+") do
    local server = line:match("^%s*nameserver%s+([%x.:]+)%s*$") -- one of a scope ("%eth0") nginx does not take
    if server then
      list[#list + 1] = server:find(":", 1, true) and "[" .. server .. "]" or server
    end
  end
  return list
end

return M
