-- What `make quickstart` shows: files hashed side by side, packed into an archive that a child
-- process reads back, and every entry checked against what went in.

local core, await = require "epoch.core", require "epoch.await"

local here = (arg[0] or ""):match("^(.*)/examples/[^/]*$") or "."
local names = { "README.md", "LICENSE", "CONTRIBUTING.md" }
local archive = os.tmpname()
local loop = assert(core.loop())

-- all at once: each flow runs on a thread of its own as far as there are cores
local flows = {}
for i, name in ipairs(names) do
  flows[i] = assert(loop:flow { source = assert(core.file(here .. "/" .. name)), hash = true, what = name })
end

local promised = {}
local writer = assert(core.tar_writer(assert(core.create(archive, { mode = tonumber("600", 8) }))))
for i, name in ipairs(names) do
  local file = assert(await(loop, flows[i], "result"))
  promised[name] = file.digest
  print(("hashed   %-16s %6d bytes  %s"):format(name, file.size, file.digest))
  local entry = assert(writer:entry { name = name, size = file.size })
  assert(await.flow(loop, { source = core.file(here .. "/" .. name), sink = entry, size = file.size }))
end
assert(await(loop, writer, "finish"))

local child = assert(loop:spawn { argv = { assert(core.which("gzip")), "-c", archive }, stdout = "pipe" })
local reader = core.tar_reader(core.unwrap(child:stdout()))
while true do
  local entry, message = await(loop, reader, "next")
  if not entry then
    assert(entry == false, message) -- nil: the archive is broken
    break
  end
  local back = assert(await.flow(loop, { source = reader:body(), size = entry.size, what = entry.name,
                                         digest = promised[entry.name] }))
  print(("verified %-16s %6d bytes  out of the archive that gzip passed on"):format(entry.name, back.size))
end
assert(assert(await(loop, child, "wait")).code == 0, "gzip failed")
assert(core.unlink(archive))
loop:close()
print("next: lua epoch.lua run examples/first.lua URL")
