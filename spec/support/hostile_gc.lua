--- The collector at its most hostile: a new cycle begins as soon as one ends, and every few
-- hundred instructions a whole one runs. What the core holds only by a Lua value that is no
-- longer on a stack is gone by the next line. `make gchostile`, or EPOCH_HOSTILE_GC=1.

local is_jit = type(jit) == "table" -- whose whole cycles take several times as long
local EVERY = tonumber(os.getenv("EPOCH_GC_EVERY")) or (is_jit and 5000 or 1000)

if is_jit then
  jit.off() -- compiled code runs no hooks
end
collectgarbage("setpause", 0)
collectgarbage("setstepmul", 1000)

local function collect()
  collectgarbage()
end

-- A hook belongs to one coroutine in Lua 5.4; new ones inherit it from who made them.
debug.sethook(collect, "", EVERY)
