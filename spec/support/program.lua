--- The program as a person runs it, under the Lua that runs the specs.

local await = require "epoch.await"
local core = require "epoch.core"
local work = require "spec.support.work"

local M = {}

local VM = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("[%d.]+$")
local LIMIT = 60 -- seconds after which a run is taken to hang

-- Only what a run needs and what the spec says: nothing of the caller's homes and secrets.
local function environment(given)
  local env = { PATH = os.getenv("PATH"), EPOCH_BUILD = os.getenv("EPOCH_BUILD"), LC_ALL = "C.UTF-8" }
  for name, value in pairs(given or {}) do
    env[name] = value
  end
  return env
end

--- Starts it.
---@param loop userdata
---@param words string[]
---@param env table<string, string>?
---@param options { stdin: string?, stdout: string? }? of loop:spawn
function M.start(loop, words, env, options)
  local argv = { assert(core.which(VM)), "epoch.lua" }
  for _, word in ipairs(words) do
    argv[#argv + 1] = word
  end
  options = options or {}
  return assert(loop:spawn {
    argv = argv, env = environment(env), stdin = options.stdin or "null",
    stdout = options.stdout or "pipe", stderr = false,
  })
end

--- Waits for its end, for so long.
function M.wait(loop, process)
  local timer = loop:timer(LIMIT)
  local wait = await.by(function()
    if timer:wait() then
      process:kill("KILL")
      error("the program hangs", 0)
    end
    return loop:poll(1)
  end)
  local result = assert(wait(loop, process, "wait"))
  timer:close()
  process:close()
  return result
end

--- Runs it to its end: what it wrote to stdout and to stderr (its last few KiB), and its exit
-- code (128 and the number, for a signal that ended it).
---@param words string[]
---@param env table<string, string>?
---@return { out: string, err: string, code: integer, last: string }
function M.run(words, env)
  local result
  work.with_loop(nil, function(loop)
    local process = M.start(loop, words, env)
    local out = assert(work.read_all(loop, process:stdout()))
    local ended = M.wait(loop, process)
    result = { out = out, err = ended.stderr, code = ended.code or 128 + ended.number,
               last = ended.stderr:match("([^\n]*)\n?$") }
  end)
  return result
end

return M
