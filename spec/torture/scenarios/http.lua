-- A request with a body and headers, the answer through a flow, and one
-- that is closed half-way.
local port = ...
local core = require "epoch.core"

local function wait(loop, object, method)
  while true do
    local a, message, code = object[method](object)
    if a ~= nil or code ~= "again" then
      return assert(a, message)
    end
    assert(loop:poll(10))
  end
end

local url = "http://127.0.0.1:" .. port .. "/a"
local loop = assert(core.loop { threads = 0 })
local req = assert(loop:request {
  method = "PUT",
  url = url,
  proxy = "",
  body = "some bytes",
  authorization = "Basic x",
  headers = { { "X-A", "b" }, ["X-C"] = "d" },
})
local response = wait(loop, req, "response")
assert(response.status == 200 and #response.headers > 0)
assert(req:header("content-length"))
local flow = assert(loop:flow { source = assert(req:body()), hash = true })
assert(wait(loop, flow, "result").size > 0)
flow:close()
req:close()
local left = assert(loop:request { url = url, proxy = "" })
assert(loop:poll(10))
left:close()
assert(core.resolve(url, "../b?c"))
assert(core.origin(url))
loop:close()
