-- One measure each, run by bench/run.lua: does its work, prints its peak memory in KiB and its
-- CPU seconds.

local began = os.clock()
package.path = "./lua/?.lua;" .. package.path
package.cpath = "./build/lua/" .. (_VERSION == "Lua 5.4" and "5.4" or "5.1") .. "/?.so;" .. package.cpath
local core = require "epoch.core"
local loaded = os.clock()
local await = require "epoch.await"

local function peak()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmHWM:%s+(%d+)")
    if kib then
      return kib
    end
  end
end

local function result(loop, spec)
  return assert(await(loop, assert(loop:flow(spec)), "result"))
end

local measures = {}

-- hash THREADS FILE…: all at once
function measures.hash(loop, _threads, ...)
  local flows = {}
  for i, path in ipairs { ... } do
    flows[i] = assert(loop:flow { source = assert(core.file(path)), hash = true })
  end
  for _, flow in ipairs(flows) do
    assert(await(loop, flow, "result"))
  end
end

-- spool FILE: into a spool and out of it again
function measures.spool(loop, path)
  local spool = core.spool()
  result(loop, { source = assert(core.file(path)), sink = spool:sink() })
  result(loop, { source = assert(spool:source()) })
  spool:close()
end

-- pack FILE TAR: one entry
function measures.pack(loop, path, tar)
  local writer = assert(core.tar_writer(assert(core.create(tar, { sync = false }))))
  local source = assert(core.file(path))
  local entry = assert(writer:entry { name = "disk.raw", mode = 420, size = source:total(), mtime = 0 })
  result(loop, { source = source, sink = entry })
  assert(await(loop, writer, "finish"))
end

-- tar FILE: from a pipe, entry by entry
function measures.tar(loop, path)
  local child = assert(loop:spawn { argv = { "/bin/cat", path }, stdout = "pipe" })
  local reader = assert(core.tar_reader(child:stdout()))
  while true do
    local entry, message = await(loop, reader, "next")
    if not entry then
      assert(entry == false, message)
      break
    end
    assert(result(loop, { source = reader:body(), hash = true }).size == entry.size)
  end
  assert(assert(await(loop, child, "wait")).code == 0)
end

-- get URL
function measures.get(loop, url)
  local request = assert(loop:request { url = url })
  assert(assert(await(loop, request, "response")).status == 200)
  assert(result(loop, { source = request:body(), hash = true }).size > 0)
end

-- The bucket of the environment's EPOCH_S3_ variables.
local function bucket(loop, threshold)
  local env = os.getenv
  return assert(require("epoch.objectstore.s3").open(assert(require("epoch.task").new { loop = loop }), {
    endpoint = env("EPOCH_S3_ENDPOINT"), bucket = env("EPOCH_S3_BUCKET"), access_key = env("EPOCH_S3_ACCESS_KEY"),
    secret_key = env("EPOCH_S3_SECRET_KEY"), proxy = "", multipart_threshold = tonumber(threshold),
  }))
end

-- s3_put KEY FILE DIGEST THRESHOLD: in parts above that many bytes
function measures.s3_put(loop, key, path, digest, threshold)
  local size = assert(core.stat(path)).size
  assert(bucket(loop, threshold):put(key, size, function() return core.file(path) end, { digest = digest }))
end

-- s3_get KEY FILE DIGEST
function measures.s3_get(loop, key, path, digest)
  local source = assert(bucket(loop):get(key))
  result(loop, { source = source, sink = assert(core.create(path, { sync = false })), digest = digest })
end

-- s3_list PREFIX COUNT: all keys below it
function measures.s3_list(loop, prefix, count)
  local store = bucket(loop)
  assert(#assert(require("epoch.objectstore").list_all(store, prefix)).keys == tonumber(count))
end

if arg[1] == "require" then
  print(("%.3f ms"):format((loaded - began) * 1000))
else
  local loop = core.loop(arg[1] == "hash" and { threads = tonumber(arg[2]) } or nil)
  measures[arg[1]](loop, (table.unpack or unpack)(arg, 2))
  loop:close()
end
print(("peak %s\nown %.3f"):format(peak(), os.clock()))
