local core = require "epoch.core"
local children = require "spec.support.children"
local directory = require "epoch.objectstore.directory"
local errors = require "epoch.errors"
local objectstore = require "epoch.objectstore"
local store_support = require "spec.support.store"
local work = require "spec.support.work"

local with_task, bytes_of, files = store_support.with_task, store_support.bytes, store_support.files

local function with_store(use)
  with_task(function(task, dir)
    local store = directory.open(task, dir .. "/s")
    use(store, dir .. "/s", task)
    store:close()
  end)
end

local function kind(kind_wanted, value, err)
  assert.is_nil(value)
  assert.is_true(errors.is(err))
  assert.equal(kind_wanted, err.kind)
  return err
end

local BAD_KEYS = {
  "", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".", "a/.b", ".locks/00", "a b", "a\nb", "a\0b",
  "a\127", "\195\164", ("k"):rep(256), ("k/"):rep(512) .. "k",
}

describe("a key", function()
  it("is refused before any path is touched", function()
    with_store(function(store, dir)
      for _, key in ipairs(BAD_KEYS) do
        kind("invalid", store:head(key))
        kind("invalid", store:get(key))
        kind("invalid", store:read(key, 10))
        kind("invalid", store:put(key, 1, "x"))
        kind("invalid", store:put(key, 1, "x", { if_none_match = "*" }))
        kind("invalid", store:delete(key))
        if key ~= "" and key ~= "a/" then
          kind("invalid", store:list(key))
        end
      end
      kind("invalid", store:head(nil))
      kind("invalid", store:list(nil))
      assert.equal("not_found", select(3, core.stat(dir)))
    end)
  end)
end)

describe("an object", function()
  it("is put, looked at, got, got in part, replaced and deleted", function()
    with_store(function(store, dir)
      kind("not_found", store:head("a/b"))
      kind("not_found", store:get("a/b"))
      kind("not_found", store:read("a/b", 10))
      assert.is_true(store:delete("a/b"))
      assert.equal("not_found", select(3, core.stat(dir)))
      assert(store:put("a/b", 10, "0123456789"))
      local info = store:head("a/b")
      assert.equal(10, info.size)
      assert.is_true(math.abs(info.modified - os.time()) <= 5)
      local source, got = store:get("a/b")
      assert.equal(10, got.size)
      assert.equal(info.etag, got.etag)
      assert.equal("0123456789", bytes_of(store.task, source))
      source, got = store:get("a/b", { offset = 3, length = 4 })
      assert.equal(4, got.size)
      assert.equal("3456", bytes_of(store.task, source))
      kind("invalid", store:get("a/b", { offset = 3, length = 8 }))
      assert.error_matches(function() store:get("a/b", { from = 3 }) end, "from")
      assert.equal("0123456789", (store:read("a/b", 10)))
      kind("too_large", store:read("a/b", 9))
      assert(store:put("a/b", 1, "x"))
      assert.equal("x", (store:read("a/b", 10)))
      assert.equal("644", work.output(("stat -c %%a '%s/a/b'"):format(dir)))
      assert.equal("755", work.output(("stat -c %%a '%s/a'"):format(dir)))
      assert.is_true(store:delete("a/b"))
      kind("not_found", store:head("a/b"))
      assert.same({}, files(dir))
    end)
  end)

  it("may be empty", function()
    with_store(function(store)
      assert(store:put("e", 0, "", { digest = core.digest("") }))
      assert.equal(0, store:head("e").size)
      assert.equal("", (store:read("e", 0)))
      assert.equal("", bytes_of(store.task, store:get("e")))
    end)
  end)

  it("takes a body of any kind, and lets go of it when it fails", function()
    with_store(function(store, dir)
      local function reader(pieces)
        local at, closed = 0, 0
        return {
          read = function()
            at = at + 1
            return pieces[at]
          end,
          close = function() closed = closed + 1 end,
          closed = function() return closed end,
        }
      end
      assert(store:put("f", 3, function() return core.bytes("abc") end))
      assert(store:put("s", 3, core.bytes("abc")))
      local object = reader { "a", ("b"):rep(100000), "c" }
      assert(store:put("o", 100002, object))
      assert.equal(1, object.closed())
      assert.equal("a" .. ("b"):rep(100000) .. "c", (store:read("o", 200000)))
      kind("unavailable", store:put("n", 3, function()
        return errors.fail("unavailable", "gone")
      end))
      kind("invalid", store:put("..", 3, core.bytes("abc")))
      object = reader { "a" }
      kind("conflict", store:put("f", 3, object, { if_none_match = "*" }))
      assert.equal(1, object.closed())
      work.write_file(dir .. "/plain", "")
      kind("exists", store:put("plain/x", 3, core.bytes("abc")))
      assert.same({ "f", "o", "plain", "s" }, files(dir))
    end)
  end)

  it("is there only when size and digest are as promised", function()
    with_store(function(store, dir)
      kind("size_mismatch", store:put("k", 4, "abc"))
      kind("size_mismatch", store:put("k", 2, "abc"))
      kind("digest_mismatch", store:put("k", 3, "abc", { digest = core.digest("abd") }))
      assert.same({}, files(dir))
      assert(store:put("k", 3, "abc", { digest = core.digest("abc", "sha512") }))
      kind("digest_mismatch", store:put("k", 3, "xyz", { digest = core.digest("abd") }))
      assert.equal("abc", (store:read("k", 3)))
    end)
  end)

  it("is a file and nothing else", function()
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
end)

describe("a conditional put", function()
  it("makes what is not there, once", function()
    with_store(function(store)
      assert(store:put("k", 1, "a", { if_none_match = "*" }))
      local err = kind("conflict", store:put("k", 1, "b", { if_none_match = "*" }))
      assert.matches("k is in file:///", err.message, 1, true)
      assert.equal("a", (store:read("k", 1)))
      assert.error_matches(function() store:put("k", 1, "b", { if_none_match = "x" }) end, "if_none_match")
    end)
  end)

  it("replaces exactly what was seen, however it was seen", function()
    with_store(function(store)
      local first = assert(store:put("k", 1, "a"))
      for _, etag in ipairs { first, store:head("k").etag, select(2, store:read("k", 1)).etag } do
        assert.is_string(etag)
      end
      assert(store:put("k", 1, "b", { if_match = first }))
      local err = kind("conflict", store:put("k", 1, "c", { if_match = first }))
      assert.matches("changed by another", err.message)
      local _, read = store:read("k", 1)
      assert(store:put("k", 2, "cc", { if_match = read.etag }))
      local head = store:head("k")
      assert(store:put("k", 3, "ddd", { if_match = head.etag }))
      kind("conflict", store:put("k", 1, "e", { if_match = head.etag }))
      assert.equal("ddd", (store:read("k", 3)))
      store:delete("k")
      kind("conflict", store:put("k", 1, "e", { if_match = first }))
      kind("not_found", store:head("k"))
    end)
  end)

  it("sees what comes between while its body is on its way", function()
    with_store(function(store)
      local etag = assert(store:put("k", 1, "a"))
      kind("conflict", store:put("k", 1, function()
        assert(store:put("k", 1, "b"))
        return core.bytes("c")
      end, { if_match = etag }))
      assert.equal("b", (store:read("k", 1)))
      kind("conflict", store:put("n", 1, function()
        assert(store:put("n", 1, "b"))
        return core.bytes("c")
      end, { if_none_match = "*" }))
      assert.equal("b", (store:read("n", 1)))
    end)
  end)

  it("waits for a process that has the lock", function()
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
end)

describe("a listing", function()
  local function names(page)
    local list = {}
    for i, one in ipairs(page.keys) do
      list[i] = one.key
    end
    return list
  end

  local KEYS = { "a", "a-b", "a.b", "a/1", "a/2/x", "a/2/y", "a/3", "ab", "b/c/d/e" } -- in order

  local function fill(store)
    for _, key in ipairs(KEYS) do
      if key ~= "a" then -- a file system has either a or a/…
        assert(store:put(key, #key, key))
      end
    end
  end
  local ALL = { "a-b", "a.b", "a/1", "a/2/x", "a/2/y", "a/3", "ab", "b/c/d/e" }

  it("has the keys in bytewise order, with size and time", function()
    with_store(function(store)
      assert.same({ keys = {}, prefixes = {}, more = false }, store:list(""))
      fill(store)
      local page = store:list("")
      assert.same(ALL, names(page))
      assert.equal(5, page.keys[4].size)
      assert.is_true(math.abs(page.keys[4].modified - os.time()) <= 5)
      assert.same({ "a/1", "a/2/x", "a/2/y", "a/3" }, names(store:list("a/")))
      assert.same({ "a/2/x", "a/2/y" }, names(store:list("a/2")))
      assert.same({ "a/2/y" }, names(store:list("a/2/y")))
      assert.same({}, names(store:list("a/2/z")))
      assert.same({}, names(store:list("nothing/here/")))
      assert.same({}, names(store:list("a-b/")))
    end)
  end)

  it("stops at a delimiter", function()
    with_store(function(store)
      fill(store)
      local page = store:list("", { delimiter = "/" })
      assert.same({ "a-b", "a.b", "ab" }, names(page))
      assert.same({ "a/", "b/" }, page.prefixes)
      page = store:list("a/", { delimiter = "/" })
      assert.same({ "a/1", "a/3" }, names(page))
      assert.same({ "a/2/" }, page.prefixes)
      assert.same({ "a/" }, store:list("a", { delimiter = "/" }).prefixes)
      assert.same({ "b/c/" }, store:list("b/", { delimiter = "/" }).prefixes)
      assert.error_matches(function() store:list("", { delimiter = "-" }) end, "delimiter")
    end)
  end)

  it("comes in pages of any size", function()
    with_store(function(store)
      fill(store)
      for _, delimiter in ipairs { false, "/" } do
        local whole = store:list("", { delimiter = delimiter or nil })
        for limit = 1, #ALL + 1 do
          local keys, prefixes, after, pages = {}, {}, nil, 0
          repeat
            local page = store:list("", { delimiter = delimiter or nil, after = after, limit = limit })
            assert.is_true(#page.keys + #page.prefixes <= limit)
            assert.is_true(not page.more or #page.keys + #page.prefixes == limit)
            for _, key in ipairs(names(page)) do
              keys[#keys + 1] = key
            end
            for _, prefix in ipairs(page.prefixes) do
              prefixes[#prefixes + 1] = prefix
            end
            after, pages = page.last, pages + 1
            assert.is_true(pages < 20)
          until not page.more
          assert.same(names(whole), keys)
          assert.same(whole.prefixes, prefixes)
        end
        assert.same(whole.prefixes, objectstore.list_all(store, "", delimiter or nil).prefixes)
      end
      assert.same({ "a/3", "ab", "b/c/d/e" }, names(store:list("", { after = "a/2/y" })))
      assert.same({ "a/2/y", "a/3" }, names(store:list("a/", { after = "a/2/x" })))
    end)
  end)

  it("shows no leftovers and nothing empty", function()
    with_store(function(store, dir)
      fill(store)
      assert(store:put("gone/x/y", 1, "x"))
      assert.is_true(store:delete("gone/x/y"))
      work.write_file(dir .. "/.epoch-0123456789abcdef", "half")
      work.write_file(dir .. "/a/.epoch-0123456789abcdef", "half")
      work.write_file(dir .. "/a/with space", "x")
      os.execute(("ln -s . '%s/loop'; mkfifo '%s/pipe'"):format(dir, dir))
      assert.same(ALL, names(store:list("")))
      assert.same({ "a/", "b/" }, store:list("", { delimiter = "/" }).prefixes)
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
