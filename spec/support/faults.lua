--- One fault a run: the program as people start it, between a registry that goes wrong where
-- it is told to (faulty_registry.lua) and the stand-in for cocoon. Afterwards the same must
-- hold whatever the fault was: the exit code, nothing half done, nobody left, and the same
-- command works when nothing goes wrong.
--
-- Many runs are on their way at once, each with a repository, a name and a log of its own.
-- What is wrong is collected and not raised: one failure does not hide the others. Cases that
-- take long come first.

local artifacts = require "spec.support.artifacts"
local client = require "epoch.client"
local core = require "epoch.core"
local json = require "epoch.json"
local lfs = require "lfs"
local media = require "epoch.media"
local registries = require "spec.support.faulty_registry"
local standin = require "spec.support.standin"
local tar = require "spec.support.tar"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local unpack = table.unpack or unpack -- luacheck: ignore 113 143

local M = {}

local VM = type(jit) == "table" and "luajit" or _VERSION == "Lua 5.1" and "lua5.1" or "lua5.4"
-- So many programs run at once. Instrumented ones are slow to start: signals would come too late.
local AT_ONCE = (os.getenv("EPOCH_BUILD") or "build") == "build" and 16 or 4
local LIMIT = 60 -- seconds that a run may take

local SPARSE = tar.pax { { "COCOON.sparse.map", '[{"o":4096,"l":5000}]' }, { "COCOON.sparse.size", "40960" } }

local Faults = {}
Faults.__index = Faults

local function snapshot()
  return table.concat {
    tar.file("snapshot.json", '{"version":1,"config":{"id":"0123456789abcdef","name":"vm","cpu":2}}'),
    SPARSE, tar.file("cow.raw", work.noise(5000)),
    tar.file("memory-ranges", work.noise(300001)),
    tar.file("state.json", work.noise(1024)), -- ends at a block: its end may be taken for the archive's
    tar.trailer,
  }
end

--- A run of the program, with a root for the stand-in, more environment, a limit on the size
--- of files (in blocks of 512 bytes); `meanwhile(process)` is called once it has been started.
---@param words string[]
---@param how { root: string?, env: table?, limit: integer?, meanwhile: function? }?
---@return { code: integer?, signal: string?, stderr: string }
function Faults:run(words, how)
  how = how or {}
  local argv = { assert(core.which(VM)), "epoch.lua", "-q" }
  for _, word in ipairs(words) do
    argv[#argv + 1] = word
  end
  if how.limit then
    argv = { "/bin/sh", "-c", 'trap "" XFSZ; ulimit -f "$0"; exec "$@"', tostring(how.limit), unpack(argv) }
  end
  local env = { EPOCH_COCOON_BINARY = standin.program, EPOCH_SERVER = self.registry.url,
                EPOCH_CONFIG = self.root .. "/config.lua", SOURCE_DATE_EPOCH = "1800000000" }
  for name, value in pairs(how.env or {}) do
    env[name] = value
  end
  local process = assert(self.task.loop:spawn {
    argv = argv, env = standin.env(how.root or self.root, env), stdin = "null", stdout = "null", stderr = false,
  })
  if how.meanwhile then
    how.meanwhile(process)
  end
  local result = assert(self.task:await(process, "wait"))
  process:close()
  return result
end

--- Waits, beside the other runs, until `ready` says so.
function Faults:until_(ready)
  local deadline = core.now() + LIMIT
  while not ready() do
    assert(core.now() < deadline, "what was waited for does not come")
    assert(self.task:sleep(0.03))
  end
end

local function alive(pid)
  local stat = work.read_file("/proc/" .. pid .. "/stat")
  return stat ~= nil and not stat:find("%) [ZX] ")
end

-- The children that a log speaks of and that are still there.
local function survivors(log)
  local left = {}
  for pid in (work.read_file(log) or ""):gmatch("started (%d+)") do
    if alive(pid) then
      left[#left + 1] = pid
    end
  end
  return left
end

local function last_line(s)
  return s:match("([^\n]*)\n?$")
end

local function interrupt(self, case, repo, log)
  return function(process)
    self:until_(function()
      if case.seen then
        return (work.read_file(log) or ""):find(case.seen, 1, true)
      end
      return self.registry:state(repo).held
    end)
    assert(process:kill(case.signal))
  end
end

-- What is wrong when it has ended, apart from what only one direction knows.
local function look(self, case, repo, log, result, wrong)
  local state, said = self.registry:state(repo, case.on), last_line(result.stderr)
  if result.code ~= case.code then
    wrong("exit code %s (%s), not %d: %s", tostring(result.code), tostring(result.signal), case.code, said)
  end
  if case.says and not said:find(case.says) then
    wrong("it does not say %q: %s", case.says, said)
  end
  if state.left > 0 and not case.more then
    wrong("the fault did not come up")
  end
  if state.open > 0 then
    wrong("%d upload sessions are open", state.open)
  end
  for _, pid in ipairs(survivors(log)) do
    wrong("cocoon is still there: %s", pid)
  end
end

-- One case: what is wrong after it, as sentences.
local function try(self, case, direction)
  self.n = self.n + 1
  local id = ("%s%d"):format(direction.name, self.n)
  local repo, root = direction.repositories .. id, direction.root(self, id)
  local log = ("%s/%s.log"):format(self.root, id)
  local words, problems = direction.words(repo, id, self), {}
  local function wrong(format, ...)
    problems[#problems + 1] = ("%s: " .. format):format(case.name, ...)
  end
  local env = { COCOON_FAKE_LOG = log }
  for name, value in pairs(case.env or {}) do
    env[name] = value
  end
  if case.on then
    self.registry:plan(repo, case.on, case.steps)
  end
  local result = self:run(words, {
    root = root, env = env, limit = case.limit, meanwhile = case.signal and interrupt(self, case, repo, log),
  })
  look(self, case, repo, log, result, wrong)
  direction.check(self, id, repo, case, wrong)
  if case.code ~= 0 then
    self.registry:drop(repo, case.on)
    local again = self:run(words, { root = root })
    if again.code ~= 0 then
      wrong("a second run fails: %s", last_line(again.stderr))
    end
    direction.check(self, id, repo, { code = 0 }, wrong)
  end
  return problems
end

local PULL = { name = "pull", repositories = "copies/" }

function PULL.root(self, id)
  return self.root .. "/" .. id
end

function PULL.words(repo, id)
  return { "pull", repo .. ":v1", "--name", id }
end

function PULL.check(self, id, _, case, wrong)
  local root = PULL.root(self, id)
  local is_there = standin.snapshots(root)[id] ~= nil
  if is_there ~= (case.code == 0) then
    wrong(is_there and "the snapshot is there" or "the snapshot is not there")
  elseif is_there then
    local ok, why = pcall(standin.assert_same_files, self.files, standin.files(root, id))
    if not ok then
      wrong("%s", why)
    end
  elseif #standin.directories(root) > 0 and not case.killed then
    wrong("a directory is left")
  end
end

local IMAGE = { name = "image", repositories = "copies/", root = PULL.root }

function IMAGE.words(repo, id)
  return { "pull", repo .. ":image", "--name", id }
end

function IMAGE.check(self, id, _, case, wrong)
  local root = IMAGE.root(self, id)
  local record = standin.images(root)[id]
  if (record ~= nil) ~= (case.code == 0) then
    wrong(record and "the image is there" or "the image is not there")
  elseif record and record.content_sum ~= core.digest(self.disk) then
    wrong("the image is another one")
  elseif not record and next(standin.images(root)) then
    wrong("another image is there")
  end
end

local GET = { name = "get", repositories = "copies/", root = PULL.root }

function GET.words(repo, id, self)
  return { "get", repo .. ":image", "-o", self.root .. "/out/" .. id }
end

function GET.check(self, id, _, case, wrong)
  local bytes = work.read_file(self.root .. "/out/" .. id)
  if (bytes ~= nil) ~= (case.code == 0) then
    wrong(bytes and "the file is there" or "the file is not there")
  elseif bytes and bytes ~= self.disk then
    wrong("the file is another one")
  end
end

local PUSH = { name = "push", repositories = "fresh/" }

function PUSH.root(self)
  return self.root
end

function PUSH.words(repo)
  return { "push", "vm", repo .. ":v1" }
end

function PUSH.check(self, _, repo, case, wrong)
  local is_there = self.registry:state(repo).tagged
  if is_there ~= (case.code == 0) then
    wrong(is_there and "the manifest is there" or "the manifest is not there")
  end
end

local function names_in(dir)
  local found = {}
  for name in lfs.dir(dir) do
    if name ~= "." and name ~= ".." then
      found[#found + 1] = name
    end
  end
  return found
end

-- Answers what is wrong after all cases: {name=, code=, on=, steps=, env=, signal=, …} each.
local function each(self, cases, direction)
  local functions, problems = {}, {}
  for i, case in ipairs(cases) do
    functions[i] = function()
      for _, problem in ipairs(try(self, case, direction)) do
        problems[#problems + 1] = problem
      end
      return true
    end
  end
  assert(self.task:all(functions, AT_ONCE))
  for _, name in ipairs(names_in(self.root .. "/spool")) do
    problems[#problems + 1] = "left in the spool directory: " .. name
  end
  for _, name in ipairs(names_in(self.root .. "/out")) do
    if not name:find("^get%d+$") then
      problems[#problems + 1] = "left beside a file: " .. name
    end
  end
  for _, uri in ipairs(self.registry:leaks()) do
    problems[#problems + 1] = "credentials went to another host: " .. uri
  end
  table.sort(problems)
  return problems
end

---@class spec.Fault
---@field name string for messages
---@field code integer the exit code that is expected
---@field says string? a pattern of the last line on stderr
---@field on string? the request that goes wrong,
---@field steps string? and how: see faulty_registry.lua
---@field more boolean? not all steps are needed
---@field env table<string, string>? for the program: what the stand-in does wrong
---@field limit integer? on the size of files, in blocks of 512 bytes
---@field killed boolean? the child had no chance to clean up
---@field signal string? sent when the request is held, or
---@field seen string? when the stand-in's log has this

--- Pulls vms/demo once for each case.
---@param cases spec.Fault[]
---@return string[] problems
function Faults:pull(cases)
  return each(self, cases, PULL)
end

--- Pulls the cloud image of vms/demo once for each case.
---@param cases spec.Fault[]
---@return string[] problems
function Faults:pull_image(cases)
  return each(self, cases, IMAGE)
end

--- Writes that image into a file once for each case.
---@param cases spec.Fault[]
---@return string[] problems
function Faults:get(cases)
  return each(self, cases, GET)
end

--- Pushes the snapshot vm once for each case.
---@param cases spec.Fault[]
---@return string[] problems
function Faults:push(cases)
  return each(self, cases, PUSH)
end

--- Places in the stream of the snapshot, as numbers of bytes.
function Faults:places()
  local reader = core.tar_reader(core.bytes(self.export), { sparse = tar.SPARSE })
  local places, last, entry = { ["before the first byte"] = 0, ["in a header"] = 100 }, 0, reader:next()
  while entry do
    local at = reader:offset()
    if entry.name == "memory-ranges" then
      places["between entries"] = last
      places["in an entry"] = at + math.floor(entry.size / 2)
    end
    last = at + math.ceil(entry.size / 512) * 512
    assert(tar.skip(reader))
    entry = reader:next()
  end
  reader:close()
  places["after the last entry"], places["after the end"] = last, #self.export
  return places
end

-- A disk in two parts, put into vms/demo under a tag of its own.
local function prepare_image(self)
  local home = assert(client.new(self.task, { url = self.registry.url, docker_config = false, proxy = "" }))
  local store = artifacts.store(self.task)
  self.disk = "QFI\251" .. work.noise(400000)
  local bytes, layers = artifacts.image(store, "vms/demo:image", {
    { "disk.1", self.disk:sub(1, 300000) }, { "disk.2", self.disk:sub(300001) },
  })
  for digest, blob in pairs(store.blobs) do
    assert(home:put_blob("vms/demo", digest, #blob, core.bytes(blob)))
  end
  assert(home:put_manifest("vms/demo", "image", bytes, media.OCI_MANIFEST))
  self.parts = { layers[1].digest, layers[2].digest }
end

local function prepare(self)
  local loop = self.task.loop
  assert(core.mkdir(self.root .. "/spool"))
  assert(core.mkdir(self.root .. "/out"))
  work.write_file(self.root .. "/config.lua", ("spool_dir = %q\n"):format(self.root .. "/spool"))
  local made = standin.run(loop, self.root, { "snapshot", "import", "--name=vm" }, snapshot())
  assert(made.code == 0, made.stderr)
  self.files = standin.files(self.root, "vm")
  self.export = assert(standin.output(loop, self.root, { "snapshot", "export", "-o", "-", "--", "vm" }))
  local pushed = self:run { "push", "vm", "vms/demo:v1" }
  assert(pushed.code == 0, pushed.stderr)
  local m = assert(json.decode(self.registry:manifest()))
  self.config, self.blobs = m.config.digest, { m.config.digest }
  for i, layer in ipairs(m.layers) do
    self.blobs[i + 1] = layer.digest
  end
  prepare_image(self)
end

--- Starts all of it: `blobs` are the digests of vms/demo, the first one that of its config;
--- `export` is what the stand-in exports; `parts` are the digests of the image's.
function M.start()
  local root = os.tmpname()
  os.remove(root)
  assert(core.mkdir(root, tonumber("700", 8)))
  local self = setmetatable({ root = root, n = 0, registry = registries.start(), task = assert(tasks.new()) }, Faults)
  local ok, err = pcall(prepare, self)
  if not ok then
    self:stop()
    error(err, 0)
  end
  return self
end

function Faults:stop()
  self.task:close()
  self.registry:stop()
  os.execute("rm -rf '" .. self.root .. "'")
end

return M
