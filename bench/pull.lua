--- A pull out of docker-registry into an import that takes everything, beside curl and openssl
-- with the same bytes.

local beds = require "bench.bed"
local report = require "bench.report"

local MEMORY_MIB = 64

return function(loop, dir)
  beds.with(loop, dir, function(bed)
    bed:export("one-file", { "one" })
    report.time(loop, bed:push("one-file", "bench/one:v1"))
    local best, out = report.best_of(loop, {
      ours = bed:pull("bench/one:v1"),
      get = bed:get("bench/one", "one"),
      hash = bed:hash("one"),
    })
    report.at_most("pull one file : curl or openssl, the slower", best.ours / math.max(best.get, best.hash),
      1.5, "%.2f", ("%.2f s; curl %.2f s, openssl %.2f s"):format(best.ours, best.get, best.hash))
    report.at_most("pull one file, peak memory", tonumber(out.ours:match("peak (%d+)")) / 1024, MEMORY_MIB,
      "%.1f MiB")
  end)
end
