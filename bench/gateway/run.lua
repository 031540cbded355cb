-- make bench-gateway: the gateway beside nginx that serves files and Debian's docker-registry, all
-- in the same run. Exit code 1 when a figure is missed. Words choose some of them:
--   make bench-gateway SIZE=128 ARGS='head upload'

package.path = "./?.lua;" .. package.path
require "spec.support.paths"

local bed = require "bench.gateway.bed"
local crowd = require "bench.gateway.crowd"
local measures = require "bench.gateway.measures"
local report = require "bench.report"
local work = require "spec.support.work"

local MEASURES = { "get", "head", "upload", "small", "memory" }

print(("%d MiB, best of %d; %s"):format(report.MIB, report.TRIES, work.output(
  "echo \"load $(cut -d' ' -f1 /proc/loadavg) on $(nproc) cores\"")))
for _, name in ipairs(#arg > 0 and arg or MEASURES) do
  local measure = assert(measures[name] or crowd[name], name)
  work.in_directory(function(dir)
    work.with_loop(nil, function(loop)
      bed.with(loop, dir, measure)
    end)
  end)
end

os.exit(report.failures() == 0 and 0 or 1)
