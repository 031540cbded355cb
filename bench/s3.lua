--- Objects into a bucket and out of it, beside curl with a signature that was made before, and
-- openssl with the same bytes.

local core = require "epoch.core"
local radosgw = require "spec.support.radosgw"
local report = require "bench.report"
local s3 = require "epoch.objectstore.s3"
local sigv4 = require "epoch.s3.sigv4"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MEMORY_MIB = 64
local BLOB = "blob" -- all put it under one name: the store has room for few
local KEYS, PAGE = 10000, 1000
local CURL = "curl -qsf --noproxy '*' -o "

-- The words with which curl asks, signed.
local function signed(store, method, key, query, payload)
  local session, words = store.session, {}
  local path = session.endpoint:path(key)
  local authorization, headers = sigv4.sign({
    method = method, host = session.endpoint.host, path = path, query = query, payload = payload,
  }, session.credentials, os.time())
  headers.Authorization = authorization
  for name, value in pairs(headers) do
    words[#words + 1] = ("-H '%s: %s'"):format(name, value)
  end
  return ("%s '%s'"):format(table.concat(words, " "), session.endpoint:url(path, sigv4.query(query)))
end

-- The command with which curl puts a file: what is signed is the digest of its bytes.
local function curl_put(store, key, path, digest)
  return ("%s/dev/null -T '%s' %s"):format(CURL, path, signed(store, "PUT", key, nil, digest:match("%x+$")))
end

local function peak(printed)
  return tonumber(printed:match("peak (%d+)")) / 1024
end

local function key_of(i)
  return ("many/%016x%08d"):format(i * 2654435761, i)
end

-- The command with which curl fetches the pages of a listing, over one connection.
local function curl_list(store, keys)
  local pages = {}
  for first = 0, #keys - 1, PAGE do
    pages[#pages + 1] = ("%s/dev/null %s"):format(CURL:gsub("^curl ", ""), signed(store, "GET", nil, {
      { "list-type", "2" }, { "max-keys", tostring(PAGE) }, { "prefix", "many/" }, { "start-after", keys[first] },
    }, sigv4.EMPTY))
  end
  return "curl " .. table.concat(pages, " --next ")
end

local function measure_listing(loop, task, store, ours)
  local keys = {}
  for i = 1, KEYS do
    keys[i] = key_of(i)
  end
  assert(task:each(keys, 8, function(key)
    return store:put(key, 1, "x")
  end))
  table.sort(keys)
  local best, out = report.best_of(loop, { curl = curl_list(store, keys), ours = ours("s3_list", "many/", KEYS) })
  report.at_most(("S3, list %d keys : curl, the same pages"):format(KEYS), best.ours / best.curl, 2, "%.2f",
    ("%.2f s; curl %.2f s"):format(best.ours, best.curl))
  report.at_most("S3, list, peak memory", peak(out.ours), MEMORY_MIB, "%.1f MiB")
end

local function measure(loop, dir, gateway)
  local one, got = dir .. "/one", dir .. "/got"
  report.time(loop, ("head -c %.0f /dev/urandom > '%s'"):format(report.MIB * 2 ^ 20, one))
  local digest = work.flow(loop, { source = assert(core.file(one)), hash = true }).digest
  local options = gateway:options { bucket = gateway:bucket() }
  local task = tasks.new { loop = loop }
  local store = assert(s3.open(task, options))
  local function ours(...)
    return table.concat({
      "EPOCH_S3_ENDPOINT=" .. options.endpoint, "EPOCH_S3_BUCKET=" .. options.bucket,
      ("EPOCH_S3_ACCESS_KEY='%s'"):format(options.access_key), ("EPOCH_S3_SECRET_KEY='%s'"):format(options.secret_key),
      report.LUA, "bench/measures.lua", ...
    }, " ")
  end

  local best, out = report.best_of(loop, {
    curl = curl_put(store, BLOB, one, digest),
    whole = ours("s3_put", BLOB, one, digest, report.MIB * 2 ^ 20),
    parts = ours("s3_put", BLOB, one, digest, 1),
  }, function() gateway:collect() end)
  report.at_most("S3, put a file : curl, signed before", best.whole / best.curl, 1.3, "%.2f",
    ("%.2f s; curl %.2f s"):format(best.whole, best.curl))
  report.at_most("S3, put in parts : in one piece", best.parts / best.whole, 1.1, "%.2f", ("%.2f s"):format(best.parts))
  report.at_most("S3, put in parts, peak memory", peak(out.parts), MEMORY_MIB, "%.1f MiB")

  gateway:collect()
  report.time(loop, curl_put(store, BLOB, one, digest)) -- in one piece, whichever came last
  best, out = report.best_of(loop, {
    curl = ("%s'%s' '%s'"):format(CURL, got, store:presign(BLOB)),
    hash = ("openssl dgst -sha256 '%s'"):format(one),
    both = ("%s- '%s' | tee '%s' | openssl dgst -sha256"):format(CURL, store:presign(BLOB), got),
    ours = ours("s3_get", BLOB, got, digest),
  }, function() os.remove(got) end)
  report.at_most("S3, get a file : curl or openssl, the slower", best.ours / math.max(best.curl, best.hash), 1.3,
    "%.2f", ("%.2f s; curl %.2f s, openssl %.2f s"):format(best.ours, best.curl, best.hash))
  -- the store runs on the same processors: this is what others need for the same work
  report.at_most("S3, get a file : curl | tee | openssl", best.ours / best.both, 1, "%.2f",
    ("%.2f s"):format(best.both))
  report.at_most("S3, get a file, peak memory", peak(out.ours), MEMORY_MIB, "%.1f MiB")
  measure_listing(loop, task, store, ours)
end

return function(loop, dir)
  local gateway = radosgw.start()
  local ok, err = pcall(measure, loop, dir, gateway)
  gateway:stop()
  if not ok then
    error(err, 0)
  end
end
