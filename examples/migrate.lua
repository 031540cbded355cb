-- Moves a store of generation 1 to any home, as generation 2: what `migrate` does, to be changed.
--   lua epoch.lua run examples/migrate.lua FROM TO [NAME…]
--   lua epoch.lua run examples/migrate.lua s3://old-bucket/epoch registry.example vms/web
--
-- It can be stopped at any time and started again: what has arrived is not moved again, and the
-- old store is only read.

local epoch = require "epoch"

local from_name, to_name = arg[1], arg[2]
assert(from_name and to_name, "usage: examples/migrate.lua FROM TO [NAME…]")

local task = assert(epoch.task.new())
local from, to, err
from, err = epoch.locate.open_home(task, from_name)
assert(from, err)
to, err = epoch.locate.open_home(task, to_name)
assert(to, err)

-- The repositories that were named, or all.
local names = { (table.unpack or unpack)(arg, 3) } -- luacheck: ignore 113 143
if #names == 0 then
  names = assert(from:repositories())
end

-- One repository after the other, so that there is something to read meanwhile. What fails is
-- remembered, and keeps nothing else from being moved.
local failed = { from.notice } -- names that no reference can have
for _, name in ipairs(names) do
  local done, why, some = epoch.migrate.migrate(task, {
    from = from,
    to = to,
    names = { name },
    -- dry_run = true, -- writes nothing; each state is "planned" or "there" then
    progress = function(line) io.stderr:write("  ", line, "\n") end,
  })
  for _, one in ipairs(done or some or {}) do
    print(("%s:%s %s, %s moved"):format(one.name, one.tag, one.state, epoch.manifest.human_size(one.transferred)))
  end
  if not done then
    failed[#failed + 1] = ("%s: %s"):format(name, tostring(why))
  end
end

to:close()
from:close()
task:close()
assert(#failed == 0, table.concat(failed, "\n"))
