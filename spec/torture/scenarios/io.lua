-- Sources, sinks, spools, taps and flows, with and without threads.
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

local bytes = ("0123456789abcdef"):rep(20000)
for _, threads in ipairs { 0, 2 } do
  local loop = assert(core.loop { threads = threads })
  local spool = assert(core.spool { dir = "/tmp", memory = 100000 })
  local tap = assert(core.tap(assert(spool:sink()), { hash = "sha512", limit = #bytes }))
  local source, sink = core.pipe()
  assert(source, sink)
  local feed = assert(loop:flow { source = assert(core.bytes(bytes)), sink = sink })
  local keep = assert(loop:flow { source = source, sink = tap, size = #bytes, hash = true })
  -- when one end runs out of memory the other sees a cut or a broken pipe: hear both
  local fed, words = pcall(wait, loop, feed, "result")
  local kept, result = pcall(wait, loop, keep, "result")
  assert(fed and kept, tostring(words) .. " / " .. tostring(result))
  assert(result.size == #bytes)

  local packed = assert(core.spool { dir = "/tmp", memory = 1000000 })
  local pack = assert(loop:flow { source = assert(spool:source()),
                                  sink = assert(core.zstd(assert(packed:sink()))) })
  wait(loop, pack, "result")
  local expand = assert(loop:flow { source = assert(core.unwrap(assert(packed:source()))),
                                    hash = true })
  assert(wait(loop, expand, "result").digest == core.digest(bytes))
  local again = assert(loop:flow {
    source = assert(packed:source()),
    sink = assert(core.unzstd(assert(core.collect(#bytes)))),
  })
  wait(loop, again, "result")

  local dense = assert(core.dense(assert(core.null())))
  for _ = 1, 20 do -- pieces, more than the first list of them holds
    local piece = ("x"):rep(4096) .. ("\0"):rep(4096)
    while #piece > 0 do
      piece = piece:sub(assert(dense:write(piece)) + 1)
    end
  end
  assert(#assert(dense:extents()) == 20)

  local path = "build/torture-file" -- where what a failure leaves behind is overwritten
  local file = assert(core.create(path))
  assert(file:write("x"))
  assert(file:finish())
  assert(core.file(path)):read(1)
  assert(assert(core.file(path)):slice(0, 1)):read(1)
  assert(assert(packed:source()):slice(1, 1)):read(1)
  assert(assert(core.bytes("x")):slice(0, 1)):read(1)
  assert(core.lock(path)):close()
  assert(core.extents(path))
  assert(core.stat(path).size == 1)
  assert(#assert(core.list("spec")) > 0)

  local relay = assert(core.relay(assert(core.file(path))))
  assert(io.open(path, "w")):close() -- shorter than it was: its source breaks
  local rest = assert(loop:flow { source = assert(relay:source()), hash = true })
  if pcall(wait, loop, relay, "broken") then -- else the flow says why
    relay:feed(assert(core.bytes(bytes)), 1)
  end
  assert(wait(loop, rest, "result").size == #bytes - 1)
  os.remove(path)

  local timer = assert(loop:timer(0.001))
  wait(loop, timer, "wait")
  assert(loop:cancel_fd())
  local hasher = assert(core.hasher())
  assert(core.hasher_from(hasher:update("x"):state()))
  loop:close()
end
