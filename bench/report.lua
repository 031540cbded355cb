--- Commands and how long they take, figures and what was wanted of them.

local await = require "epoch.await"
local core = require "epoch.core"
local work = require "spec.support.work"

local M = {
  MIB = tonumber(os.getenv("BENCH_MIB") or 512),
  TRIES = tonumber(os.getenv("BENCH_TRIES") or 5),
  LUA = rawget(_G, "jit") and "luajit" or "lua5.4",
}

local failures = 0

--- A shell command to its end: seconds, and the lines it printed.
---@param loop userdata
---@param command string
---@return number seconds
---@return string printed
function M.time(loop, command)
  local began = core.now()
  local child = assert(loop:spawn { argv = { "/bin/sh", "-c", command }, stdout = "pipe" })
  local out = assert(work.read_all(loop, child:stdout()))
  local exit = assert(await(loop, child, "wait"))
  local took = core.now() - began
  child:close()
  assert(exit.code == 0, command .. " failed")
  return took, out
end

--- Seconds of CPU that a shell's children took, by what its `times` printed last.
---@param printed string
---@return number
function M.times(printed)
  local sum = 0
  for minutes, seconds in printed:match("([^\n]*)\n*$"):gmatch("(%d+)m([%d.]+)s") do
    sum = sum + minutes * 60 + tonumber(seconds)
  end
  return sum
end

--- The best of several tries of each command, and what it printed then. They are taken in
-- turns, so that all see the same noise; before each comes `prepare(name)`, which is not timed.
---@param loop userdata
---@param commands table<string, string>
---@param prepare fun(name: string)?
---@return table<string, number> best
---@return table<string, string> printed
function M.best_of(loop, commands, prepare)
  local best, out = {}, {}
  for _ = 1, M.TRIES do
    for name, command in pairs(commands) do
      if prepare then
        prepare(name)
      end
      local took, printed = M.time(loop, command)
      if took < (best[name] or math.huge) then
        best[name], out[name] = took, printed
      end
    end
  end
  return best, out
end

--- One figure, and whether it is what was wanted.
---@param name string
---@param value string
---@param wanted string
---@param good boolean
---@param detail string?
function M.show(name, value, wanted, good, detail)
  print(("%-6s %-46s %8s   wanted %-9s%s"):format(good and "ok" or "MISSED", name, value, wanted,
                                                  detail and " (" .. detail .. ")" or ""))
  if not good then
    failures = failures + 1
  end
end

--- A figure that must not be above `most`; `form` formats both.
---@param name string
---@param value number
---@param most number
---@param form string
---@param detail string?
function M.at_most(name, value, most, form, detail)
  M.show(name, form:format(value), "<= " .. form:format(most), value <= most, detail)
end

--- How many figures were not what was wanted.
function M.failures()
  return failures
end

return M
