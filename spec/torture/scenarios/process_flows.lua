-- Children fed and read by flows, stopped while stderr is kept, abandoned with their stdin taken.
local core = require "epoch.core"

local function wait(loop, object, method, ...)
  while true do
    local a, message, code = object[method](object, ...)
    if a ~= nil or code ~= "again" then
      return assert(a, message)
    end
    assert(loop:poll(10))
  end
end

local loop = assert(core.loop { threads = 0 })

local cat = assert(loop:spawn {
  argv = { "/bin/cat" }, env = { "A=1", B = "2" }, stdin = "pipe", stdout = "pipe", stderr = false,
})
local feed = assert(loop:flow { source = assert(core.bytes("bytes")), sink = assert(cat:stdin()) })
local take = assert(loop:flow { source = assert(cat:stdout()), hash = true })
wait(loop, feed, "result")
wait(loop, take, "result")
assert(wait(loop, cat, "wait").code == 0)

local stopped = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe", stdout = "null" })
wait(loop, stopped, "stop", { tail = "last words" })

local abandoned = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe" })
assert(abandoned:stdin())

local none, message, code = loop:spawn { argv = { "/nowhere" }, cwd = "/" }
assert(not none and (code == "not_found" or code == "no_memory"), message)
assert(core.which("sh", "/bin"))
assert(#core.environ() >= 0)
loop:close()
