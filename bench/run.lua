-- make bench: this program and its core as ratios to curl and openssl moving the same bytes in
-- the same run. Exit code 1 when one is missed. With less than 256 MiB it is mostly the start
-- that is measured, and on a machine that is busy the others. Words choose some of the areas:
--   BENCH_MIB=1024 BENCH_TRIES=7 make bench
--   make bench ARGS='push overlap'

package.path = "./?.lua;./lua/?.lua;" .. package.path
package.cpath = "./build/lua/" .. (_VERSION == "Lua 5.4" and "5.4" or "5.1") .. "/?.so;" .. package.cpath

local report = require "bench.report"
local work = require "spec.support.work"

local AREAS = { "start", "core", "push", "pull", "overlap", "s3" }

print(("%d MiB, best of %d; %s"):format(report.MIB, report.TRIES, work.output(
  "echo \"load $(cut -d' ' -f1 /proc/loadavg) on $(nproc) cores\"")))
for _, area in ipairs(#arg > 0 and arg or AREAS) do
  local measure = require("bench." .. area)
  work.in_directory(function(dir)
    work.with_loop(nil, function(loop)
      measure(loop, dir)
    end)
  end)
end

os.exit(report.failures() == 0 and 0 or 1)
