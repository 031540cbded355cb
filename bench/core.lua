--- What the core does by itself. Each measure is a program of its own (bench/measures.lua), so
-- that its peak memory is its own too.

local report = require "bench.report"
local server = require "spec.support.server"

local MEMORY_MIB = 32

-- How much faster `ours` is than `theirs` with so many MiB, and what it took in memory.
local function compare(loop, name, mib, wanted, theirs, ours)
  local best, out = report.best_of(loop, { theirs = theirs, ours = ours })
  local ratio = best.theirs / best.ours
  report.show(name, ("%.2f"):format(ratio), (">= %.2f"):format(wanted), ratio >= wanted,
              ("%.0f and %.0f MiB/s"):format(mib / best.ours, mib / best.theirs))
  local peak = tonumber(out.ours:match("peak (%d+)")) / 1024
  report.at_most(name .. ", peak memory", peak, MEMORY_MIB, "%.1f MiB")
end

local function measure(name, ...)
  return table.concat({ report.LUA, "bench/measures.lua", name, ... }, " ")
end

local function make_file(loop, path)
  report.time(loop, ("head -c %d /dev/urandom > '%s'"):format(report.MIB * 1024 * 1024, path))
end

return function(loop, dir)
  local one, two, tar = dir .. "/one", dir .. "/two", dir .. "/one.tar"
  make_file(loop, one)
  make_file(loop, two)
  report.time(loop, measure("pack", one, tar))

  compare(loop, "hash a file : openssl dgst", report.MIB, 0.95,
          ("openssl dgst -sha256 '%s'"):format(one), measure("hash", 1, one))
  compare(loop, "hash two files, pool : one core", 2 * report.MIB, 1.7,
          measure("hash", 0, one, two), measure("hash", 2, one, two))
  compare(loop, "read, hash, count a tar : cat | openssl", report.MIB, 0.8,
          ("cat '%s' | openssl dgst -sha256"):format(tar), measure("tar", tar))

  local web = server.start { files = {} }
  report.time(loop, ("ln -s '%s' '%s/www/one'"):format(one, web.dir))
  compare(loop, "HTTP GET to a hash : curl | openssl", report.MIB, 0.8,
          ("curl -qsf --noproxy '*' %s/one | openssl dgst -sha256"):format(web.url), measure("get", web.url .. "/one"))
  web:stop()
end
