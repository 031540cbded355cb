-- Pulls a snapshot from any home into this machine's cocoon, under a name of its own.
--   lua epoch.lua run examples/pull.lua HOME NAME[:TAG] [LOCAL-NAME]

local epoch = require "epoch"

local ref = assert(epoch.reference.parse(arg[2]))
local cocoon = assert(epoch.snapshot.exec_cocoon {})
local task = assert(epoch.task.new())
local home = assert(epoch.home.open(task, arg[1]))

assert(epoch.snapshot.puller {
  downloader = epoch.ports.downloader(home),
  cocoon = cocoon,
  task = task,
}:pull {
  name = ref.name,
  tag = ref.tag,
  digest = ref.digest,
  local_name = arg[3],
  progress = function(line) io.stderr:write(line, "\n") end,
})

home:close()
task:close()
