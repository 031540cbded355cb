--- A push from an export into docker-registry, beside curl and openssl with the same bytes: how
-- long, how much CPU, how much memory.

local beds = require "bench.bed"
local report = require "bench.report"

local MEMORY_MIB, CPU = 64, 0.75

local function at_once(a, b)
  return ("%s & first=$!; %s && wait $first"):format(a, b)
end

local function seconds(best)
  return ("%.2f s; curl %.2f s, openssl %.2f s"):format(best.ours, best.put, best.hash)
end

local function memory(what, printed)
  report.at_most(what .. ", peak memory", tonumber(printed:match("peak (%d+)")) / 1024, MEMORY_MIB, "%.1f MiB")
end

-- Ours to curl and openssl one after the other.
local function compare(bed, what, most, commands)
  local best, out = report.best_of(bed.loop, commands, function()
    bed:prepare()
  end)
  report.at_most(what, best.ours / (best.put + best.hash), most, "%.2f", seconds(best))
  memory(what, out.ours)
end

-- The least CPU that each of these took: our programs say it themselves, of others the shell.
local function least_cpu(bed, commands)
  local least = {}
  for _ = 1, report.TRIES do
    for name, command in pairs(commands) do
      bed:prepare()
      local _, printed = report.time(bed.loop, command .. " && times")
      local own = tonumber(printed:match("own ([%d.]+)")) or report.times(printed)
      least[name] = math.min(least[name] or math.huge, own)
    end
  end
  return least
end

-- The CPU of a push (cocoon's is not in it) to that of programs that do as much, one thing each.
-- It need not be met if it is said what it is made of, as long as they take more.
local function cpu(bed)
  local one = ("'%s/one'"):format(bed.dir)
  local least = least_cpu(bed, {
    ours = bed:push("one-file", "bench/one:v1"),
    put = bed:put("one"),
    hash = ("cat %s | openssl dgst -sha256"):format(one),
    copy = ("cat %s > '%s/copy' && cat '%s/copy' > /dev/null && rm '%s/copy'"):format(one, bed.dir, bed.dir, bed.dir),
    our_start = bed:push("no-file", "bench/none:v1"),
    our_hash = report.LUA .. " bench/measures.lua hash 0 " .. one,
    our_spool = report.LUA .. " bench/measures.lua spool " .. one,
  })
  local ratio = least.ours / (least.put + least.hash + least.copy)
  report.at_most("push one file, CPU : curl, cat|openssl, a copy", ratio, ratio > CPU and 1 or CPU, "%.2f",
    ("%.2f s; %.2f + %.2f + %.2f s"):format(least.ours, least.put, least.hash, least.copy))
  if ratio > CPU then
    local known = least.our_start + least.our_hash + least.our_spool
    print(("       more than %.2f; made of %.2f s to start, %.2f s to hash, %.2f s to read, spool and read again, "
      .. "%.2f s to send and for turns"):format(CPU, least.our_start, least.our_hash, least.our_spool,
                                                math.max(0, least.ours - known)))
  end
end

return function(loop, dir)
  beds.with(loop, dir, function(bed)
    bed:export("no-file", {})
    bed:export("one-file", { "one" })
    bed:export("two-files", { "one", "two" })
    bed:export("same-files", { "one", "one" })
    compare(bed, "push one file : curl + openssl", 1.2, {
      ours = bed:push("one-file", "bench/one:v1"), put = bed:put("one"), hash = bed:hash("one"),
    })
    compare(bed, "push two files : curl + openssl, both at once", 1.3, {
      ours = bed:push("two-files", "bench/two:v1"),
      put = at_once(bed:put("one"), bed:put("two")),
      hash = at_once(bed:hash("one"), bed:hash("two")),
    })
    compare(bed, "push a file twice : curl of one + openssl of both", 1.3, {
      ours = bed:push("same-files", "bench/same:v1"), put = bed:put("one"),
      hash = at_once(bed:hash("one"), bed:hash("one")),
    })
    cpu(bed)
  end)
end
