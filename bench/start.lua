--- How long it takes to begin: the core alone, and the whole program to its first words.

local report = require "bench.report"

local TRIES = 20

-- The fastest of many: seconds as `seconds(took, printed)` reads them.
local function fastest(loop, command, seconds)
  local best = math.huge
  for _ = 1, TRIES do
    best = math.min(best, seconds(report.time(loop, command)))
  end
  return best * 1000
end

local function took(seconds)
  return seconds
end

return function(loop)
  for _, vm in ipairs { "lua5.4", "luajit" } do
    report.at_most(vm .. ": require \"epoch.core\"", fastest(loop, vm .. " bench/measures.lua require",
      function(_, out)
        return tonumber(out:match("([%d.]+) ms")) / 1000
      end), 5, "%.1f ms")
    report.at_most(vm .. " epoch.lua version", fastest(loop, vm .. " epoch.lua version", took), 20, "%.1f ms")
  end
end
