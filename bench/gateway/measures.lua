--- The figures of the gateway, each beside those of others in the same run.

local report = require "bench.report"

local M = {}

local HEAD_CONNECTIONS, HEAD_SECONDS = 32, 3

-- How many times as fast as another: `ours` and `theirs` in seconds.
local function ratio(name, ours, theirs, least, detail)
  report.show(name, ("%.2f x"):format(theirs / ours), (">= %.1f x"):format(least), theirs / ours >= least, detail)
end

local function rate(mib, seconds)
  return ("%.0f MiB/s"):format(mib / seconds)
end

--- A blob, sent by the gateway and by nginx alone.
function M.get(bed)
  report.time(bed.loop, bed:put(bed:begin(bed.gateway.url), bed.path, bed.digest))
  local best = report.best_of(bed.loop, { ours = bed:get(bed.gateway.url, bed.digest), theirs = bed:get_file() })
  ratio("blob GET beside static nginx", best.ours, best.theirs, 0.9, ("%s, nginx %s"):format(
    rate(report.MIB, best.ours), rate(report.MIB, best.theirs)))
end

--- A small manifest is asked for as often as it is answered.
function M.head(bed)
  local best = { gateway = 0, registry = 0 }
  for _ = 1, report.TRIES do
    for name in pairs(best) do
      local found = bed:load(bed[name].url, "HEAD", bed.manifest_path(), HEAD_CONNECTIONS, HEAD_SECONDS)
      assert(found.failed == 0, name .. ": requests failed")
      best[name] = math.max(best[name], found.requests / found.seconds)
    end
  end
  ratio("manifest HEAD beside docker-registry", 1 / best.gateway, 1 / best.registry, 5,
    ("%.0f a second, docker-registry %.0f"):format(best.gateway, best.registry))
end

--- A blob, taken by the gateway and by docker-registry, hashed, and copied on the same disk.
function M.upload(bed)
  local commands = {
    ours = true, theirs = true, hash = ("openssl dgst -sha256 '%s'"):format(bed.path),
    copy = ("cp '%s' '%s/copy'"):format(bed.path, bed.gateway.root),
  }
  local function prepare(name)
    report.time(bed.loop, ("rm -f '%s/copy'"):format(bed.gateway.root))
    bed:forget(bed.digest)
    local to = name == "ours" and bed.gateway or name == "theirs" and bed.registry
    if to then
      commands[name] = bed:put(bed:begin(to.url), bed.path, bed.digest)
    end
  end
  local best = {}
  for _ = 1, report.TRIES do
    for name in pairs(commands) do
      prepare(name)
      best[name] = math.min(best[name] or math.huge, (report.time(bed.loop, commands[name])))
    end
  end
  report.time(bed.loop, ("rm -f '%s/copy'"):format(bed.gateway.root))
  ratio("upload beside docker-registry", best.ours, best.theirs, 1.2, ("%s, docker-registry %s"):format(
    rate(report.MIB, best.ours), rate(report.MIB, best.theirs)))
  ratio("upload beside openssl dgst and cp", best.ours, math.max(best.hash, best.copy), 0.8,
    ("openssl %s, cp %s"):format(rate(report.MIB, best.hash), rate(report.MIB, best.copy)))
end

return M
