--- Migrations of a store of generation 1 that stands in a bucket, for specs: the store, a process
--- that migrates and is killed at a point that is counted, and what must hold of the other side.

local children = require "spec.support.children"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local manifest = require "epoch.manifest"
local support = require "spec.support.store"
local work = require "spec.support.work"

local M = {}

--- An image of that generation: parts by name.
---@param home table a registry in a store
---@param name string
---@param parts string[][] { title, bytes }
function M.put_image(home, name, parts)
  local layers = {}
  for i, part in ipairs(parts) do
    local digest = core.digest(part[2])
    assert(home:put_blob(name, digest, #part[2], part[2]))
    layers[i] = { title = part[1], digest = digest, size = #part[2] }
  end
  assert(home:put_manifest(name, "latest", assert(manifest.v1.build {
    name = name, tag = "latest", snapshot_id = "", layers = layers,
    created_at = "2026-03-01T00:00:00Z", pushed_at = "2026-03-01T00:00:00Z",
  })))
end

--- Puts the golden store of generation 1 into a store, with a second tag and an image.
---@param home table
---@param dir string for its files meanwhile
function M.fill(home, dir)
  local at = dir .. "/golden"
  assert(core.mkdir(at))
  work.write_file(dir .. "/objects.tar", golden.read("gen1/objects.tar"))
  os.execute(("tar -xf '%s/objects.tar' -C '%s'"):format(dir, at))
  for _, key in ipairs(support.files(at)) do
    local path = at .. "/" .. key
    assert(home.store:put(key, assert(core.stat(path)).size, function() return core.file(path) end))
  end
  local second = golden.read("gen1/manifest.json"):gsub('"v1"', '"v2"'):gsub("T05:16:18", "T06:16:18")
  assert(home:put_manifest("g-small", "v2", second))
  M.put_image(home, "win11", { { "d.raw.part.2", "world" }, { "d.raw.part.1", "hello " } })
end

-- A point is where a home or its store is called, where such a call returns, and each event.
local SCRIPT = [[
local from, to, at = arg[1], arg[2], tonumber(arg[3])
local task = assert(require "epoch.task".new())
local locate, migrate = require "epoch.locate", require "epoch.migrate"
local points = 0

local function point()
  points = points + 1
  if points == at then
    local stat = io.open("/proc/self/stat")
    os.execute("kill -9 " .. stat:read("*n"))
  end
end

local function passed(...)
  point()
  return ...
end

local function counted(object)
  for name, method in pairs(getmetatable(object).__index) do
    if type(method) == "function" and name ~= "describe" then
      object[name] = function(...)
        point()
        return passed(method(...))
      end
    end
  end
  return object
end

local homes = {}
for i, name in ipairs { from, to } do
  homes[i] = counted(assert(locate.open_home(task, name)))
  if homes[i].store then
    counted(homes[i].store)
  end
end
assert(migrate.migrate(task, { from = homes[1], to = homes[2], on_event = point }))
print(points)
task:close()
]]

--- Migrates in a process of its own, which is killed at point `at` (0: never): whether it was, and
--- how many points there were where it was not.
---@param task epoch.task
---@param dir string
---@param given { from: string, to: string, at: integer, env: table<string, string> }
---@return boolean killed
---@return integer? points
function M.run(task, dir, given)
  local path = dir .. "/migrate.lua"
  work.write_file(path, SCRIPT)
  local env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, PATH = os.getenv("PATH") }
  for name, value in pairs(given.env) do
    env[name] = value
  end
  local process = assert(task.loop:spawn {
    argv = { children.lua, path, given.from, given.to, tostring(given.at) }, env = env, stdout = "pipe",
  })
  local out = assert(work.read_all(task.loop, process:stdout()))
  local result = assert(task:await(process, "wait"))
  process:close()
  if result.signal ~= "KILL" and result.code ~= 0 then
    error(("the migration ended with %s: %s"):format(tostring(result.code), result.stderr), 0)
  end
  return result.signal == "KILL", tonumber(out)
end

-- Every blob of a manifest is there, and is what it is called.
local function check_blobs(task, home, name, bytes)
  for digest in bytes:gmatch('"digest":"(sha256:%x+)"') do
    local source, size = home:get_blob(name, digest)
    assert(source, size)
    assert(task:flow { source = source, size = size, digest = digest, what = name })
  end
end

--- The digest of everything that has a tag, by "NAME:TAG"; each is whole, or it would not have one.
---@param task epoch.task
---@param home table
---@param names string[] those to look for
---@return table<string, string>
function M.tagged(task, home, names)
  local found = {}
  for _, name in ipairs(names) do
    for _, tag in ipairs(home:tags(name) or {}) do
      local m = assert(home:get_manifest(name, tag))
      check_blobs(task, home, name, m.bytes)
      found[name .. ":" .. tag] = m.digest
    end
  end
  return found
end

return M
