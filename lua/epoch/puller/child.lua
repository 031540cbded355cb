--- The process in the background (epoch.puller.background): a puller that does as stdin says.
--
-- For each snapshot that has ended it writes a line: its place in the list and, where it failed,
-- the kind and the beginning of the message. All lines together fit into a pipe, so that it never
-- waits for anyone to read them.
local json = require "epoch.json"
local puller = require "epoch.puller"
local tasks = require "epoch.task"
local text = require "epoch.text"

local M = {}

local LARGEST_JOB = 64 * 1024 * 1024
local PIPE = 60000 -- bytes for all lines together; a pipe takes 65536
local OTHERS = 24 -- bytes, at most, that a line has besides the message

local function report(at, err, room)
  local line = ("%d"):format(at)
  if err then
    line = ("%s %s %s"):format(line, err.kind, text.printable(tostring(err), room))
  end
  io.stdout:write(line, "\n")
  io.stdout:flush()
end

local function ensure(p, one)
  local _, err = p:ensure_snapshot_tag(one.name, one.tag)
  if err then
    io.stderr:write("epoch: prewarm: " .. tostring(err) .. "\n") -- at once, whoever writes there, too
  end
  return err
end

--- Pulls what stdin says.
function M.run()
  local job = assert(json.decode(io.stdin:read("*a"), LARGEST_JOB))
  local task = assert(tasks.new())
  local p = puller.new_from_config({
    home = job.home, options = job.options, cocoon_binary = job.cocoon_binary, task = task,
  }, job.root_dir)
  local branches, room = {}, math.min(math.floor(PIPE / math.max(#job.names, 1)) - OTHERS, text.MAX)
  for i, one in ipairs(job.names) do
    branches[i] = function()
      report(i, ensure(p, one), room)
      return true
    end
  end
  assert(task:all(branches, job.concurrency))
  task:close()
end

return M
