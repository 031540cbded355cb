-- A child that is fed and read, one that is stopped while it waits, one that cannot start.
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
local child = assert(loop:spawn {
  argv = { "/bin/cat" }, env = { PATH = "/bin" }, stdin = "pipe", stdout = "pipe", stderr = "null",
})
local input = assert(child:stdin())
assert(input:write("through the child"))
wait(loop, input, "finish")
local flow = assert(loop:flow { source = assert(child:stdout()), hash = true })
assert(wait(loop, flow, "result").size == 17)
assert(wait(loop, child, "wait").code == 0)
child:close()

local waiting = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe", stdout = "null", stderr = "null" })
local held = assert(waiting:stdin())
assert(held:write("half"))
assert(wait(loop, waiting, "stop", { tail = "!", grace = 5 }).signal == "TERM")
waiting:close()

local none, message = loop:spawn { argv = { "/nonexistent/program" } }
assert(none == nil and (message:find("No such file", 1, true) or message:find("memory", 1, true)), message)
loop:close()
