-- A host that feeds commits_on_eof.lua for as long as it lives, to be killed in the middle.
-- Prints the pids of the child and of its keeper.
require "spec.support.paths"
local core = require "epoch.core"
local children = require "spec.support.children"

local lua, script, path, grace = arg[1], arg[2], arg[3], tonumber(arg[4])
local loop = assert(core.loop { threads = 0 })
local p = assert(loop:spawn {
  argv = { "/bin/sh", "-c", (arg[5] or "") .. 'exec "$@"', "sh", lua, script, path },
  stdin = "pipe", stdout = "inherit", grace = grace,
})
print(p:pid())
print(children.process(p:pid()).parent)
io.stdout:flush()
local source, sink = core.pipe()
local flow = assert(loop:flow { source = source, sink = p:stdin() })
while true do
  assert(sink:write("x"))
  assert(loop:poll(0.05))
  assert(flow:moved())
end
