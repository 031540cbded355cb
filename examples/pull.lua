-- Pulls a snapshot into this machine's cocoon, by way of a port of one's own: blobs that a
-- directory has (a mounted share, say, with files named by their digest) are taken from there.
--   lua epoch.lua run examples/pull.lua REF [LOCAL-NAME] [DIRECTORY]
--   lua epoch.lua run examples/pull.lua registry.example/vms/web:monday web /mnt/share/blobs

local epoch = require "epoch"

local cocoon = assert(epoch.snapshot.exec_cocoon {}) -- a program that is missing is told first
local task = assert(epoch.task.new())
local home, ref = epoch.locate.open(task, arg[1])
assert(home, ref)

local from_home = epoch.ports.downloader(home)
local port = {}

function port.get_manifest(_, name, tag)
  return from_home:get_manifest(name, tag)
end

-- Answers a source of the core. What it gives is checked against the digest, wherever it is from.
function port.get_blob(_, name, digest)
  local file = arg[3] and epoch.core.file(arg[3] .. "/" .. digest:match(":(.*)$"))
  if file then
    io.stderr:write(digest, " is at hand\n")
    return file
  end
  return from_home:get_blob(name, digest)
end

assert(epoch.snapshot.puller { downloader = port, cocoon = cocoon, task = task }:pull {
  name = ref.name,
  tag = ref.tag,
  digest = ref.digest,
  local_name = arg[2],
})

home:close()
task:close()
