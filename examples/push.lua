-- Pushes a snapshot of this machine's cocoon to any home: a registry, a directory, an image
-- layout.
--   lua epoch.lua run examples/push.lua SNAPSHOT [REF]
--   lua epoch.lua --registry file:///srv/vms run examples/push.lua web web:monday

local epoch = require "epoch"

local snapshot = arg[1]
local cocoon = assert(epoch.snapshot.exec_cocoon {}) -- a program that is missing is told first
local task = assert(epoch.task.new())
local home, ref = epoch.locate.open(task, arg[2] or snapshot)
assert(home, ref)

local result = assert(epoch.snapshot.pusher {
  uploader = epoch.ports.uploader(home), -- or a table of functions of your own
  cocoon = cocoon,
  task = task,
}:push {
  name = ref.name,
  tag = ref.tag,
  snapshot = snapshot,
})

print(("%s:%s %s %d layers, %s"):format(result.name, result.tag, result.manifest_digest, result.layer_count,
                                        epoch.manifest.human_size(result.total_size)))
home:close()
task:close()
