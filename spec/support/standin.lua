--- The stand-in for cocoon (spec/cocoon/main.c) in specs: its root, what is in it, one run.
-- The real program is run the same way.

local core = require "epoch.core"
local await = require "epoch.await"
local json = require "epoch.json"
local lfs = require "lfs"
local work = require "spec.support.work"

local M = {}

--- What to set EPOCH_COCOON_BINARY to.
M.program = lfs.currentdir() .. "/spec/support/cocoon"

--- The real cocoon: $EPOCH_COCOON_BINARY or what is in PATH; nil when there is none.
function M.real()
  local path = os.getenv("EPOCH_COCOON_BINARY")
  if path and path ~= "" then
    return path
  end
  return (core.which("cocoon"))
end

--- The child's whole environment for a root; `extra` has more, such as COCOON_FAKE_EXIT.
function M.env(root, extra)
  local env = {
    PATH = os.getenv("PATH"), HOME = root, EPOCH_BUILD = os.getenv("EPOCH_BUILD"),
    COCOON_ROOT_DIR = root, COCOON_RUN_DIR = root .. "/run", COCOON_LOG_DIR = root .. "/log",
  }
  for name, value in pairs(extra or {}) do
    env[name] = tostring(value)
  end
  return env
end

--- Starts it; what it writes to stderr is in the result of `wait`.
---@param options { program: string?, env: table?, stdin: string?, stdout: string? }?
function M.start(loop, root, words, options)
  options = options or {}
  local argv = { options.program or M.program }
  for _, word in ipairs(words) do
    argv[#argv + 1] = word
  end
  return assert(loop:spawn {
    argv = argv, env = M.env(root, options.env), stderr = false, -- the tail is kept
    stdin = options.stdin or "pipe", stdout = options.stdout or "null",
  })
end

--- Runs it with these bytes on stdin: `{code=, signal=, stderr=}`.
function M.run(loop, root, words, input, options)
  local process = M.start(loop, root, words, options)
  await.flow(loop, { source = core.bytes(input or ""), sink = process:stdin() }) -- it may have ended
  local result = assert(await(loop, process, "wait"))
  process:close()
  return result
end

--- What it writes to stdout, and its result.
function M.output(loop, root, words, options)
  options = options or {}
  local process = M.start(loop, root, words,
    { program = options.program, env = options.env, stdin = "null", stdout = "pipe" })
  local bytes, message = work.read_all(loop, process:stdout())
  local result = assert(await(loop, process, "wait"))
  process:close()
  return bytes, result, message
end

local function entries(path)
  local list = {}
  if lfs.attributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        list[#list + 1] = name
      end
    end
  end
  table.sort(list)
  return list
end

local function database(path)
  local bytes = work.read_file(path)
  return bytes and assert(json.decode(bytes)) or {}
end

--- The records of all snapshots by name, or by id where they have no name.
function M.snapshots(root)
  local found = {}
  for id, record in pairs(database(root .. "/snapshot/db/snapshots.json").snapshots or {}) do
    found[record.name or id] = record
  end
  return found
end

--- The records of all images by name.
function M.images(root)
  return database(root .. "/cloudimg/db/images.json").images or {}
end

--- The data directories, also those that no record names.
function M.directories(root)
  return entries(root .. "/snapshot/localfile")
end

--- What failed imports of images have left behind.
function M.temporary(root)
  return entries(root .. "/cloudimg/temp")
end

--- The files of a snapshot by name: `{bytes=, mode="640"}`, holes as zeros.
function M.files(root, name)
  local record = assert(M.snapshots(root)[name], "no such snapshot")
  local found = {}
  for _, file in ipairs(entries(record.data_dir)) do
    local path = record.data_dir .. "/" .. file
    found[file] = { bytes = work.read_file(path), mode = ("%o"):format(assert(core.stat(path)).mode) }
  end
  return found
end

--- Fails, without printing bytes, when two sets of files differ.
function M.assert_same_files(expected, got)
  for name, one in pairs(expected) do
    local other = got[name] or error("no file " .. name, 2)
    if one.mode ~= other.mode then
      error(("%s has the mode %s, not %s"):format(name, other.mode, one.mode), 2)
    end
    work.assert_same_bytes(one.bytes, other.bytes)
  end
  for name in pairs(got) do
    if not expected[name] then
      error("a file too many: " .. name, 2)
    end
  end
end

return M
