-- Files that are there: hashed, appended to by the kernel and by hand, shortened, named.
local core = require "epoch.core"

local here, there = "build/torture-data", "/dev/shm/epoch-torture-data" -- no kernel copies between them by itself
local bytes = ("0123456789abcdef"):rep(40000)

-- Memory runs out here, too.
local function write(path)
  local file = assert(io.open(path, "wb"))
  local ok = file:write(bytes)
  assert(file:close() and ok)
end

write(here)
for _, to in ipairs { here .. "-copy", there } do
  os.remove(to)
  assert(assert(core.append(here, to)) == #bytes)
  assert(assert(core.append(here, to)) == #bytes)
  assert(core.truncate(to, #bytes))
  local hasher = assert(core.hasher "sha512")
  assert(assert(hasher:file(to)) == #bytes)
  assert(assert(hasher:digest()) == assert(core.digest(bytes, "sha512")))
  hasher:close()
  assert(core.writeback(to, 0, #bytes))
  assert(core.reserve(to, 0, #bytes))
  assert(core.sync(to))
  assert(core.chmod(to, 384))
  assert(core.unlink(to))
end
assert(core.link(here, here .. "-copy"))
assert(core.unlink(here .. "-copy"))
assert(core.unlink(here))
assert(core.append(here, there) == nil and core.truncate(here, 1) == nil and core.link(here, there) == nil)
