-- Tar: entries in and out, with records, sparse maps, names by the dozen, and poison.
local core = require "epoch.core"

-- Closes both: without memory Lua cannot call a finalizer, and does not try again.
local function pump(source, sink)
  while true do
    local piece, message = source:read(4096)
    assert(piece ~= nil, message)
    if not piece then
      assert(sink:finish())
      source:close()
      sink:close()
      return
    end
    while #piece > 0 do
      piece = piece:sub(assert(sink:write(piece)) + 1)
    end
  end
end

local options = { sparse = "vendor.sparse" }
local out = assert(core.collect(1000000))
local writer = assert(core.tar_writer(out, options))
for i = 1, 40 do
  local body = assert(writer:entry {
    name = ("%d-"):format(i):rep(40), mode = 416, size = 10,
    pax = { { "note", ("x"):rep(i * 100) }, { "vendor.sparse.map", '[{"o":5,"l":10}]' },
            { "vendor.sparse.size", "99" } },
  })
  pump(assert(core.bytes "0123456789"), body)
end
local head = assert(writer:head { name = "alone", size = 10 })
assert(#head == 512)
assert(writer:finish())
writer:close()

local reader = assert(core.tar_reader(assert(core.bytes(out:bytes())), options))
local again = assert(core.collect(1000000))
local copy = assert(core.tar_writer(again, options))
local count = 0
while true do
  local entry, message = reader:next()
  assert(entry ~= nil, message)
  if not entry then
    break
  end
  count = count + 1
  local body = assert(copy:entry { name = entry.name, mode = entry.mode, size = entry.size,
                                   mtime = entry.mtime, pax = entry.pax })
  pump(assert(reader:body()), body)
end
assert(count == 40)
assert(copy:finish())
assert(again:bytes() == out:bytes())
copy:close()

local heads = assert(core.tar_writer(assert(core.null()), options))
assert(#assert(heads:head { name = "a", size = 10, pax = { { "note", ("x"):rep(5000) } } }) == 6144)
heads:close()

local spoiled = assert(core.tar_writer(assert(core.null())))
assert(#assert(spoiled:poison()) == 512)
spoiled:close()
assert(core.sparse_check("null", 0, 5))
reader:close()
