-- Pushes a snapshot of this machine's cocoon to any home: a registry, a directory, an image
-- layout.
--   lua epoch.lua run examples/push.lua SNAPSHOT HOME [NAME[:TAG]]
--   lua epoch.lua run examples/push.lua web file:///srv/vms web:monday

local epoch = require "epoch"

local snapshot, where = arg[1], arg[2]
local ref = assert(epoch.reference.parse(arg[3] or snapshot))
local cocoon = assert(epoch.snapshot.exec_cocoon {}) -- a program that is missing is told first
local task = assert(epoch.task.new())
local home = assert(epoch.home.open(task, where))

local result = assert(epoch.snapshot.pusher {
  uploader = epoch.ports.uploader(home), -- or a table of functions of your own
  cocoon = cocoon,
  task = task,
}:push {
  name = ref.name,
  tag = ref.tag,
  snapshot = snapshot,
  progress = function(line) io.stderr:write(line, "\n") end,
})

print(("%s:%s %s %d layers, %s"):format(result.name, result.tag, result.manifest_digest, result.layer_count,
                                        epoch.manifest.human_size(result.total_size)))
home:close()
task:close()
