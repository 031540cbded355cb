-- make bench: what the core does, as ratios to openssl and curl moving the same bytes in the
-- same run. Each measure is a program of its own (bench/measures.lua), so that its peak
-- memory is its own too. Exit code 1 when a ratio is missed.
--   BENCH_MIB=1024 BENCH_TRIES=7 make bench

package.path = "./?.lua;./lua/?.lua;" .. package.path
package.cpath = "./build/lua/" .. (_VERSION == "Lua 5.4" and "5.4" or "5.1") .. "/?.so;" .. package.cpath

local core = require "epoch.core"
local await = require "epoch.await"
local server = require "spec.support.server"
local work = require "spec.support.work"

local MIB = tonumber(os.getenv("BENCH_MIB") or 512)
local TRIES = tonumber(os.getenv("BENCH_TRIES") or 5)
local MEMORY_MIB = 32
local LUA = jit and "luajit" or "lua5.4"

-- A shell command to its end: seconds, and the lines it printed.
local function time(loop, command)
  local began = core.now()
  local child = assert(loop:spawn { argv = { "/bin/sh", "-c", command },
                                    stdout = "pipe" })
  local out = assert(work.read_all(loop, child:stdout()))
  local exit = assert(await(loop, child, "wait"))
  local took = core.now() - began
  child:close()
  assert(exit.code == 0, command .. " failed")
  return took, out
end

-- The best of several tries of each command, taken in turns so that all see the same noise.
local function best_of(loop, commands)
  local best, out = {}, {}
  for _ = 1, TRIES do
    for name, command in pairs(commands) do
      local took, printed = time(loop, command)
      best[name] = math.min(best[name] or math.huge, took)
      out[name] = printed
    end
  end
  return best, out
end

local failures = 0

local function report(name, value, bound, good, detail)
  print(("%-6s %-44s %8s   wanted %s%s"):format(good and "ok" or "MISSED", name, value, bound,
                                                detail and "   (" .. detail .. ")" or ""))
  if not good then
    failures = failures + 1
  end
end

-- How much faster `ours` is than `theirs` with so many MiB, and what it took in memory.
local function compare(loop, name, mib, wanted, theirs, ours)
  local best, out = best_of(loop, { theirs = theirs, ours = ours })
  local ratio = best.theirs / best.ours
  report(name, ("%.2f"):format(ratio), (">= %.2f"):format(wanted), ratio >= wanted,
         ("%.0f and %.0f MiB/s"):format(mib / best.ours, mib / best.theirs))
  local peak = tonumber(out.ours:match("peak (%d+)")) / 1024
  report(name .. ", peak memory", ("%.1f MiB"):format(peak), ("< %d MiB"):format(MEMORY_MIB), peak < MEMORY_MIB)
end

local function measure(name, ...)
  return table.concat({ LUA, "bench/measures.lua", name, ... }, " ")
end

local function make_file(loop, path, mib)
  time(loop, ("head -c %d /dev/urandom > '%s'"):format(mib * 1024 * 1024, path))
end

work.in_directory(function(dir)
  work.with_loop(nil, function(loop)
    local one, two, tar = dir .. "/one", dir .. "/two", dir .. "/one.tar"
    make_file(loop, one, MIB)
    make_file(loop, two, MIB)
    time(loop, measure("pack", one, tar))

    compare(loop, "hash a file : openssl dgst", MIB, 0.95,
            ("openssl dgst -sha256 '%s'"):format(one), measure("hash", 1, one))
    compare(loop, "hash two files, pool : one core", 2 * MIB, 1.7,
            measure("hash", 0, one, two), measure("hash", 2, one, two))
    compare(loop, "read, hash, count a tar : cat | openssl", MIB, 0.8,
            ("cat '%s' | openssl dgst -sha256"):format(tar), measure("tar", tar))

    local web = server.start { files = {} }
    time(loop, ("ln -s '%s' '%s/www/one'"):format(one, web.dir))
    compare(loop, "HTTP GET to a hash : curl | openssl", MIB, 0.8,
            ("curl -sf %s/one | openssl dgst -sha256"):format(web.url), measure("get", web.url .. "/one"))
    web:stop()

    local fastest = math.huge
    for _ = 1, 20 do
      local _, out = time(loop, measure("require"))
      fastest = math.min(fastest, tonumber(out:match("([%d.]+) ms")))
    end
    report("require \"epoch.core\"", ("%.2f ms"):format(fastest), "< 5 ms", fastest < 5)
  end)
end)

os.exit(failures == 0 and 0 or 1)
