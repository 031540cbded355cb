-- Lists the tags of a repository, with credentials from a program of one's own: it is given
-- HOST[:PORT] and prints a user name and a password, a line each.
--   lua epoch.lua run examples/credentials.lua PROGRAM HOST[:PORT]/NAME
-- The same function can stand in a configuration, as `credentials`, for one host or for all.

local epoch = require "epoch"

local program, ref = arg[1], assert(epoch.reference.parse(arg[2]))
local task = assert(epoch.task.new())

-- Asked when a registry wants to know who we are, and once for each host.
local function credentials(host)
  local child = assert(task.loop:spawn { argv = { program, host }, stdout = "pipe" })
  local answer = epoch.core.collect(4096)
  assert(task:flow { source = child:stdout(), sink = answer })
  local result = assert(task:await(child, "wait"))
  child:close()
  if result.code ~= 0 then
    return nil, epoch.errors.new("unauthorized", program .. " has no credentials for " .. host)
  end
  return answer:bytes():match("^([^\n]*)\n([^\n]*)")
end

epoch.configure { credentials = credentials }
local home, err = epoch.locate.open(task, ref)
assert(home, err)
for _, tag in ipairs(assert(home:tags(ref.name))) do
  print(tag)
end
home:close()
task:close()
