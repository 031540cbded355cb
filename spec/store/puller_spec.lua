local artifacts = require "spec.support.artifacts"
local children = require "spec.support.children"
local core = require "epoch.core"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local interpreter = require "spec.support.interpreter"
local json = require "epoch.json"
local paths = require "epoch.cocoon.paths"
local ports = require "epoch.ports"
local puller = require "epoch.puller"
local snapshot = require "epoch.snapshot"
local standin = require "spec.support.standin"
local support = require "spec.support.store"
local work = require "spec.support.work"

-- The golden store, with more snapshots of the same files in it: their names.
local function with_store(others, use)
  support.with_task(function(task, dir)
    generation1.store(dir .. "/home")
    local home = assert(homes.open(task, "file://" .. dir .. "/home"))
    for _, name in ipairs(others) do
      local m = assert(json.decode(golden.read("gen1/manifest.json")))
      m.name, m.snapshotId = name, "ID-" .. name
      m.layers, m.baseImages = json.array(m.layers), json.array(m.baseImages)
      assert(home:put_manifest(name, "latest", assert(json.encode(m))))
    end
    home:close()
    use(dir, { home = "file://" .. dir .. "/home" }, dir .. "/cocoon", task)
  end)
end

local function lock_of(root, name)
  assert(core.mkdir(root .. "/epoch/locks"))
  return assert(core.lock(root .. "/epoch/locks/" .. core.digest(name):match(":(.*)")))
end

local function has(root, name)
  return assert(paths.new { root_dir = root }:read_snapshot_db()).names[name] ~= nil
end

describe("a puller", function()
  it("makes sure that a snapshot is there, and asks nobody when it is", function()
    with_store({ "a" }, function(dir, config, root)
      local p = assert(puller.new_from_config(config, root))
      assert.is_true(p:ensure_snapshot_tag("g-small", "v1"))
      assert.is_true(p:ensure_snapshot("a"))
      assert.is_true(paths.new { root_dir = root }:snapshot_exists("g-small"))
      assert(core.rename(dir .. "/home", dir .. "/gone"))
      assert.is_true(p:ensure_snapshot_tag("g-small", "v1"))
      assert.is_true(p:ensure_snapshot("a"))
      local ok, err = p:ensure_snapshot("b")
      assert.is_nil(ok)
      assert.equal("not_found", err.kind)
      assert.matches("^ensure b:latest: ", tostring(err))
    end)
  end)

  it("says what cannot be, before anything is asked", function()
    with_store({}, function(_, config, root)
      local p = assert(puller.new_from_config(config, root))
      for _, name in ipairs { "../x", "", "A" } do
        assert.equal("invalid", select(2, p:ensure_snapshot(name)).kind)
      end
      assert.equal("invalid", select(2, p:ensure_snapshot_tag("a", "-")).kind)
      assert.is_nil(core.stat(root))
      work.write_file(root, "no directory")
      assert.is_nil((p:ensure_snapshot("g-small")))
      assert.equal("usage", select(2, puller.new_from_config({ home = "x://y" }, root .. "2"):list_remote()).kind)
      assert.has_error(function() puller.new_from_config({ hom = "x" }) end)
    end)
  end)

  it("lists what there is to be had", function()
    with_store({ "a", "b/c" }, function(_, config, root)
      assert.same({ "a", "b/c", "g-small" }, puller.new_from_config(config, root):list_remote())
    end)
  end)

  it("gives cocoon itself what is of the other generation", function()
    with_store({}, function(dir, config, root, task)
      local bin = dir .. "/bin"
      assert(core.mkdir(bin))
      work.write_file(bin .. "/export", golden.read("v1-small/export.tar"))
      local home = assert(homes.open(task, config.home))
      local exporter = assert(snapshot.exec_cocoon { binary = artifacts.program(bin), stderr = "null" })
      assert(snapshot.pusher { uploader = ports.uploader(home), cocoon = exporter, task = task }:push {
        name = "oci", snapshot = "vm" })
      home:close()
      config.cocoon_binary = standin.program
      local p = assert(puller.new_from_config(config, root))
      assert.is_true(p:ensure_snapshot("oci"))
      assert.equal("oci", standin.snapshots(root).oci.name)
      assert.is_true(p:ensure_snapshot("oci"))
    end)
  end)

  it("pulls once what several coroutines want", function()
    with_store({}, function(_, config, root, task)
      local opened, asked = homes.schemes.file, 0
      homes.schemes.counted = function(in_task, home)
        local real = assert(opened(in_task, (home:gsub("^counted", "file"))))
        return setmetatable({ get_blob = function(_, ...)
          asked = asked + 1
          return real:get_blob(...)
        end }, { __index = function(_, name)
          return function(_, ...) return real[name](real, ...) end
        end })
      end
      local p = assert(puller.new_from_config({ home = config.home:gsub("^file", "counted"), task = task }, root))
      local branches = {}
      for i = 1, 4 do
        branches[i] = function() return p:ensure_snapshot_tag("g-small", "v1") end
      end
      assert(task:all(branches))
      homes.schemes.counted = nil
      assert.equal(7, asked)
    end)
  end)

  it("waits for another process that pulls the same", function()
    with_store({}, function(_, config, root)
      local held = lock_of(root, "g-small")
      local p = assert(puller.new_from_config(config, root))
      local first, second = assert(p:prewarm { "g-small:v1" }), assert(p:prewarm { "g-small:v1" })
      os.execute("sleep 0.5")
      assert.is_false(has(root, "g-small"))
      assert.same({ 1, 1 }, { first:status().running, second:status().running })
      held:close()
      assert.is_true(p:ensure_snapshot_tag("g-small", "v1"))
      assert.is_true(first:wait())
      assert.is_true(second:wait())
    end)
  end)
end)

describe("prewarming", function()
  it("answers at once, and ends while its caller does nothing for it", function()
    with_store({ "a", "b" }, function(_, config, root)
      local p = assert(puller.new_from_config(config, root))
      local ended, held = {}, lock_of(root, "a")
      local began = core.now()
      local warming = assert(p:prewarm({ "g-small:v1", "a", "b", "a:latest" }, function(name, err)
        ended[#ended + 1] = name .. (err and " failed" or "")
      end))
      assert.is_true(core.now() - began < 1)
      assert.same({ 3, 0, 0 }, { warming:status().running, warming:status().done, warming:status().failed })
      held:close()
      for _ = 1, 100 do -- the interpreter waits for a shell; nothing of ours runs
        os.execute("sleep 0.1")
        if has(root, "a") and has(root, "b") and has(root, "g-small") then
          break
        end
      end
      assert.is_true(has(root, "a") and has(root, "b") and has(root, "g-small"))
      assert.same({}, ended)
      assert.is_true(warming:wait())
      table.sort(ended)
      assert.same({ "a:latest", "b:latest", "g-small:v1" }, ended)
      local status = warming:status()
      assert.same({ 0, 3, 0 }, { status.running, status.done, status.failed })
      assert.same({ name = "g-small", tag = "v1", state = "done" }, status.snapshots[1])
      assert.is_true(warming:wait())
    end)
  end)

  it("pulls several at a time, so many as are wished", function()
    with_store({ "a", "b" }, function(_, config, root)
      for several, comes in pairs { [2] = true, [1] = false } do
        config.concurrency = several
        local own = root .. several
        local held = lock_of(own, "a")
        local p = assert(puller.new_from_config(config, own))
        local warming = assert(p:prewarm { "a", "b" })
        assert.equal(comes, children.eventually(function() return has(own, "b") end, comes and 10 or 1))
        held:close()
        assert.is_true(warming:wait())
      end
    end)
  end)

  -- What it says goes where its caller's words go: a caller of its own, to hear them.
  local function say(script)
    local pipe = assert(io.popen(("%s env -u LUA_INIT %s -e '%s' 2>&1"):format(
      interpreter.preloaded() ~= "" and "env " .. interpreter.preloaded() or "", interpreter.path(),
      (interpreter.paths() .. script):gsub("'", "'\\''"))))
    local out = pipe:read("*a")
    pipe:close()
    return out
  end

  it("says what fails, which harms no other", function()
    with_store({ "a", "broken" }, function(dir, config, root)
      local m = work.read_file(dir .. "/home/manifests/broken/latest.json")
      work.write_file(dir .. "/home/manifests/broken/latest.json", (m:gsub("ID%-broken", "../x")))
      local out = say(([[
        local p = require("epoch.puller").new_from_config({ home = %q }, %q)
        local warming = p:prewarm({ "none", "broken", "a" }, function(name, err) print(name, err and err.kind) end)
        local ok, err = warming:wait()
        print(ok, err.kind, err)
        print(warming:status().done, warming:status().failed, warming:status().snapshots[1].state)
      ]]):format(config.home, root))
      assert.matches("epoch: prewarm: ensure none:latest: [^\n]*\n", out)
      assert.matches("epoch: prewarm: ensure broken:latest: manifest broken:latest: the snapshot id", out)
      assert.matches("none:latest\tnot_found\n", out)
      assert.matches("broken:latest\tinvalid\n", out)
      assert.matches("a:latest\tnil\n", out)
      assert.matches("nil\tnot_found\t2 of 3 snapshots could not be pulled; the first because: ensure none", out)
      assert.matches("1\t2\tfailed\n", out)
      assert.is_true(has(root, "a"))
    end)
  end)

  it("waits for nobody to hear of a thousand failures", function()
    with_store({}, function(_, config, root)
      local out = say(([[
        local names, heard = {}, 0
        for i = 1, 1000 do
          names[i] = ("x"):rep(200) .. ("%%04d"):format(i)
        end
        local p = require("epoch.puller").new_from_config({ home = %q }, %q)
        local warming = p:prewarm(names)
        local pid, lines = warming.process:pid(), warming.lines
        repeat
          os.execute("sleep 0.2")
          local stat = io.open("/proc/" .. pid .. "/stat")
          local state = stat and stat:read("*a"):match("%%) (%%a)")
          if stat then stat:close() end
        until not state or state == "Z"
        warming.lines = {
          read = function(_, n)
            local piece, message, code = lines:read(n)
            heard = heard + #(piece or "")
            return piece, message, code
          end,
          arm = function(_, loop) lines:arm(loop) end, close = function() lines:close() end,
        }
        print(warming:wait())
        local last = warming:status().snapshots[1000]
        print(last.state, last.err.kind, heard > 20000 and heard <= 65536)
      ]]):format(config.home, root))
      assert.matches("1000 of 1000 snapshots could not be pulled", out)
      assert.matches("failed\tnot_found\ttrue\n$", out)
    end)
  end)

  it("is stopped when that is wished, and with its puller", function()
    with_store({ "a" }, function(_, config, root)
      local held = lock_of(root, "a")
      local p = assert(puller.new_from_config(config, root))
      local warming = assert(p:prewarm { "g-small:v1", "a" })
      assert.is_true(children.eventually(function() return warming:status().done == 1 end, 10))
      warming:stop()
      local status = warming:status()
      assert.same({ 0, 1, 1 }, { status.running, status.done, status.failed })
      assert.equal("process", status.snapshots[2].err.kind)
      assert.is_nil((warming:wait()))
      warming = assert(p:prewarm { "a" })
      local pid = warming.process:pid()
      warming, p = nil, nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.is_true(children.gone(pid))
      held:close()
      assert.is_false(has(root, "a"))
    end)
  end)

  it("goes on when its handle is thrown away", function()
    with_store({ "a" }, function(_, config, root)
      local held = lock_of(root, "a")
      local p = assert(puller.new_from_config(config, root))
      assert(p:prewarm { "a" })
      collectgarbage()
      collectgarbage()
      held:close()
      assert.is_true(children.eventually(function() return has(root, "a") end, 10))
      for handle in pairs(p.running) do
        assert.is_true(handle:wait())
      end
      assert.is_nil(next(p.running))
    end)
  end)

  it("of what is no name says so, and pulls the others", function()
    with_store({ "a" }, function(dir, config, root)
      local out = say(([[
        local names = { "A", "", "a:-", "registry.example/a", "a@sha256:" .. ("a"):rep(64), "../../x", "\255\0", "a" }
        local p = require("epoch.puller").new_from_config({ home = %q }, %q)
        local warming = assert(p:prewarm(names, function(name, err) print(name, err and err.kind) end))
        warming:wait()
        print(warming:status().done, warming:status().failed)
      ]]):format(config.home, root))
      for _, name in ipairs { "A:latest", ":latest", "a:%-:latest", "%.%./%.%./x:latest" } do
        assert.matches("\n" .. name .. "\tinvalid\n", "\n" .. out)
      end
      assert.matches('epoch: prewarm: [^\n]*"A"', out)
      assert.matches("a:latest\tnil\n", out)
      assert.matches("1\t7\n$", out)
      assert.is_true(has(root, "a"))
      assert.is_nil(core.stat(dir .. "/x"))
    end)
  end)

  it("of nothing starts nothing that lasts", function()
    with_store({}, function(_, config, root)
      local p = assert(puller.new_from_config(config, root))
      assert.is_true(assert(p:prewarm {}):wait())
      assert.has_error(function() p:prewarm { 7 } end)
      assert.has_error(function() p:prewarm("a") end)
      config.interpreter = "/none/lua"
      local handle, err = puller.new_from_config(config, root):prewarm { "a" }
      assert.is_nil(handle)
      assert.equal("process", err.kind)
      assert.matches("/none/lua", tostring(err))
      config.interpreter, config.options = nil, { credentials = function() end }
      assert.has_error(function() puller.new_from_config(config, root):prewarm { "a" } end)
    end)
  end)

  it("stays what it was when who is told of it raises", function()
    with_store({ "a", "b" }, function(_, config, root)
      local heard = {}
      local p = assert(puller.new_from_config(config, root))
      local warming = assert(p:prewarm({ "a", "b", "g-small:v1" }, function(name)
        heard[#heard + 1] = name
        error("told " .. #heard, 0)
      end))
      assert.is_true(children.eventually(function()
        return has(root, "a") and has(root, "b") and has(root, "g-small")
      end, 10))
      for i = 1, 3 do
        assert.error_matches(function() warming:wait() end, "told " .. i)
      end
      assert.is_true(warming:wait())
      assert.equal(3, warming:status().done)
      table.sort(heard)
      assert.same({ "a:latest", "b:latest", "g-small:v1" }, heard)
    end)
  end)

  it("that loses its process says so", function()
    with_store({ "a" }, function(dir, config, root)
      work.write_file(dir .. "/lua", "#!/bin/sh\nexit 9\n")
      os.execute("chmod +x " .. dir .. "/lua")
      config.interpreter = dir .. "/lua"
      local warming, err = puller.new_from_config(config, root):prewarm { "a" }
      if warming then -- it may be gone before it was told anything
        local ok
        ok, err = warming:wait()
        assert.is_nil(ok)
        assert.matches("exit code 9", tostring(err))
      end
      assert.truthy(err)
    end)
  end)
end)
