--- Upload sessions in a directory store, as threads of the gateway use them.
local core = require "epoch.core"
local errors = require "epoch.errors"
local fsck = require "epoch.fsck"
local gc = require "epoch.gc"
local homes = require "epoch.home"
local sessions = require "epoch.gateway.sessions"
local store = require "spec.support.store"
local work = require "spec.support.work"

local NAME = "a/b"

-- A store, and what nginx would have spooled beside it.
local function with_store(use)
  store.with_task(function(task, dir)
    local home = assert(homes.open(task, "file://" .. dir .. "/store"))
    local root = dir .. "/store"
    assert(core.mkdir(root .. "/.spool"))
    use(home, root)
  end)
end

local spooled = 0

local function hash_of(bytes, hash)
  local hasher = assert(core.hasher_from(hash)):update(bytes)
  local state = hasher:state()
  hasher:close()
  return state
end

-- A chunk of a session as it was, spooled in `dir`.
local function chunk(dir, session, bytes)
  local path
  if #bytes > 0 then
    spooled = spooled + 1
    path = ("%s/%010d"):format(dir, spooled)
    work.write_file(path, bytes)
  end
  return { path = path, size = #bytes, from = session.offset, hash = hash_of(bytes, session.hash) }
end

local function start(home, algorithm)
  return assert(sessions.start(home, NAME, algorithm or "sha256"))
end

-- Appends to the session as it is now.
local function append(home, root, id, bytes)
  local session = assert(sessions.state(home, NAME, id))
  return sessions.append(home, NAME, id, chunk(root .. "/.spool", session, bytes))
end

local function blob_path(root, digest)
  return root .. "/blobs/" .. digest:gsub(":", "/")
end

local function assert_blob(root, bytes, algorithm)
  local digest = core.digest(bytes, algorithm)
  work.assert_same_bytes(bytes, work.read_file(blob_path(root, digest)))
  return digest
end

local function assert_fails(kind, answer, err)
  assert.is_nil(answer)
  assert.is_true(errors.is(err))
  assert.equal(kind, err.kind, tostring(err))
  return err
end

-- Nothing of any session is there.
local function assert_no_session(root)
  assert.same({}, core.list(root .. "/uploads"))
end

local function mount_small(dir)
  return work.output(("mount -t tmpfs -o size=1m none '%s' 2>/dev/null && echo yes"):format(dir)) == "yes"
end

describe("an upload session in a directory", function()
  it("takes chunks and becomes a blob", function()
    with_store(function(home, root)
      for _, algorithm in ipairs { "sha256", "sha512" } do
        local session = start(home, algorithm)
        assert.is_true(sessions.is_id(session.id))
        assert.equal(0, session.offset)
        assert.is_nil(session.min_chunk)
        local first, second, third = work.noise(300000), work.noise(70000), "the end"
        assert.equal(300000, append(home, root, session.id, first))
        assert.equal(370000, append(home, root, session.id, second))
        assert.equal(370000, append(home, root, session.id, ""))
        local all = first .. second .. third
        local state = assert(sessions.state(home, NAME, session.id))
        assert.equal(#all, sessions.finish(home, NAME, session.id, core.digest(all, algorithm),
          chunk(root .. "/.spool", state, third)))
        assert_blob(root, all, algorithm)
        assert_fails("not_found", sessions.state(home, NAME, session.id))
      end
      assert_no_session(root)
    end)
  end)

  it("makes a blob that others may read and nobody may change, and leaves the spool to nginx", function()
    with_store(function(home, root)
      local session = start(home)
      local one = chunk(root .. "/.spool", session, "some bytes")
      assert(core.chmod(one.path, tonumber("600", 8)))
      assert(sessions.append(home, NAME, session.id, one))
      local digest, other = core.digest("some bytes"), core.digest("other bytes")
      assert(sessions.finish(home, NAME, session.id, digest))
      local two = chunk(root .. "/.spool", session, "other bytes")
      assert(sessions.put(home, other, two))
      assert.equal(core.stat(two.path).id, core.stat(blob_path(root, other)).id)
      local spool, blob = core.stat(one.path), core.stat(blob_path(root, digest))
      assert.equal(spool.id, blob.id) -- the same file: nothing was copied
      assert.equal(0, math.floor(blob.mode / 2) % 2) -- nobody else writes
      assert.equal(0, math.floor(blob.mode / 16) % 2)
    end)
  end)

  it("takes what was spooled on another file system", function()
    with_store(function(home, root)
      work.in_memory(function(elsewhere)
        local session, bytes = start(home), work.noise(400000)
        assert(sessions.append(home, NAME, session.id, chunk(elsewhere, session, bytes)))
        assert(sessions.finish(home, NAME, session.id, core.digest(bytes)))
        assert_blob(root, bytes)
        local other = work.noise(500000)
        assert(sessions.put(home, core.digest(other), chunk(elsewhere, { offset = 0, hash = session.hash }, other)))
        assert_blob(root, other)
      end)
    end)
  end)

  it("can be empty", function()
    with_store(function(home, root)
      for _, algorithm in ipairs { "sha256", "sha512" } do
        local session = start(home, algorithm)
        assert.equal(0, sessions.finish(home, NAME, session.id, core.digest("", algorithm),
          chunk(root, session, "")))
        assert_blob(root, "", algorithm)
      end
    end)
  end)

  it("lets one of two writers win", function()
    with_store(function(home, root)
      local session = start(home)
      local one, other = chunk(root .. "/.spool", session, "one"), chunk(root .. "/.spool", session, "other")
      assert.equal(3, sessions.append(home, NAME, session.id, one))
      local err = assert_fails("conflict", sessions.append(home, NAME, session.id, other))
      assert.equal("the upload has 3 bytes; what came goes on after 0", err.message)
      assert_fails("conflict", sessions.finish(home, NAME, session.id, core.digest("other"), other))
      assert.equal(3, sessions.finish(home, NAME, session.id, core.digest("one")))
      assert_blob(root, "one")
    end)
  end)

  it("belongs to its repository, and is found by its id only", function()
    with_store(function(home, root)
      local session = start(home)
      assert(append(home, root, session.id, "bytes"))
      local now = assert(sessions.state(home, NAME, session.id))
      local function refused(name, id)
        assert_fails("not_found", sessions.state(home, name, id))
        assert_fails("not_found", sessions.append(home, name, id, chunk(root, now, "more")))
        assert_fails("not_found", sessions.finish(home, name, id, core.digest("bytes")))
        assert_fails("not_found", sessions.touch(home, name, id))
        assert_fails("not_found", sessions.cancel(home, name, id))
      end
      refused("a/c", session.id)
      for _, id in ipairs { "", ".", "..", "../uploads/" .. session.id, session.id .. "/", session.id:upper() .. "A",
                            session.id:gsub("%-", "."), "00000000-0000-4000-8000-000000000000" } do
        refused(NAME, id)
      end
      assert.equal(5, sessions.state(home, NAME, session.id).offset)
      assert(sessions.finish(home, NAME, session.id, core.digest("bytes")))
    end)
  end)

  it("has an id that nobody can guess", function()
    local seen = {}
    with_store(function(home)
      for _ = 1, 50 do
        local id = start(home).id
        assert.is_nil(seen[id])
        assert.is_true(sessions.is_id(id))
        seen[id] = true
      end
    end)
    for _, id in ipairs { "", "x", ("0"):rep(36), "01234567-89ab-1def-8123-456789abcdef",
                          "01234567-89ab-4def-c123-456789abcdef", "01234567-89AB-4def-8123-456789abcdef", 7 } do
      assert.is_false(sessions.is_id(id))
    end
  end)

  it("ends with a wrong digest, and nothing is stored", function()
    with_store(function(home, root)
      local session, wrong = start(home), core.digest("something else")
      assert(append(home, root, session.id, "bytes"))
      local err = assert_fails("digest_mismatch", sessions.finish(home, NAME, session.id, wrong))
      assert.truthy(err.message:find(core.digest("bytes"), 1, true), err.message)
      assert_fails("not_found", sessions.state(home, NAME, session.id))
      assert_no_session(root)
      assert.is_nil((core.stat(blob_path(root, wrong))))
    end)
  end)

  it("is hashed again where the digest is of the other algorithm", function()
    with_store(function(home, root)
      local session = start(home, "sha256")
      assert(append(home, root, session.id, "byt"))
      assert(append(home, root, session.id, "es"))
      assert_fails("digest_mismatch", sessions.finish(home, NAME, session.id, core.digest("x", "sha512")))
      session = start(home, "sha256")
      assert(append(home, root, session.id, "bytes"))
      assert.equal(5, sessions.finish(home, NAME, session.id, core.digest("bytes", "sha512")))
      assert_blob(root, "bytes", "sha512")
    end)
  end)

  it("is cancelled", function()
    with_store(function(home, root)
      local session = start(home)
      assert(append(home, root, session.id, "bytes"))
      assert.is_true(sessions.cancel(home, NAME, session.id))
      assert_fails("not_found", sessions.cancel(home, NAME, session.id))
      assert_no_session(root)
    end)
  end)

  it("waits for who holds its lock", function()
    with_store(function(home, root)
      local session = start(home)
      local lock = assert(core.lock(root .. "/uploads/" .. session.id .. "/.lock"))
      local one, tries = chunk(root .. "/.spool", session, "one"), 0
      local sleep = home.task.sleep
      home.task.sleep = function(...) -- the other one takes three looks
        tries = tries + 1
        if tries == 3 then
          lock:close()
        end
        return sleep(...)
      end
      assert.equal(3, sessions.append(home, NAME, session.id, one))
      assert.equal(3, tries)
    end)
  end)

  describe("after a death", function()
    -- What a session has more than its record says was written by somebody who died.
    local function half_written(root, id, bytes)
      local file = assert(io.open(root .. "/uploads/" .. id .. "/data", "ab"))
      file:write(bytes)
      file:close()
    end

    it("goes on where the record says", function()
      with_store(function(home, root)
        local session = start(home)
        half_written(root, session.id, "lost") -- in the first chunk
        assert.equal(6, append(home, root, session.id, "hello "))
        half_written(root, session.id, "a chunk that nobody recorded")
        assert.equal(6, sessions.state(home, NAME, session.id).offset)
        assert.equal(11, append(home, root, session.id, "world"))
        half_written(root, session.id, "and another one")
        assert.equal(11, sessions.finish(home, NAME, session.id, core.digest("hello world")))
        assert_blob(root, "hello world")
      end)
    end)

    it("believes no hash that the machine's end may have made wrong", function()
      with_store(function(home, root)
        for _, damaged in ipairs { false, true } do
          for _, more in ipairs { false, true } do
            local session = start(home)
            assert(append(home, root, session.id, "hello "))
            local state = root .. "/uploads/" .. session.id .. "/state.json"
            local record, n = work.read_file(state):gsub('"boot":"[^"]+"', '"boot":"another"')
            assert.equal(1, n)
            work.write_file(state, record)
            if damaged then
              work.write_file(root .. "/uploads/" .. session.id .. "/data", ("\0"):rep(6))
            end
            assert.is_true(sessions.touch(home, NAME, session.id)) -- which does not make it better
            if more then
              assert.equal(11, append(home, root, session.id, "world"))
            end
            local digest = core.digest(more and "hello world" or "hello ")
            local size, err = sessions.finish(home, NAME, session.id, digest)
            if damaged then
              assert_fails("digest_mismatch", size, err)
              assert.is_nil((core.stat(blob_path(root, digest))))
            else
              assert_blob(root, more and "hello world" or "hello ")
              os.remove(blob_path(root, digest))
            end
          end
        end
        assert_no_session(root)
      end)
    end)

    it("whose bytes had become the blob already is finished again, and changes that blob no more", function()
      with_store(function(home, root)
        for _, algorithm in ipairs { "sha256", "sha512" } do -- it can be told for what was hashed
          local session, digest = start(home), core.digest("hello ", algorithm)
          assert(append(home, root, session.id, "hello "))
          local now, done = assert(sessions.state(home, NAME, session.id)), blob_path(root, digest)
          assert(core.mkdir(done:match("^(.+)/")))
          assert(core.rename(root .. "/uploads/" .. session.id .. "/data", done)) -- then it died
          if algorithm == "sha256" then
            assert.equal(6, sessions.finish(home, NAME, session.id, digest))
          else
            assert_fails("not_found", sessions.finish(home, NAME, session.id, digest))
          end
          assert_fails("not_found", sessions.append(home, NAME, session.id, chunk(root .. "/.spool", now, "more")))
          assert_blob(root, "hello ", algorithm)
        end
        local session = start(home)
        assert(append(home, root, session.id, "more of it"))
        local now = assert(sessions.state(home, NAME, session.id))
        local done = blob_path(root, core.digest("more of it"))
        assert(core.rename(root .. "/uploads/" .. session.id .. "/data", done))
        assert_fails("not_found", sessions.append(home, NAME, session.id, chunk(root .. "/.spool", now, "!")))
        assert_blob(root, "more of it")
        assert_no_session(root)
      end)
    end)

    it("is as it was when the last chunk did not become part of a blob", function()
      with_store(function(home, root)
        local session = start(home)
        assert(append(home, root, session.id, "hello "))
        local now = assert(sessions.state(home, NAME, session.id))
        work.write_file(root .. "/blobs", "") -- no blob can be stored
        local last = chunk(root .. "/.spool", now, "world")
        assert_fails("exists", sessions.finish(home, NAME, session.id, core.digest("hello world"), last))
        assert.equal(6, sessions.state(home, NAME, session.id).offset)
        os.remove(root .. "/blobs")
        assert.equal(11, sessions.finish(home, NAME, session.id, core.digest("hello world"), last))
        assert_blob(root, "hello world")
      end)
    end)

    it("is gone where its bytes or its record are", function()
      with_store(function(home, root)
        for _, loss in ipairs { "data", "state.json" } do
          local session = start(home)
          assert(append(home, root, session.id, "hello "))
          local now = assert(sessions.state(home, NAME, session.id))
          work.write_file(root .. "/uploads/" .. session.id .. "/" .. loss, "")
          assert_fails("not_found", sessions.append(home, NAME, session.id, chunk(root .. "/.spool", now, "world")))
          assert_fails("not_found", sessions.finish(home, NAME, session.id, core.digest("hello ")))
        end
        assert.equal(1, sessions.sweep(home, -10)) -- the one without a record
        assert_no_session(root)
      end)
    end)
  end)

  describe("whose blob is there already", function()
    local function upload(home, root, bytes)
      local session = start(home)
      assert(append(home, root, session.id, bytes))
      return assert(sessions.finish(home, NAME, session.id, core.digest(bytes)))
    end

    it("keeps one of its size, and replaces one of another", function()
      with_store(function(home, root)
        upload(home, root, "bytes")
        local path = blob_path(root, core.digest("bytes"))
        local was = core.stat(path).id
        upload(home, root, "bytes")
        assert.equal(was, core.stat(path).id)
        work.write_file(path, "byt") -- cut short by something else
        upload(home, root, "bytes")
        assert_blob(root, "bytes")
      end)
    end)
  end)
end)

describe("a blob that comes at once", function()
  it("is stored if it is what it says", function()
    with_store(function(home, root)
      local nothing = { offset = 0, hash = start(home).hash }
      local bytes, spool = work.noise(100000), root .. "/.spool"
      assert.is_true(sessions.put(home, core.digest(bytes), chunk(spool, nothing, bytes)))
      assert_blob(root, bytes)
      assert.is_true(sessions.put(home, core.digest(""), chunk(spool, nothing, "")))
      assert_blob(root, "")
      assert_fails("digest_mismatch", sessions.put(home, core.digest("else"), chunk(spool, nothing, bytes)))
      assert.is_nil((core.stat(blob_path(root, core.digest("else")))))
    end)
  end)

  it("that has become shorter meanwhile is none", function()
    with_store(function(home, root)
      local nothing, bytes = { offset = 0, hash = start(home).hash }, work.noise(100000)
      local one = chunk(root .. "/.spool", nothing, bytes)
      work.write_file(one.path, "short")
      assert_fails("io", sessions.put(home, core.digest(bytes), one))
      assert.is_nil((core.stat(blob_path(root, core.digest(bytes)))))
    end)
  end)
end)

describe("a sweep", function()
  local function old(path)
    os.execute(("touch -d '2 days ago' '%s'"):format(path))
  end

  it("removes what has had no activity, and nothing else", function()
    with_store(function(home, root)
      local uploads = root .. "/uploads/"
      local session = start(home)
      assert(append(home, root, session.id, "bytes"))
      assert.equal(0, sessions.sweep(home, 100))
      assert.equal(5, sessions.state(home, NAME, session.id).offset)

      local state = uploads .. session.id .. "/state.json"
      work.write_file(state, (work.read_file(state):gsub('"active":%d+', '"active":1000000000')))
      assert.is_true(sessions.touch(home, NAME, session.id)) -- bytes are arriving
      assert.equal(0, sessions.sweep(home, 100))
      work.write_file(state, (work.read_file(state):gsub('"active":%d+', '"active":1000000000')))
      local lock = assert(core.lock(uploads .. session.id .. "/.lock"))
      assert.equal(0, sessions.sweep(home, 100)) -- somebody is at it
      lock:close()
      assert.equal(1, sessions.sweep(home, 100))
      assert_fails("not_found", sessions.state(home, NAME, session.id))
      assert_no_session(root)
    end)
  end)

  it("removes what somebody who died has left", function()
    with_store(function(home, root)
      local uploads = root .. "/uploads/"
      local young, aged = start(home).id, start(home).id -- neither got a record
      os.remove(uploads .. young .. "/state.json")
      os.remove(uploads .. aged .. "/state.json")
      old(uploads .. aged)
      assert(core.mkdir(uploads .. ".gone-x"))
      work.write_file(uploads .. ".gone-x/data", "bytes")
      work.write_file(root .. "/.spool/0000000001", "aged")
      work.write_file(root .. "/.spool/0000000002", "young")
      old(root .. "/.spool/0000000001")
      assert.equal(1, sessions.sweep(home, 3600))
      assert.same({ young }, core.list(uploads))
      assert.same({ "0000000002" }, core.list(root .. "/.spool"))
    end)
  end)

  it("has nothing to do where nothing was uploaded", function()
    with_store(function(home)
      assert.equal(0, sessions.sweep(home, 0))
    end)
  end)
end)

describe("an upload that is under way", function()
  it("is no business of gc, fsck and lists", function()
    with_store(function(home, root)
      local layer = work.noise(1000)
      store.put_artifact(home, NAME, "v1", { layer })
      local session = start(home)
      assert(append(home, root, session.id, "bytes"))
      local found = assert(gc(home.task, home, { delete = true, grace = 0 }))
      assert.same({}, found.blobs)
      assert.same({}, found.doubts)
      assert.same({}, assert(fsck(home.task, home)).broken)
      assert.same({ NAME }, home:repositories())
      assert.equal(5, sessions.finish(home, NAME, session.id, core.digest("bytes")))
    end)
  end)
end)

describe("a full disk", function()
  it("ends no session, and is used again when it has room", function()
    store.with_task(function(task, dir)
      local root = dir .. "/store"
      assert(core.mkdir(root))
      if not mount_small(root) then
        return pending("needs root, to mount a small file system")
      end
      local done, why = pcall(function()
        assert(core.mkdir(root .. "/.spool"))
        local home = assert(homes.open(task, "file://" .. root))
        local first, second = work.noise(300000), work.noise(250000)
        local session = start(home)
        assert(append(home, root, session.id, first))
        os.execute(("rm -f '%s'/.spool/*"):format(root))
        local one = chunk(root .. "/.spool", assert(sessions.state(home, NAME, session.id)), second)
        work.write_file(root .. "/filler", work.noise(350000))
        assert_fails("no_space", sessions.append(home, NAME, session.id, one))
        assert.equal(#first, sessions.state(home, NAME, session.id).offset)
        os.remove(root .. "/filler")
        assert.equal(#first + #second, sessions.append(home, NAME, session.id, one))
        os.remove(one.path)
        assert(sessions.finish(home, NAME, session.id, core.digest(first .. second)))
        assert_blob(root, first .. second)
        assert_no_session(root)
      end)
      os.execute(("umount '%s'"):format(root))
      assert(done, why)
    end)
  end)
end)
