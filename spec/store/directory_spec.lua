local core = require "epoch.core"
local behaviour = require "spec.support.store_behaviour"
local children = require "spec.support.children"
local directory = require "epoch.objectstore.directory"
local objectstore = require "epoch.objectstore"
local store_support = require "spec.support.store"
local work = require "spec.support.work"

local with_task, files = store_support.with_task, store_support.files

local function with_store(use)
  with_task(function(task, dir)
    local store = directory.open(task, dir .. "/s")
    use(store, dir .. "/s", task)
    store:close()
  end)
end

local kind, names = behaviour.kind, behaviour.names

describe("a directory as a store", function()
  behaviour.describe(with_store)

  it("is not made, nor looked into, for what is no key or not there", function()
    with_store(function(store, dir)
      for _, key in ipairs(behaviour.BAD_KEYS) do
        kind("invalid", store:head(key))
        kind("invalid", store:put(key, 1, "x"))
      end
      kind("not_found", store:head("a/b"))
      assert.is_true(store:delete("a/b"))
      assert.same({ keys = {}, prefixes = {}, more = false }, store:list(""))
      assert.equal("not_found", select(3, core.stat(dir)))
    end)
  end)

  it("has a file for each object, for all to read, and nothing else", function()
    with_store(function(store, dir)
      assert(store:put("a/b", 1, "x"))
      assert.equal("644", work.output(("stat -c %%a '%s/a/b'"):format(dir)))
      assert.equal("755", work.output(("stat -c %%a '%s/a'"):format(dir)))
      kind("digest_mismatch", store:put("a/c", 3, "abc", { digest = core.digest("abd") }))
      kind("conflict", store:put("a/b", 1, "y", { if_none_match = "*" }))
      assert.same({ "a/b" }, files(dir))
      assert.is_true(store:delete("a/b"))
      assert.same({}, files(dir))
    end)
  end)

  it("is found by name beside the other kind", function()
    local stores = require("epoch").objectstore
    assert.equal(objectstore, stores)
    assert.equal(directory, stores.directory)
    assert.equal(require "epoch.objectstore.s3", stores.s3)
    assert.is_nil(stores.tape)
  end)

  it("may be in the root of the file system, where one may write there", function()
    with_task(function(task)
      local store = directory.open(task, "/")
      local key = "epoch-spec-" .. tostring(store):match("%x+$")
      local etag, err = store:put(key, 1, "x")
      if etag then
        assert.is_true(store:delete(key))
      else
        kind("denied", etag, err)
      end
      store:close()
    end)
  end)

  it("says that a file is in the way", function()
    with_store(function(store, dir)
      assert(store:put("k", 1, "x"))
      work.write_file(dir .. "/plain", "")
      kind("exists", store:put("plain/x", 3, core.bytes("abc")))
      assert.same({ "k", "plain" }, files(dir))
    end)
  end)

  it("knows an object as a file and nothing else", function()
    with_store(function(store, dir)
      assert(store:put("d/k", 1, "x"))
      os.execute(("ln -s k '%s/d/link'; mkfifo '%s/d/pipe'"):format(dir, dir))
      kind("not_found", store:head("d"))
      kind("not_found", store:get("d/link"))
      kind("not_found", store:get("d/pipe"))
      kind("not_found", store:get("d/k/below"))
      assert.is_true(store:delete("d"))
      assert(store:put("d/link", 1, "y")) -- takes the link's place, not its target's
      assert.equal("x", (store:read("d/k", 1)))
    end)
  end)

  it("waits for a process that has the lock before it puts under conditions", function()
    with_store(function(store, dir)
      local etag = assert(store:put("k", 1, "a", { if_none_match = "*" }))
      local shard = core.digest("k"):match(":(..)")
      local lock = assert(core.lock(dir .. "/.locks/" .. shard))
      local free_at = core.now() + 0.2
      local done = assert(store.task:all {
        function()
          local ok = store:put("k", 1, "b", { if_match = etag })
          return ok and core.now()
        end,
        function()
          store.task:sleep(0.2)
          lock:close()
          return true
        end,
      })
      assert.is_true(done[1] >= free_at - 0.01)
      assert.equal("b", (store:read("k", 1)))
    end)
  end)

  it("lists no leftovers and nothing empty", function()
    with_store(function(store, dir)
      behaviour.fill(store)
      assert(store:put("gone/x/y", 1, "x"))
      assert.is_true(store:delete("gone/x/y"))
      work.write_file(dir .. "/.epoch-0123456789abcdef", "half")
      work.write_file(dir .. "/a/.epoch-0123456789abcdef", "half")
      work.write_file(dir .. "/a/with space", "x")
      os.execute(("ln -s . '%s/loop'; mkfifo '%s/pipe'"):format(dir, dir))
      assert.same(behaviour.KEYS, names(store:list("")))
      assert.same({ "a/", "b/" }, store:list("", { delimiter = "/" }).prefixes)
    end)
  end)

  it("tells of what is there and is no object, unless it is its own", function()
    with_store(function(store, dir)
      behaviour.fill(store)
      work.write_file(dir .. "/.epoch-0123456789abcdef", "half")
      work.write_file(dir .. "/a/with space", "x")
      os.execute(("mkdir '%s/b/\195\164'; ln -s c '%s/b/link'; ln -s no '%s/dangling'; mkfifo '%s/pipe'"):format(
        dir, dir, dir, dir))
      local others = { "a/with space", "b/link", "b/\195\164", "dangling", "pipe" }
      assert.same(others, store:list("").others)
      assert.same({ "b/link", "b/\195\164" }, store:list("b/").others)
      assert.same({ "dangling", "pipe" }, store:list("", { delimiter = "/" }).others)
      assert.same({ "dangling" }, store:list("dang").others)
      assert.same({ "pipe" }, store:list("", { after = "dangling" }).others)
      assert.same(others, objectstore.list_all(store, "").others)
      local seen = {}
      local after
      repeat
        local page = store:list("", { after = after, limit = 1 })
        for _, name in ipairs(page.others or {}) do
          seen[name] = true
        end
        after = page.last
      until not page.more
      for _, name in ipairs(others) do
        assert.is_true(seen[name], name)
      end
    end)
  end)
end)

describe("a process that writes", function()
  local function script(dir, text)
    work.write_file(dir .. "/script.lua", text)
    return dir .. "/script.lua"
  end

  it("leaves only what is whole when it is killed", function()
    with_task(function(task, dir)
      local path = script(dir, ([[
        local task = require "epoch.task".new()
        local store = require "epoch.objectstore.directory".open(task, %q)
        local core = require "epoch.core"
        assert(store:put("whole", 1000, ("w"):rep(1000)))
        local source, sink = core.pipe()
        assert(task:all {
          function() return store:put("half", 10000000, source) end,
          function()
            assert(sink:write(("h"):rep(60000)))
            assert(task:sleep(0.05))
            io.stdout:write("ready\n") io.stdout:flush()
            return task:sleep(60)
          end,
        })]]):format(dir .. "/s"))
      local child = assert(task.loop:spawn {
        argv = { children.lua, path }, stdout = "pipe",
        env = { "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath },
      })
      local out = child:stdout()
      assert.equal("ready\n", task:await(out, "read", 100))
      assert(child:kill("KILL"))
      assert.equal("KILL", assert(task:await(child, "wait")).signal)
      out:close()
      child:close()
      local store = directory.open(task, dir .. "/s")
      assert.equal(1, #store:list("").keys)
      assert.equal(1000, store:head("whole").size)
      assert.same({ "whole" }, files(dir .. "/s"))
      assert(store:put("half", 1, "x"))
    end)
  end)

  it("hears of a full disk, and leaves nothing", function()
    with_task(function(_, dir)
      local path = script(dir, ([[
        local task = require "epoch.task".new()
        local store = require "epoch.objectstore.directory".open(task, %q)
        local etag, err = store:put("big", 400000, ("x"):rep(400000))
        io.write(tostring(etag), " ", err.kind, " ", tostring(err))]]):format(dir .. "/s"))
      local said = work.output(("sh -c \"trap '' XFSZ; ulimit -f 8; LUA_PATH='%s' LUA_CPATH='%s' exec %s '%s'\"")
        :format(package.path, package.cpath, children.lua, path))
      assert.matches("^nil no_space write big to file:///", said)
      assert.same({}, files(dir .. "/s"))
    end)
  end)
end)
