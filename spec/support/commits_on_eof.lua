-- A stand-in for an importer that takes the end of its input for success: says so in a file.
-- Writes how much came to stdout, so that a spec can wait until it was fed.
local path = assert(arg[1])
local total = 0
io.stdout:setvbuf("no")
while true do
  local bytes = io.read(1)
  if not bytes then
    break
  end
  total = total + 1
  if total == 1 then
    io.write("fed\n")
  end
end
local f = assert(io.open(path, "w"))
assert(f:write("CLEAN EOF"))
assert(f:close())
