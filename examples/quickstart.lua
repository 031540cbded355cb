-- What `make quickstart` shows: a snapshot is pushed into a registry of this machine's own and
-- pulled back, with the commands that one would type. cocoon is played by the stand-in of the
-- specs; everything happens in a directory that is gone afterwards.

local core = require "epoch.core"

local here = arg[0]:match("^(.*)/examples/[^/]*$") or "."
local lua = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("[%d.]+$")
local dir = os.tmpname()
os.remove(dir)
assert(core.mkdir(dir, tonumber("700", 8)))

local function quoted(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

local setting = table.concat({
  "cd " .. quoted(here),
  "export XDG_DATA_HOME=" .. quoted(dir .. "/data") .. " COCOON_ROOT_DIR=" .. quoted(dir .. "/vms"),
  'export EPOCH_COCOON_BINARY="$PWD/spec/support/cocoon"',
  "unset EPOCH_SERVER EPOCH_CONFIG EPOCH_REGISTRY_TOKEN",
}, " && ") .. " && "

local function run(command)
  local ok, _, code = os.execute(setting .. command)
  return ok == true or ok == 0, code
end

local function show(words)
  local command = ("%s epoch.lua %s"):format(lua, words)
  print("\n$ " .. command)
  io.stdout:flush()
  return run(command .. " 2>&1")
end

-- A virtual machine's snapshot, as small as they come, brought into cocoon.
local function make_snapshot()
  local writer = assert(core.tar_writer(assert(core.create(dir .. "/sample.tar"))))
  local task = assert(require("epoch.task").new())
  local disk = ("a disk of zeros and words "):rep(40000)
  for _, file in ipairs {
    { "snapshot.json", '{"version":1,"config":{"name":"hello","cpu":2,"memory":536870912}}' },
    { "config.json", '{"cpus":2}' }, { "overlay.qcow2", disk }, { "memory-ranges", disk:reverse() },
  } do
    local entry = assert(writer:entry { name = file[1], size = #file[2] })
    assert(task:flow { source = core.bytes(file[2]), sink = entry, size = #file[2] })
  end
  assert(task:await(writer, "finish"))
  task:close()
  return run("$EPOCH_COCOON_BINARY snapshot import --name=hello <" .. quoted(dir .. "/sample.tar"))
end

local function same_files()
  return run("cd " .. quoted(dir .. "/vms/snapshot/localfile") .. " && set -- * && [ $# = 2 ] && diff -r \"$1\" \"$2\"")
end

local ok = make_snapshot() and show "push hello:v1" and show "ls" and show "inspect hello:v1"
  and show "pull hello:v1 --name hello-again" and same_files()
os.execute("rm -rf " .. quoted(dir))
assert(ok, "that should have worked")
print("\nhello-again has the same files as hello. Next: lua epoch.lua help")
