--- What becomes of the gateway while many large transfers run.

local await = require "epoch.await"
local report = require "bench.report"

local M = {}

local RATE, CONNECTIONS = 1000, 50
local MIB = 2 ^ 20

-- Starts commands that run beside each other; a function that waits for all of them. They stand for
-- clients that would be on other machines, so they give way to what is measured.
local function start(bed, commands)
  local children = {}
  for i, command in ipairs(commands) do
    children[i] = assert(bed.loop:spawn { argv = { "/bin/sh", "-c", "exec nice -n 19 " .. command } })
  end
  return function()
    for i, child in ipairs(children) do
      local exit = assert(await(bed.loop, child, "wait"))
      child:close()
      assert(exit.code == 0, commands[i] .. " failed")
    end
  end
end

-- Half of them fetch a blob, half send it.
local function transfers(bed, n, path, digest, more)
  report.time(bed.loop, bed:put(bed:begin(bed.gateway.url), path, digest))
  local commands = {}
  for i = 1, n do
    if i % 2 == 0 then
      commands[i] = bed:get(bed.gateway.url, digest, more)
    else
      commands[i] = bed:put(bed:begin(bed.gateway.url, ("bench/%d"):format(i)), path, digest, more)
    end
  end
  return commands
end

--- Small requests while ten blobs move: for as long as those take, and counted from when each was due.
function M.small(bed)
  local best
  for _ = 1, report.TRIES do
    local wait = start(bed, transfers(bed, 10, bed.path, bed.digest))
    local found = bed:load(bed.gateway.url, "GET", bed.manifest_path(), CONNECTIONS, 5 * report.MIB / 1024, RATE)
    wait()
    assert(found.failed == 0, "requests failed")
    if not best or found.p99 < best.p99 then
      best = found
    end
  end
  report.at_most("p99 of small requests, ten transfers beside", best.p99, 10, "%.1f ms",
    ("p50 %.2f ms, max %.1f ms, %.0f requests"):format(best.p50, best.max, best.requests))
end

--- The memory of all processes while fifty blobs move. They are not as large as those elsewhere, but
--- slow, so that all of them are under way at the same time.
function M.memory(bed)
  local path, digest = bed:file("slow", 50 * MIB)
  start(bed, transfers(bed, 50, path, digest, "--limit-rate 5M"))()
  report.at_most("memory of the gateway, fifty transfers", bed.gateway:vm_hwm() / MIB, 64, "%.0f MiB",
    "the most of each process, summed up")
end

return M
