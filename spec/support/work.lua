--- What specs of the core do over and over: a private directory, a loop, a flow to its end.

local core = require "epoch.core"
local await = require "epoch.await"

local M = {}

--- Runs `use(dir)` with a new directory that is gone afterwards, whatever happened.
function M.in_directory(use)
  local dir = os.tmpname()
  os.remove(dir)
  assert(core.mkdir(dir, tonumber("700", 8)))
  local ok, err = pcall(use, dir)
  os.execute("rm -rf '" .. dir .. "'")
  if not ok then
    error(err, 0)
  end
end

--- The same in memory where there is such a place: for what would else wait for the disk, thousands
-- of times.
function M.in_memory(use)
  M.in_directory(function(dir)
    local quick = "/dev/shm/epoch" .. dir:gsub("/", "-")
    if not core.mkdir(quick, tonumber("700", 8)) then
      return use(dir)
    end
    local ok, err = pcall(use, quick)
    os.execute("rm -rf '" .. quick .. "'")
    if not ok then
      error(err, 0)
    end
  end)
end

--- Runs `use(loop)` and closes the loop, whatever happened.
function M.with_loop(options, use)
  local loop = assert(core.loop(options))
  local ok, err = pcall(use, loop)
  loop:close()
  if not ok then
    error(err, 0)
  end
end

--- Moves bytes as `spec` says: the flow's result, or nil, message, code.
M.flow = await.flow

--- All bytes of a source as a string, for small ones.
function M.read_all(loop, source)
  local sink = core.collect(64 * 1024 * 1024)
  local result, message, code = M.flow(loop, { source = source, sink = sink })
  if not result then
    return nil, message, code
  end
  return sink:bytes()
end

function M.write_file(path, bytes)
  local f = assert(io.open(path, "wb"))
  assert(f:write(bytes))
  assert(f:close())
end

function M.read_file(path)
  local f = io.open(path, "rb")
  if not f then
    return nil
  end
  local bytes = f:read("*a")
  f:close()
  return bytes
end

--- The first line that a shell command prints.
function M.output(command)
  local p = assert(io.popen(command))
  local line = p:read("*l")
  p:close()
  return line
end

--- Fails without printing the bytes when two strings differ.
function M.assert_same_bytes(expected, got)
  if expected ~= got then
    error(("expected %d bytes with %s, got %s"):format(
            #expected, core.digest(expected),
            got and ("%d with %s"):format(#got, core.digest(got)) or "nil"), 2)
  end
end

--- The directory of this checkout, which is where specs run.
function M.here()
  return M.output("pwd")
end

--- Bytes that do not repeat and are the same in every run. Made in a collector and not in a
-- table, so that the hostile collector has little to walk over.
function M.noise(n)
  local sink = core.collect(n + 64)
  for i = 1, math.ceil(n / 64) do
    sink:write(core.hmac("noise", tostring(i), "sha512"))
  end
  local bytes = sink:bytes():sub(1, n)
  sink:close()
  return bytes
end

local BLOCK = 65536

--- The same, of blocks that differ only in their beginning: for megabytes, which take no time.
---@param n integer
---@param seed integer? other ones
---@return string
function M.plenty(n, seed)
  local block, list = M.noise(BLOCK - 16), {}
  for i = 1, math.ceil(n / BLOCK) do
    list[i] = ("%08d%08d"):format(seed or 0, i) .. block
  end
  return table.concat(list):sub(1, n)
end

return M
