--- Two processes that change one catalog at the same time, and are told now and then that the
-- other one was quicker: nothing of either is lost. EPOCH_RACES: how often, 1.
local catalog = require "epoch.catalog"
local children = require "spec.support.children"
local directory = require "epoch.objectstore.directory"
local radosgw = require "spec.support.radosgw"
local s3 = require "epoch.objectstore.s3"
local support = require "spec.support.store"
local work = require "spec.support.work"

local RACES = tonumber(os.getenv("EPOCH_RACES") or 1)
local REPOSITORIES = 50

-- Opens the home, says that it is ready, waits for the word, and pushes.
local RACER = [[
  local errors = require "epoch.errors"
  local who, home_name, repositories = arg[1], arg[2], tonumber(arg[3])
  local home = assert(require("epoch.locate").open_home(require("epoch.task").new(), home_name))
  local put, conditional = home.store.put, 0
  function home.store:put(key, size, body, given)
    if given and (given.if_match or given.if_none_match) then
      conditional = conditional + 1
      if conditional % 5 == 0 then
        return errors.fail("conflict", "as if the other one was quicker")
      end
    end
    return put(self, key, size, body, given)
  end
  io.stdout:write("ready\n") io.stdout:flush()
  assert(io.stdin:read("*l") == "go")
  for i = 1, repositories do
    assert(home:put_manifest(("%s%02d"):format(who, i), "v1", '{"schemaVersion":2,"layers":[]}'))
  end
]]

local function racer(task, script, who, home, env)
  local list = { "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath }
  for name, value in pairs(env) do
    list[#list + 1] = name .. "=" .. value
  end
  local child = assert(task.loop:spawn {
    argv = { children.lua, script, who, home, tostring(REPOSITORIES) }, env = list, stdin = "pipe", stdout = "pipe",
  })
  local out = child:stdout()
  assert.equal("ready\n", task:await(out, "read", 100))
  out:close()
  return child
end

-- Both of them, from one barrier to their ends; then the catalog must have everything.
local function race(task, dir, home, env, store)
  local script, racers = dir .. "/racer.lua", {}
  work.write_file(script, RACER)
  for i, who in ipairs { "left", "right" } do
    racers[i] = racer(task, script, who, home, env)
  end
  for _, child in ipairs(racers) do
    local into = child:stdin()
    assert(task:await(into, "write", "go\n"))
    assert(task:await(into, "finish"))
  end
  for _, child in ipairs(racers) do
    local exit = assert(task:await(child, "wait"))
    child:close()
    assert.equal(0, exit.code, exit.stderr)
  end
  local listed = assert(catalog.parse((assert(store:read("catalog.json", 1024 * 1024))))).repositories
  for i = 1, REPOSITORIES do
    for _, who in ipairs { "left", "right" } do
      local name = ("%s%02d"):format(who, i)
      assert.same({ v1 = "manifests/" .. name .. "/v1.json" }, (listed[name] or {}).tags, name)
    end
  end
end

describe("two processes that push at the same time lose nothing", function()
  local gateway

  setup(function()
    gateway = not radosgw.missing() and radosgw.start() or nil
  end)

  teardown(function()
    if gateway then
      gateway:stop()
    end
  end)

  it("in a directory", function()
    for _ = 1, RACES do
      support.with_task(function(task, dir)
        race(task, dir, "file://" .. dir .. "/s", {}, directory.open(task, dir .. "/s"))
      end)
    end
  end)

  it("in a bucket", function()
    if not gateway then
      return pending(radosgw.missing())
    end
    for _ = 1, RACES do
      support.with_task(function(task, dir)
        local given = gateway:options { bucket = gateway:bucket(), prefix = "epoch" }
        race(task, dir, "s3://" .. given.bucket, {
          EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_ACCESS_KEY = given.access_key,
          EPOCH_S3_SECRET_KEY = given.secret_key,
        }, assert(s3.open(task, given)))
      end)
    end
  end)
end)
