--- curl in specs: what only another client shows, as it is known to people. Its exit code says how an
-- answer ended.
local core = require "epoch.core"
local work = require "spec.support.work"

local M = {}

-- In single quotes for the shell.
local function quoted(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function command(dir, name, words)
  local parts = { "curl -sS", "-D", quoted(dir .. "/" .. name .. ".head"), "-o", quoted(dir .. "/" .. name) }
  for _, word in ipairs(words) do
    parts[#parts + 1] = quoted(word)
  end
  return table.concat(parts, " ") .. (" 2>%s; echo $? >%s"):format(quoted(dir .. "/" .. name .. ".err"),
    quoted(dir .. "/" .. name .. ".code"))
end

-- Status, headers in lower case, body (nil: none came), exit code and what was said on stderr.
local function result(dir, name)
  local path = dir .. "/" .. name
  local answer = { headers = {}, body = work.read_file(path), err = work.read_file(path .. ".err") }
  answer.code = tonumber((work.read_file(path .. ".code") or ""):match("%d+"))
  for line in (work.read_file(path .. ".head") or ""):gmatch("[^\r\n]+") do
    local status = line:match("^HTTP/%S+ (%d+)")
    local header, value = line:match("^([%w-]+): *(.-)$")
    answer.status = status and tonumber(status) or answer.status
    if header then
      answer.headers[header:lower()] = value
    end
  end
  return answer
end

--- Runs curl to its end.
---@param dir string for what it writes
---@param words string[]
---@return { code: integer, status: integer?, headers: table<string, string>, body: string?, err: string }
function M.run(dir, words)
  os.remove(dir .. "/answer")
  os.execute(command(dir, "answer", words))
  return result(dir, "answer")
end

--- Starts curl beside the spec: a function that answers its result, or nil while it runs.
---@param dir string
---@param name string for what it writes
---@param words string[]
function M.start(dir, name, words)
  os.execute("(" .. command(dir, name, words) .. ") &")
  return function()
    local answer = core.stat(dir .. "/" .. name .. ".code") and result(dir, name)
    return answer and answer.code and answer or nil -- the file is there before the code is in it
  end
end

return M
