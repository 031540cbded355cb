--- Upload sessions in a bucket of a real store, by what epoch.gateway.sessions promises.
local backend = require "epoch.gateway.sessions.s3"
local behaviour = require "spec.support.store_behaviour"
local core = require "epoch.core"
local errors = require "epoch.errors"
local interpreter = require "spec.support.interpreter"
local objectstore = require "epoch.objectstore"
local parts = require "epoch.s3.parts"
local pieces = require "epoch.gateway.sessions.pieces"
local radosgw = require "spec.support.radosgw"
local records = require "epoch.gateway.sessions.record"
local registry = require "epoch.registry"
local s3 = require "epoch.objectstore.s3"
local server = require "spec.support.server"
local sessions = require "epoch.gateway.sessions"
local support = require "spec.support.store"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local kind = behaviour.kind
local MIB = 1024 * 1024

local missing = radosgw.missing() or interpreter.leaves_to "luajit"
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("are not tried", function() pending(missing) end)
  end)
end or describe

describe_or_skip("an upload session in a bucket", function()
  local gateway, task, home, dir, prefixes

  setup(function()
    gateway = radosgw.start()
    gateway.one = gateway:bucket()
    prefixes = 0
  end)

  teardown(function()
    gateway:stop()
  end)

  -- As another process would have it.
  local function opened(options)
    local given = gateway:options {
      bucket = gateway.one, prefix = ("test-%d"):format(prefixes), part_size = 5 * MIB, multipart_threshold = 6 * MIB,
    }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    return registry.new(task, assert(s3.open(task, given)))
  end

  before_each(function()
    task = assert(tasks.new())
    prefixes = prefixes + 1
    home = opened()
    dir = os.tmpname()
    os.remove(dir)
    assert(core.mkdir(dir))
  end)

  after_each(function()
    task:close()
    os.execute("rm -rf " .. dir)
  end)

  -- What nginx and a thread make of a body.
  local function chunk(state, bytes)
    local hasher = core.hasher_from(state.hash):update(bytes)
    local made = { from = state.offset, size = #bytes, hash = hasher:state() }
    hasher:close()
    if #bytes > 0 then
      made.path = dir .. "/" .. core.digest(bytes):match("%x+$")
      work.write_file(made.path, bytes)
    end
    return made
  end

  local function state_of(id)
    return assert(sessions.state(opened(), "a/b", id))
  end

  local function ahead(to, sent, whole, size)
    return sessions.ahead(opened(), to, sent, { path = whole.path, size = size, from = whole.from })
  end

  local function append(id, bytes)
    return sessions.append(opened(), "a/b", id, chunk(state_of(id), bytes))
  end

  local function start(algorithm)
    return assert(sessions.start(home, "a/b", algorithm or "sha256")).id
  end

  local function keys(prefix)
    local list = {}
    for _, one in ipairs(assert(objectstore.list_all(home.store, prefix)).keys) do
      list[#list + 1] = one.key
    end
    return list
  end

  local function key_of(digest)
    return "blobs/" .. digest:gsub(":", "/")
  end

  -- The blob is there, whole, and nothing else is.
  local function only(bytes, algorithm)
    local digest = core.digest(bytes, algorithm)
    assert.same({ key_of(digest) }, keys(""))
    assert.same({}, parts.uploads(home.store, ""))
    assert.equal(core.digest(bytes), task:flow { source = home.store:get(key_of(digest)), hash = true }.digest)
  end

  it("takes pieces of any size from one process after the other", function()
    for _, sizes in ipairs {
      { 0 }, { 1 }, { 7 * MIB }, { 13 * MIB + 1 }, { 1, 1, 1 }, { 5 * MIB, 1 }, { 3, 5 * MIB, 7 },
      { 4 * MIB, 9 * MIB, 2 * MIB, 4 * MIB }, { 6 * MIB, 0, 5 * MIB, 12 * MIB, 1 },
    } do
      local id, bytes, offset = start(), {}, 0
      for i, size in ipairs(sizes) do
        bytes[i] = work.plenty(size, i)
        offset = offset + size
        assert.equal(offset, append(id, bytes[i]))
        assert.equal(offset, state_of(id).offset)
      end
      bytes = table.concat(bytes)
      assert.equal(#bytes, sessions.finish(opened(), "a/b", id, core.digest(bytes)))
      only(bytes)
      kind("not_found", sessions.state(home, "a/b", id))
      assert(home.store:delete(key_of(core.digest(bytes))))
    end
  end)

  it("takes the last chunk with its end", function()
    for _, sizes in ipairs { { 0, 3 }, { 0, 8 * MIB }, { 3, 8 * MIB }, { 8 * MIB, 3 }, { 3, 4 } } do
      local id = start()
      local first, last = work.plenty(sizes[1]), work.plenty(sizes[2], 2)
      assert(append(id, first))
      local ended = chunk(state_of(id), last)
      assert.equal(#first + #last, sessions.finish(home, "a/b", id, core.digest(first .. last), ended))
      only(first .. last)
      assert(home.store:delete(key_of(core.digest(first .. last))))
    end
  end)

  it("has what hashes to its digest, of either algorithm, or is gone", function()
    local a, b = work.plenty(6 * MIB), work.noise(100)
    for _, hashed in ipairs { "sha256", "sha512" } do
      for _, wanted in ipairs { "sha256", "sha512" } do
        local id = start(hashed)
        assert(append(id, a))
        assert.equal(#a + #b,
          sessions.finish(home, "a/b", id, core.digest(a .. b, wanted), chunk(state_of(id), b)))
        only(a .. b, wanted)
        assert(home.store:delete(key_of(core.digest(a .. b, wanted))))
        id = start(hashed)
        assert(append(id, a))
        kind("digest_mismatch", sessions.finish(home, "a/b", id, core.digest("else", wanted)))
        assert.same({}, keys(""))
      end
    end
  end)

  it("lets one of two writers win", function()
    local id = start()
    assert(append(id, work.plenty(6 * MIB)))
    local bodies, state = { work.plenty(MIB), work.plenty(7 * MIB) }, state_of(id)
    local won, functions = nil, {}
    for i, bytes in ipairs(bodies) do
      functions[i] = function()
        local offset, err = sessions.append(opened(), "a/b", id, chunk(state, bytes))
        won = offset and i or won
        return offset or err.kind == "conflict" and "lost" or nil, err
      end
    end
    local answers = assert(task:all(functions))
    assert.equal("lost", answers[3 - won])
    assert.equal(6 * MIB + #bodies[won], answers[won])
    assert.equal(answers[won], state_of(id).offset)
    assert.equal(3, #keys("uploads/")) -- the record and two pieces: nothing of who lost
    assert.same({}, parts.uploads(home.store, ""))
    kind("conflict", sessions.append(home, "a/b", id, chunk(state, "x")))
    kind("conflict", sessions.finish(home, "a/b", id, core.digest("x"), chunk(state, "x")))
    assert.equal(answers[won], state_of(id).offset)
  end)

  it("is one repository's", function()
    local id = start()
    for _, answer in ipairs {
      { sessions.state(home, "other", id) }, { sessions.append(home, "other", id, chunk(state_of(id), "x")) },
      { sessions.finish(home, "other", id, core.digest("")) }, { sessions.cancel(home, "other", id) },
      { sessions.touch(home, "other", id) },
    } do
      kind("not_found", answer[1], answer[2])
    end
    assert.equal(0, state_of(id).offset)
    assert(append(id, "x"))
    assert.is_true(sessions.touch(home, "a/b", id))
    assert.equal(1, state_of(id).offset)
    assert.is_true(sessions.cancel(home, "a/b", id))
    kind("not_found", sessions.cancel(home, "a/b", id))
    assert.same({}, keys(""))
  end)

  it("is not believed when its record is damaged", function()
    local id = start()
    assert(append(id, "abc"))
    local key = "uploads/" .. id .. "/state.json"
    local bytes = home.store:read(key, MIB)
    for _, damaged in ipairs {
      bytes:sub(1, -2), "[]", (bytes:gsub('"offset":3', '"offset":4')), (bytes:gsub('"3 0%-', '"3 ../0-')),
    } do
      assert.are_not.equal(bytes, damaged)
      assert(home.store:put(key, #damaged, damaged))
      kind("not_found", sessions.state(home, "a/b", id))
      kind("not_found", sessions.append(home, "a/b", id, { from = 3, size = 0, hash = "" }))
    end
  end)

  it("is sent ahead while its chunk grows", function()
    local id = start()
    assert(append(id, "small"))
    local state, bytes = state_of(id), work.plenty(17 * MIB + 5)
    local whole = chunk(state, bytes)
    local sent
    for _, size in ipairs { 1, 5 * MIB, 5 * MIB + 1, 9 * MIB, 16 * MIB } do
      local err
      sent, err = ahead({ id = id, name = "a/b" }, sent, whole, size)
      assert.is_nil(err)
      assert.equal(size > 5 * MIB, sent ~= nil)
    end
    assert.equal(15 * MIB, sent.taken)
    assert.same(1, #parts.uploads(home.store, "uploads/"))
    whole.sent = sent
    assert.equal(#bytes + 5, sessions.append(home, "a/b", id, whole))
    assert(sessions.finish(home, "a/b", id, core.digest("small" .. bytes)))
    only("small" .. bytes)
  end)

  it("is sent ahead in vain when another was faster", function()
    local id = start()
    local state, bytes = state_of(id), work.plenty(11 * MIB)
    local whole = chunk(state, bytes)
    whole.sent = assert(ahead({ id = id, name = "a/b" }, nil, whole, 11 * MIB))
    assert(append(id, "faster"))
    kind("conflict", sessions.append(home, "a/b", id, whole))
    assert.is_true(sessions.drop(home, whole.sent))
    assert.same({}, parts.uploads(home.store, ""))
    assert.equal(6, state_of(id).offset)
    kind("conflict", ahead({ id = id, name = "a/b" }, nil, whole, 11 * MIB))
  end)

  it("is not needed for a blob that comes in one piece", function()
    local bytes = work.plenty(13 * MIB)
    local whole = chunk({ offset = 0, hash = records.new("a/b", "sha256").hash }, bytes)
    assert.is_true(sessions.put(home, core.digest(bytes), whole))
    only(bytes)
    assert.is_true(sessions.put(home, core.digest(bytes), whole))
    kind("digest_mismatch", sessions.put(home, core.digest("x"), whole))
    assert(home.store:put(key_of(core.digest(bytes)), 3, "old"))
    whole.sent = assert(ahead({ digest = core.digest(bytes) }, nil, whole, 12 * MIB))
    assert.equal("old", (home.store:read(key_of(core.digest(bytes)), 3)))
    assert.is_true(sessions.put(home, core.digest(bytes), whole))
    only(bytes)
    whole.sent = assert(ahead({ digest = core.digest(bytes) }, nil, whole, 12 * MIB))
    assert.is_true(sessions.put(home, core.digest(bytes), whole))
    only(bytes)
  end)

  it("is swept when nobody has done anything there for a while", function()
    local dead, alive = start(), start()
    assert(append(dead, work.plenty(6 * MIB)))
    local state = state_of(dead)
    local whole = chunk(state, work.plenty(12 * MIB))
    assert(ahead({ id = dead, name = "a/b" }, nil, whole, 12 * MIB))
    assert(pieces.ahead(home.store, { key = key_of(core.digest("x")) }, nil, whole.path, 12 * MIB))
    local without_record = dead:gsub("^.", function(c) return c == "f" and "e" or "f" end)
    assert(home.store:put("uploads/" .. without_record .. "/0-0a", 1, "x"))
    assert.equal(0, sessions.sweep(home, 60))
    assert.equal(2, #parts.uploads(home.store, ""))
    server.sleep(2.1)
    local now = os.time()
    assert(sessions.append(home, "a/b", alive, chunk(state_of(alive), "x")))
    assert.equal(2, backend.sweep(home, now))
    assert.same({}, parts.uploads(home.store, ""))
    assert.equal(2, #keys(""))
    assert.equal(1, state_of(alive).offset)
    assert.equal("x", support.bytes(task, home.store:get(keys("uploads/" .. alive)[1])))
  end)

  it("is there, for one at a time, in a store that puts nothing under conditions", function()
    local id = start()
    local simple = opened()
    local put = simple.store.put
    simple.store.put = function(store, key, size, body, options)
      if options and options.if_match then
        return errors.fail("unsupported", "no conditions here")
      end
      return put(store, key, size, body, options)
    end
    assert.equal(3, sessions.append(simple, "a/b", id, chunk(state_of(id), "abc")))
    assert.equal(6, sessions.append(simple, "a/b", id, chunk(state_of(id), "def")))
    assert(sessions.finish(simple, "a/b", id, core.digest("abcdef")))
    only("abcdef")
  end)

  -- A home whose process is killed when the store has answered its request number n, and says so.
  local function mortal(n)
    local dying = opened()
    local session, count = dying.store.session, 0
    local once = session.once
    session.once = function(...)
      count = count + 1
      local fatal = count == n
      local answer, err, after = once(...)
      if fatal then
        error("killed", 0)
      end
      return answer, err, after
    end
    return dying, function() return count < n end
  end

  -- What stands under blobs/ is what it is called.
  local function check_blobs()
    for _, key in ipairs(keys "blobs/") do
      assert.equal(key, key_of(task:flow { source = home.store:get(key), hash = true }.digest))
    end
  end

  it("goes on, or is over, when its process was killed at any point", function()
    local small, large, last = work.noise(10), work.plenty(12 * MIB), work.noise(20)
    local all = small .. large .. last
    local survived, n = false, 0
    while not survived do
      n = n + 1
      local id = start()
      assert(append(id, small))
      local dying, lives = mortal(n)
      local ok, why = pcall(function()
        assert(sessions.append(dying, "a/b", id, chunk(state_of(id), large)))
        assert(sessions.finish(dying, "a/b", id, core.digest(all), chunk(state_of(id), last)))
      end)
      survived = lives()
      assert.equal(survived, ok, why)
      check_blobs()
      local state = sessions.state(opened(), "a/b", id)
      if state then -- the client asks, and goes on from there
        assert.equal(state.offset == 10 and 10 or #small + #large, state.offset)
        if state.offset == 10 then
          assert(append(id, large))
        end
        assert(sessions.finish(opened(), "a/b", id, core.digest(all), chunk(state_of(id), last)))
      end
      assert.equal(#all, home.store:head(key_of(core.digest(all))).size)
      assert(backend.sweep(opened(), os.time() + 60))
      only(all)
      assert(home.store:delete(key_of(core.digest(all))))
    end
    assert.is_true(n > 20, ("%d"):format(n))
  end)
end)
