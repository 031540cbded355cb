--- What every object store does, whatever is behind it: see the head of epoch.objectstore.
--
--     behaviour.describe(with_store)          with_store(use) runs use(store) on an empty one

local assert = require "luassert"
local busted = require "busted"
local core = require "epoch.core"
local errors = require "epoch.errors"
local objectstore = require "epoch.objectstore"
local store_support = require "spec.support.store"

local bytes_of = store_support.bytes

local M = {}

--- Fails unless it was this kind of error that was answered: the error.
function M.kind(wanted, value, err)
  assert.is_nil(value)
  assert.is_true(errors.is(err))
  assert.equal(wanted, err.kind)
  return err
end

local kind = M.kind

M.BAD_KEYS = {
  "", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".", "a/.b", ".locks/00", "a b", "a\nb", "a\0b",
  "a\127", "\195\164", ("k"):rep(256), ("k/"):rep(512) .. "k",
}

--- Keys in order, as a store with directories can have them too.
M.KEYS = { "a-b", "a.b", "a/1", "a/2/x", "a/2/y", "a/3", "ab", "b/c/d/e" }

function M.fill(store)
  for _, key in ipairs(M.KEYS) do
    assert(store:put(key, #key, key))
  end
end

--- The keys of a page.
function M.names(page, err)
  assert(page, err)
  local list = {}
  for i, one in ipairs(page.keys) do
    list[i] = one.key
  end
  return list
end

local function describe_keys(with_store)
  busted.it("refuses what is no key", function()
    with_store(function(store)
      for _, key in ipairs(M.BAD_KEYS) do
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
      assert.same({}, M.names(store:list("")))
    end)
  end)

  busted.it("takes every character that a key may have", function()
    with_store(function(store)
      local key = "x!\"#$%&'()*+,-./0:;<=>?@A[\\]^_`a{|}~"
      assert(store:put(key, 1, "x"))
      assert.equal("x", (store:read(key, 1)))
      assert.same({ key }, M.names(store:list("x!\"#$%&'()*+,-.")))
      assert.same({ "x!\"#$%&'()*+,-./" }, store:list("", { delimiter = "/" }).prefixes)
      assert.is_true(store:delete(key))
      assert.same({}, M.names(store:list("")))
    end)
  end)
end

local function describe_objects(with_store)
  busted.it("puts an object, looks at it, gets all and parts of it, replaces and deletes it", function()
    with_store(function(store)
      kind("not_found", store:head("a/b"))
      kind("not_found", store:get("a/b"))
      kind("not_found", store:read("a/b", 10))
      assert.is_true(store:delete("a/b"))
      assert(store:put("a/b", 10, "0123456789"))
      local info = store:head("a/b")
      assert.equal(10, info.size)
      assert.is_true(math.abs(info.modified - os.time()) <= 5)
      local source, got = store:get("a/b")
      assert.equal(10, got.size)
      assert.equal(info.etag, got.etag)
      assert.equal("0123456789", bytes_of(store.task, source))
      assert.equal("0123456789", (store:read("a/b", 10)))
      kind("too_large", store:read("a/b", 9))
      assert(store:put("a/b", 1, "x"))
      assert.equal("x", (store:read("a/b", 10)))
      assert.is_true(store:delete("a/b"))
      kind("not_found", store:head("a/b"))
    end)
  end)

  busted.it("gives parts of an object, and only those that are there", function()
    with_store(function(store)
      assert(store:put("k", 10, "0123456789"))
      for _, case in ipairs {
        { { offset = 3, length = 4 }, "3456" }, { { offset = 7 }, "789" }, { { length = 2 }, "01" },
        { { offset = 9, length = 1 }, "9" }, { { offset = 0, length = 10 }, "0123456789" },
        { { offset = 10 }, "" }, { { offset = 4, length = 0 }, "" }, { { offset = 10, length = 0 }, "" },
      } do
        local source, info = store:get("k", case[1])
        assert.equal(#case[2], assert(source, info) and info.size)
        assert.equal(case[2], bytes_of(store.task, source))
      end
      for _, range in ipairs {
        { offset = 3, length = 8 }, { offset = 11 }, { offset = 11, length = 0 }, { length = 11 },
        { offset = 10, length = 1 },
      } do
        kind("invalid", store:get("k", range))
      end
      kind("not_found", store:get("n", { offset = 3 }))
      kind("not_found", store:get("n", { length = 0 }))
      assert.error_matches(function() store:get("k", { from = 3 }) end, "from")
    end)
  end)

  busted.it("has empty objects", function()
    with_store(function(store)
      assert(store:put("e", 0, "", { digest = core.digest("") }))
      assert.equal(0, store:head("e").size)
      assert.equal("", (store:read("e", 0)))
      assert.equal("", bytes_of(store.task, store:get("e")))
      assert.same({ { key = "e", size = 0, modified = store:head("e").modified } }, store:list("").keys)
    end)
  end)
end

-- An object with read and close.
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

-- Bytes that can be read only once, from a pipe.
local function piped(store, bytes)
  local source, sink = core.pipe()
  assert(sink:write(bytes))
  assert(store.task:await(sink, "finish"))
  return source
end

local function describe_bodies(with_store)
  busted.it("takes a body of any kind, and lets go of it when it fails", function()
    with_store(function(store)
      assert(store:put("f", 3, function() return core.bytes("abc") end))
      assert(store:put("s", 3, core.bytes("abc")))
      assert(store:put("p", 3, piped(store, "abc")))
      assert.equal("abc", (store:read("p", 3)))
      local object = reader { "a", ("b"):rep(100000), "c" }
      assert(store:put("o", 100002, object))
      assert.equal(1, object.closed())
      assert.equal("a" .. ("b"):rep(100000) .. "c", (store:read("o", 200000)))
      kind("unavailable", store:put("n", 3, function()
        return errors.fail("unavailable", "gone")
      end))
      kind("invalid", store:put("..", 3, core.bytes("abc")))
      object = reader { "abc" }
      kind("conflict", store:put("f", 3, object, { if_none_match = "*" }))
      assert.equal(1, object.closed())
      kind("io", store:put("n", 3, { read = function() return errors.fail("io", "x") end, close = function() end }))
      assert.same({ "f", "o", "p", "s" }, M.names(store:list("")))
    end)
  end)

  busted.it("tells how much of a body has come", function()
    with_store(function(store)
      local bytes, told = ("p"):rep(3 * 1024 * 1024), 0
      assert(store:put("k", #bytes, bytes, { on_progress = function(n)
        assert.is_true(n >= told and n <= #bytes)
        told = n
      end }))
      assert.equal(#bytes, told)
    end)
  end)

  busted.it("has only what has size and digest as promised", function()
    with_store(function(store)
      kind("size_mismatch", store:put("k", 4, "abc"))
      kind("size_mismatch", store:put("k", 2, "abc"))
      kind("size_mismatch", store:put("k", 4, piped(store, "abc")))
      kind("size_mismatch", store:put("k", 2, piped(store, "abc")))
      for _, size in pairs { false, "3", -1, 2.5, 2 ^ 60 } do
        assert.error_matches(function() store:put("k", size or nil, "abc") end, "store:put: the size must be")
      end
      kind("digest_mismatch", store:put("k", 3, "abc", { digest = core.digest("abd") }))
      kind("digest_mismatch", store:put("k", 3, piped(store, "abc"), { digest = core.digest("abd", "sha512") }))
      local long = ("l"):rep(2 * 1024 * 1024)
      kind("digest_mismatch", store:put("k", #long, long, { digest = core.digest("abd") }))
      kind("digest_mismatch", store:put("k", #long, long, { digest = core.digest("abd", "sha512") }))
      assert.same({}, M.names(store:list("")))
      assert(store:put("k", 3, "abc", { digest = core.digest("abc", "sha512") }))
      kind("digest_mismatch", store:put("k", 3, "xyz", { digest = core.digest("abd") }))
      assert.equal("abc", (store:read("k", 3)))
      assert(store:put("k", #long, long, { digest = core.digest(long) }))
      assert.equal(core.digest(long), store.task:flow { source = store:get("k"), hash = true }.digest)
    end)
  end)
end

local function describe_conditions(with_store)
  busted.it("makes what is not there, once", function()
    with_store(function(store)
      assert(store:put("k", 1, "a", { if_none_match = "*" }))
      local err = kind("conflict", store:put("k", 1, "b", { if_none_match = "*" }))
      assert.matches("k is in " .. store:describe(), err.message, 1, true)
      assert.equal("a", (store:read("k", 1)))
      assert.error_matches(function() store:put("k", 1, "b", { if_none_match = "x" }) end, "if_none_match")
    end)
  end)

  busted.it("replaces exactly what was seen, however it was seen", function()
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

  busted.it("sees what comes between while the body is on its way", function()
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

  busted.it("lets one of many win", function()
    with_store(function(store)
      local won, functions = 0, {}
      for i = 1, 8 do
        functions[i] = function()
          local etag, err = store:put("k", 1, tostring(i), { if_none_match = "*" })
          won = won + (etag and 1 or 0)
          return etag or err.kind == "conflict" or nil, err
        end
      end
      assert(store.task:all(functions))
      assert.equal(1, won)
    end)
  end)
end

-- All pages of this size, as one.
local function paged(store, prefix, options)
  local keys, prefixes, after, pages = {}, {}, nil, 0
  repeat
    local page = assert(store:list(prefix, { delimiter = options.delimiter, after = after, limit = options.limit }))
    assert.is_true(#page.keys + #page.prefixes <= options.limit)
    assert.is_true(not page.more or #page.keys + #page.prefixes == options.limit)
    for _, key in ipairs(M.names(page)) do
      keys[#keys + 1] = key
    end
    for _, one in ipairs(page.prefixes) do
      prefixes[#prefixes + 1] = one
    end
    after, pages = page.last, pages + 1
    assert.is_true(pages < 20)
  until not page.more
  return keys, prefixes
end

local function describe_listing(with_store)
  busted.it("lists ETags where that is asked for: another one for other bytes", function()
    with_store(function(store)
      local function etags()
        local page, found = assert(store:list("", { etags = true })), {}
        for _, one in ipairs(page.keys) do
          found[one.key] = one.etag
        end
        return found
      end
      assert(store:put("a", 1, "x"))
      assert(store:put("b", 1, "y"))
      local before = etags()
      assert.same({ "a", "b" }, M.names(store:list("")))
      assert.same(before, etags())
      assert(store:put("a", 1, "z"))
      assert.equal(before.b, etags().b)
      assert.is_string(etags().a)
      assert.are_not.equal(before.a, etags().a)
      assert.is_nil(store:list("").keys[1].etag)
    end)
  end)

  busted.it("lists the keys in bytewise order, with size and time", function()
    with_store(function(store)
      assert.same({ keys = {}, prefixes = {}, more = false }, store:list(""))
      M.fill(store)
      local page = store:list("")
      assert.same(M.KEYS, M.names(page))
      assert.equal(5, page.keys[4].size)
      assert.is_true(math.abs(page.keys[4].modified - os.time()) <= 5)
      assert.same({ "a/1", "a/2/x", "a/2/y", "a/3" }, M.names(store:list("a/")))
      assert.same({ "a/2/x", "a/2/y" }, M.names(store:list("a/2")))
      assert.same({ "a/2/y" }, M.names(store:list("a/2/y")))
      assert.same({}, M.names(store:list("a/2/z")))
      assert.same({}, M.names(store:list("nothing/here/")))
      assert.same({}, M.names(store:list("a-b/")))
    end)
  end)

  busted.it("stops a listing at a delimiter", function()
    with_store(function(store)
      M.fill(store)
      local page = store:list("", { delimiter = "/" })
      assert.same({ "a-b", "a.b", "ab" }, M.names(page))
      assert.same({ "a/", "b/" }, page.prefixes)
      page = store:list("a/", { delimiter = "/" })
      assert.same({ "a/1", "a/3" }, M.names(page))
      assert.same({ "a/2/" }, page.prefixes)
      assert.same({ "a/" }, store:list("a", { delimiter = "/" }).prefixes)
      assert.same({ "b/c/" }, store:list("b/", { delimiter = "/" }).prefixes)
      assert.error_matches(function() store:list("", { delimiter = "-" }) end, "delimiter")
    end)
  end)

  busted.it("lists in pages of any size", function()
    with_store(function(store)
      M.fill(store)
      for _, delimiter in ipairs { false, "/" } do
        local whole = store:list("", { delimiter = delimiter or nil })
        for limit = 1, #M.KEYS + 1 do
          local keys, prefixes = paged(store, "", { delimiter = delimiter or nil, limit = limit })
          assert.same(M.names(whole), keys)
          assert.same(whole.prefixes, prefixes)
        end
        assert.same(whole.prefixes, objectstore.list_all(store, "", delimiter or nil).prefixes)
      end
      assert.same({ "a/3", "ab", "b/c/d/e" }, M.names(store:list("", { after = "a/2/y" })))
      assert.same({ "a/2/y", "a/3" }, M.names(store:list("a/", { after = "a/2/x" })))
      assert.same({ "ab" }, M.names(store:list("", { after = "a/", delimiter = "/" })))
      local page = store:list("a/", { after = "a/", delimiter = "/" })
      assert.same({ { "a/1", "a/3" }, { "a/2/" } }, { M.names(page), page.prefixes })
      assert.same({ "a/2/x", "a/2/y" }, M.names(store:list("a/2/", { after = "a/", delimiter = "/" })))
      for _, options in ipairs { { after = "c" }, { after = "b/", delimiter = "/" } } do
        assert.same({ keys = {}, prefixes = {}, more = false }, store:list("", options))
      end
    end)
  end)
end

--- Registers the cases; to be called in a describe.
---@param with_store fun(use: fun(store: table))
function M.describe(with_store)
  describe_keys(with_store)
  describe_objects(with_store)
  describe_bodies(with_store)
  describe_conditions(with_store)
  describe_listing(with_store)
end

return M
