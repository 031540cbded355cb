--- Blobs that nothing needs: which they are, and that no other is ever taken, whatever the store
--- looks like and whoever pushes meanwhile.
local children = require "spec.support.children"
local core = require "epoch.core"
local errors = require "epoch.errors"
local gc = require "epoch.gc"
local gc_race = require "spec.support.gc_race"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local removal = require "epoch.registry.removal"
local support = require "spec.support.store"
local work = require "spec.support.work"

local function with_home(use)
  support.with_task(function(task, dir)
    local home = assert(homes.open(task, "file://" .. dir .. "/s"))
    use(home, dir .. "/s", task)
    home:close()
  end)
end

local function kind(wanted, value, err)
  assert.is_nil(value)
  assert.is_true(errors.is(err), tostring(err))
  assert.equal(wanted, err.kind, tostring(err))
  return err
end

local function put(home, bytes, algorithm)
  local digest = core.digest(bytes, algorithm)
  assert(home:put_blob("any", digest, #bytes, bytes))
  return digest
end

local function digests(found)
  local list = {}
  for i, blob in ipairs(found.blobs) do
    list[i] = blob.digest
  end
  table.sort(list)
  return list
end

local function sorted(...)
  local list = { ... }
  table.sort(list)
  return list
end

local function blobs_in(dir)
  local list = {}
  for _, path in ipairs(support.files(dir)) do
    if path:find("^blobs/") then
      list[#list + 1] = (path:gsub("^blobs/(%w+)/", "%1:"))
    end
  end
  return list
end

local NOW = { grace = 0 }
local DELETE = { grace = 0, delete = true }

describe("a blob that nothing needs", function()
  it("is found, and removed when that is wanted", function()
    with_home(function(home, dir, task)
      support.put_artifact(home, "a", "v1", { "one", "two" })
      local gone, long = put(home, "gone"), put(home, "long gone", "sha512")
      local kept = core.digest("one")
      local found = assert(gc(task, home, NOW))
      assert.same(sorted(gone, long), digests(found))
      assert.same({ 13, 0, 0, {} }, { found.size, found.young, found.removed, found.doubts })
      assert.is_true(math.abs(found.blobs[1].modified - os.time()) <= 5)
      assert.is_true(home:blob_exists("a", gone))

      local told = {}
      found = assert(gc(task, home, { grace = 0, delete = true, on_event = function(e) told[#told + 1] = e.event end }))
      assert.same({ 2, 13, true, true }, { found.removed, found.freed, found.blobs[1].removed, found.blobs[2].removed })
      assert.equal("plan", told[1])
      assert.equal(5, #told)
      assert.is_false(home:blob_exists("a", gone))
      assert.is_false(home:blob_exists("a", long))
      assert.is_true(home:blob_exists("a", kept))
      assert.is_nil(work.read_file(dir .. "/gc.json"))
      assert.same({}, assert(gc(task, home, DELETE)).blobs)
    end)
  end)

  it("is left alone while it is younger than the grace, a day by default", function()
    with_home(function(home, dir, task)
      local young, old = put(home, "young"), put(home, "old")
      os.execute(("touch -d '-25 hours' '%s/blobs/%s'"):format(dir, (old:gsub(":", "/"))))
      local found = assert(gc(task, home, { delete = true }))
      assert.same({ old }, digests(found))
      assert.equal(1, found.young)
      assert.is_true(home:blob_exists("a", young))
      os.execute(("touch -d '+2 days' '%s/blobs/%s'"):format(dir, (young:gsub(":", "/"))))
      assert.same({}, assert(gc(task, home, { grace = 1 })).blobs) -- a clock that was wrong
      assert.same({ young }, digests(assert(gc(task, home, NOW))))
      assert.error_matches(function() gc(task, home, { grace = -1 }) end, "grace")
      assert.error_matches(function() gc(task, home, { remove = true }) end, "remove")
    end)
  end)

  it("may be one of thousands", function()
    with_home(function(home, dir, task)
      local batch = removal.BATCH
      removal.BATCH = 7
      support.put_artifact(home, "a", "v1", { "one" })
      for i = 1, 50 do
        put(home, "blob " .. i)
      end
      local found = assert(gc(task, home, DELETE))
      removal.BATCH = batch
      assert.same({ 50, 50 }, { #found.blobs, found.removed })
      assert.same(sorted(core.digest("one"), core.digest("{}")), blobs_in(dir))
    end)
  end)

  it("is looked for in stores only", function()
    support.with_task(function(task, dir)
      for _, name in ipairs { "oci:" .. dir .. "/layout", "http://127.0.0.1:1" } do
        local home = assert(homes.open(task, name))
        local err = kind("unsupported", gc(task, home, DELETE))
        assert.matches("needed in " .. home:describe() .. " is not", err.message, 1, true)
        home:close()
      end
    end)
  end)
end)

-- Whatever a manifest says of a blob keeps it.
describe("a blob is needed", function()
  local function manifest(member)
    return '{"schemaVersion":2,' .. member .. "}"
  end

  -- Writes a manifest past all checks, as other programs do.
  local function write(dir, key, bytes)
    assert(core.mkdir((dir .. "/manifests/" .. key):match("^(.*)/")))
    work.write_file(dir .. "/manifests/" .. key, bytes)
  end

  local function assert_kept(key, text)
    with_home(function(home, dir, task)
      local bare = put(home, "needed"):match(":(.*)")
      local gone = put(home, "gone")
      write(dir, key, (text:gsub("HEX", bare)))
      local found = assert(gc(task, home, DELETE))
      assert.same({ gone }, digests(found), text)
      assert.same({ "sha256:" .. bare }, blobs_in(dir))
    end)
  end

  it("by the config, a layer, a subject, an index, a base image, a member nobody knows yet", function()
    for _, member in ipairs {
      '"config":{"digest":"sha256:HEX","size":6}', '"layers":[{"digest":"sha256:HEX","size":6}]',
      '"subject":{"digest":"sha256:HEX","size":6}', '"manifests":[{"digest":"sha256:HEX","size":6}]',
      '"blobs":[{"digest":"sha256:HEX","size":6}]', '"baseImages":[{"digest":"HEX","size":6}]',
      '"imageBlobIDs":{"HEX":"epoch/blobs/sha256/x"}', '"imageBlobIDs":{"x":"epoch/blobs/sha256/HEX"}',
      '"annotations":{"later":"sha256:HEX"}', '"layers":[{"digest":"sha256:HEX","urls":["http://elsewhere/"]}]',
    } do
      assert_kept("a/v1.json", manifest(member))
    end
  end)

  it("by a tag, a digest, a referrer, a repository of any name", function()
    local text = manifest '"layers":[{"digest":"sha256:HEX","size":6}]'
    for _, key in ipairs { "a/b/c/v1.json", "Odd.Name/V1.json", "a/_referrers/sha256-1/sha256-2.json", "top.json",
                           "a/v1.json.orig", "a/_digests/else.json", "a/_uploads/x/y" } do
      assert_kept(key, text)
    end
    with_home(function(home, dir, task)
      support.put_artifact(home, "a", "by digest", { "one" })
      assert.same({}, assert(gc(task, home, DELETE)).blobs)
      assert.equal(2, #blobs_in(dir))
    end)
  end)

  it("also when its digits are written as escapes", function()
    local hex = core.digest("needed"):match(":(.*)")
    local escaped = hex:gsub("%x", function(c) return ("\\u%04x"):format(c:byte()) end)
    assert_kept("a/v1.json", manifest('"layers":[{"digest":"sha256:' .. escaped .. '","size":6}]'))
    assert_kept("a/v1.json", manifest('"' .. escaped .. '":1'))
  end)

  it("in a store of generation 1", function()
    with_home(function(home, dir, task)
      work.write_file(dir .. ".tar", golden.read("gen1/objects.tar"))
      assert(core.mkdir(dir))
      os.execute(("tar -xf '%s.tar' -C '%s'"):format(dir, dir))
      local before = blobs_in(dir)
      local gone = put(home, "gone")
      assert.is_true(#before > 3)
      assert.same({ gone }, digests(assert(gc(task, home, DELETE))))
      assert.same(before, blobs_in(dir))
    end)
  end)

  it("until its manifest is removed by its digest", function()
    with_home(function(home, _, task)
      local _, digest = support.put_artifact(home, "a", "v1", { "one" })
      support.put_artifact(home, "b", "v1", { "two" })
      assert(home:delete_manifest("a", "v1"))
      assert.same({}, assert(gc(task, home, DELETE)).blobs)
      assert(home:delete_manifest("a", digest))
      assert.same({ core.digest("one") }, digests(assert(gc(task, home, DELETE))))
      assert.is_true(home:blob_exists("b", core.digest("two")))
    end)
  end)
end)

describe("nothing is removed", function()
  -- Makes a store with an artifact and a blob that nothing needs, does harm, and looks what gc does.
  local function assert_refused(harm, said)
    with_home(function(home, dir, task)
      local _, digest = support.put_artifact(home, "vms/a", "v1", { "one" })
      support.put_artifact(home, "b", "v1", { "two" })
      put(home, "gone")
      harm(dir, dir .. "/manifests/vms/a/_digests/" .. digest:gsub(":", "-") .. ".json", home)
      local before = blobs_in(dir)
      local found = assert(gc(task, home, NOW))
      assert.is_true(#found.doubts >= 1)
      assert.matches(said, tostring(found.doubts[1]), 1, true)
      local refused, err = gc(task, home, DELETE)
      assert.is_nil(refused)
      assert.matches("nothing is removed while", err.message, 1, true)
      assert.matches(said, err.message, 1, true)
      assert.same(before, blobs_in(dir))
      assert.is_nil(work.read_file(dir .. "/gc.json"))
    end)
  end

  it("while a manifest is damaged", function()
    assert_refused(function(dir)
      local path = dir .. "/manifests/vms/a/v1.json"
      work.write_file(path, work.read_file(path):sub(1, -2))
    end, "manifests/vms/a/v1.json")
    assert_refused(function(_, by_digest)
      work.write_file(by_digest, (work.read_file(by_digest):gsub("%x%x%x%x", "0000")))
    end, "has become sha256:")
    assert_refused(function(_, by_digest)
      work.write_file(by_digest, "")
    end, "_digests/sha256-")
    assert_refused(function(dir)
      work.write_file(dir .. "/manifests/b/v2.json", "[" .. (" "):rep(4 * 1024 * 1024) .. "]")
    end, "manifests/b/v2.json")
    for _, key in ipairs { "Demo/v1", "vms/a..b/v1", "b/-v1" } do -- generation 1 took such names
      assert_refused(function(dir)
        assert(core.mkdir(dir .. "/manifests/" .. key:match("^(.+)/")))
        work.write_file(dir .. "/manifests/" .. key .. ".json", '{"schemaVersion":1,"layers":[{"digest":"01')
      end, "manifests/" .. key .. ".json")
    end
  end)

  it("while a repository is a link, or has a name that no key can have", function()
    assert_refused(function(dir)
      os.execute(("mv '%s/manifests/vms' '%s.elsewhere' && ln -s '%s.elsewhere' '%s/manifests/vms'"):format(
        dir, dir, dir, dir))
    end, '"manifests/vms"')
    assert_refused(function(dir)
      os.execute(("rm -r '%s/manifests/vms'; ln -s /nowhere '%s/manifests/vms'"):format(dir, dir))
    end, '"manifests/vms"')
    assert_refused(function(dir)
      os.execute(("mv '%s/manifests/vms/a' '%s/manifests/vms/a b'"):format(dir, dir))
    end, '"manifests/vms/a b"')
    assert_refused(function(dir)
      os.execute(("cd '%s/manifests/b' && mv v1.json x && ln -s x v1.json"):format(dir))
    end, '"manifests/b/v1.json"')
    assert_refused(function(dir)
      os.execute(("mv '%s/manifests' '%s.elsewhere' && ln -s '%s.elsewhere' '%s/manifests'"):format(dir, dir, dir, dir))
    end, '"manifests"')
  end)

  it("while all manifests are gone that the catalog has", function()
    assert_refused(function(dir)
      os.execute(("rm -r '%s/manifests'; mkdir '%s/manifests'"):format(dir, dir))
    end, "is a part of it not mounted?")
    assert_refused(function(dir)
      os.execute(("rm -r '%s/manifests'; truncate -s -5 '%s/catalog.json'"):format(dir, dir))
    end, "catalog.json is broken")
    with_home(function(home, dir, task)
      support.put_artifact(home, "a", "v1", { "one" })
      os.execute(("rm -r '%s/manifests' '%s/catalog.json'"):format(dir, dir))
      assert.equal(2, assert(gc(task, home, DELETE)).removed)
    end)
  end)

  it("by one gc while another removes", function()
    with_home(function(home, dir, task)
      put(home, "gone")
      local until_time = assert(home:announce_removal { core.digest("else") })
      local err = kind("busy", gc(task, home, DELETE))
      assert.matches("after 0 of 1 blobs: a gc is removing blobs", tostring(err), 1, true)
      os.execute(("touch -d '-1 hour' '%s/gc.json'"):format(dir)) -- it was killed
      assert.equal(1, assert(gc(task, home, DELETE)).removed)
      assert(home:announce_removal { core.digest("else") })
      assert(home:end_removal(until_time - 3600)) -- comes back to find another's
      assert.is_string(work.read_file(dir .. "/gc.json"))
    end)
  end)

  it("in a store that puts nothing under conditions", function()
    with_home(function(home, dir, task)
      local gone = put(home, "gone")
      local real = home.store
      home.store = setmetatable({
        put = function(_, key, size, body, given)
          if given and (given.if_match or given.if_none_match) then
            return errors.fail("unsupported", "501 NotImplemented")
          end
          return real:put(key, size, body, given)
        end,
      }, { __index = function(_, name)
        return real[name] and function(_, ...) return real[name](real, ...) end
      end })
      assert.same({ gone }, digests(assert(gc(task, home, NOW))))
      local err = kind("unsupported", gc(task, home, DELETE))
      assert.matches("cannot put objects under conditions", err.message, 1, true)
      assert.same({ gone }, blobs_in(dir))
    end)
  end)

  it("when there is no time left for it", function()
    with_home(function(home, dir, task)
      local gone = put(home, "gone")
      local limit = removal.LIMIT
      removal.LIMIT = 0
      local ok, err = gc(task, home, DELETE)
      removal.LIMIT = limit
      kind("timeout", ok, err)
      assert.same({ gone }, blobs_in(dir))
      assert.is_nil(work.read_file(dir .. "/gc.json"))
    end)
  end)

  it("that has been stored again meanwhile, or is needed again", function()
    with_home(function(home, dir, task)
      local again, needed, gone = put(home, "again"), put(home, "needed"), put(home, "gone")
      os.execute(("touch -d '-1 hour' '%s'/blobs/sha256/*"):format(dir))
      local announce = home.announce_removal
      function home.announce_removal(...)
        os.execute(("touch '%s/blobs/%s'"):format(dir, (again:gsub(":", "/"))))
        local manifest = '{"later":"' .. needed .. '"}'
        assert(home.store:put("manifests/a/v1.json", #manifest, manifest))
        return announce(...)
      end
      local found = assert(gc(task, home, { delete = true, grace = 60 }))
      assert.same({ 3, 1, 4 }, { #found.blobs, found.removed, found.freed })
      assert.same(sorted(again, needed), blobs_in(dir))
      assert.is_false(home:blob_exists("a", gone))
    end)
  end)
end)

describe("what is no blob", function()
  it("is not touched, and a blob of another size is one like others", function()
    with_home(function(home, dir, task)
      support.put_artifact(home, "a", "v1", { "one" })
      local one, hex = core.digest("one"):gsub(":", "/"), core.digest("x"):match(":(.*)")
      work.write_file(dir .. "/blobs/" .. one, "another size")
      for _, path in ipairs { "blobs/sha256/short", "blobs/sha256/" .. hex:upper(), "blobs/md5/" .. hex,
                              "blobs/" .. hex,
                              "blobs/sha256/more/" .. hex, "blobs/sha512/" .. hex, "uploads/u/1", "x" } do
        assert(core.mkdir((dir .. "/" .. path):match("^(.*)/")))
        work.write_file(dir .. "/" .. path, "x")
      end
      os.execute(("ln -s short '%s/blobs/sha256/%s'"):format(dir, hex))
      local before = support.files(dir)
      assert.same({}, assert(gc(task, home, DELETE)).blobs)
      assert.same(before, support.files(dir))
      assert.equal("link", core.stat(dir .. "/blobs/sha256/" .. hex).type)
    end)
  end)

  it("like the catalog, decides nothing, however large it is", function()
    with_home(function(home, dir, task)
      support.put_artifact(home, "a", "v1", { "one" })
      local gone = put(home, "gone")
      os.execute(("truncate -s 1T '%s/catalog.json'"):format(dir))
      assert.same({ gone }, digests(assert(gc(task, home, DELETE))))
      assert.equal(2, #blobs_in(dir))
    end)
  end)
end)

describe("a push beside a gc", function()
  it("tags what is whole or nothing, however their steps fall", function()
    with_home(function(home, _, task)
      local whole, refused = gc_race.run(task, home, 60, 0)
      assert.is_true(whole > 5 and refused > 5, ("%d whole, %d refused"):format(whole, refused))
    end)
  end)

  it("of generation 1 does so, too, though nothing but its tag stays", function()
    with_home(function(home, dir, task)
      local whole, refused = gc_race.run(task, home, 200, 0, 1)
      assert.is_true(whole > 20 and refused > 20, ("%d whole, %d refused"):format(whole, refused))
      local left = #(core.list(dir .. "/manifests/a/_digests") or {})
      assert.is_true(left <= refused, ("%d left, %d refused"):format(left, refused))
    end)
  end)

  it("of generation 1 stays by its digest while a gc goes on that may not have seen its tag", function()
    with_home(function(home, dir, task)
      put(home, "one")
      local bytes = gc_race.manifest_of("one"):gsub('"schemaVersion":2', '"schemaVersion":1')
      local held = ("%s/manifests/a/_digests/%s.json"):format(dir, (core.digest(bytes):gsub(":", "-")))
      local announced
      local put_object = home.store.put
      home.store.put = function(store, key, ...)
        if key == "manifests/a/v1.json" then
          announced = assert(home:announce_removal { core.digest("one") })
        end
        return put_object(store, key, ...)
      end
      assert(task:all {
        function()
          return (home:put_manifest("a", "v1", bytes))
        end,
        function()
          assert(task:sleep(0.2))
          assert.same({ "v1" }, home:tags("a"))
          assert.truthy(core.stat(held))
          return home:end_removal(announced)
        end,
      })
      assert.is_nil(core.stat(held))
      assert.equal(bytes, home:get_manifest("a", core.digest(bytes)).bytes)
    end)
  end)

  it("of generation 1 is seen though its tag was another's of the same size a moment before", function()
    with_home(function(home, dir, task)
      local old, new = gc_race.manifest_of("one"), gc_race.manifest_of("two")
      for _, bytes in ipairs { "one", "two", "gone" } do
        put(home, bytes)
      end
      assert(home:put_manifest("a", "v1", (old:gsub('"schemaVersion":2', '"schemaVersion":1'))))
      local path = dir .. "/manifests/a/v1.json"
      os.execute(("touch -r '%s' '%s.second'"):format(path, dir))
      local announce = home.announce_removal
      function home:announce_removal(named) -- gc has read all manifests once
        assert(home:put_manifest("a", "v1", (new:gsub('"schemaVersion":2', '"schemaVersion":1'))))
        os.execute(("touch -r '%s.second' '%s'"):format(dir, path))
        return announce(self, named)
      end
      assert.equal(1, assert(gc(task, home, DELETE)).removed)
      assert.is_true(home:blob_exists("a", core.digest("two")))
    end)
  end)

  it("of generation 1 stays by its digest beside manifests of today", function()
    with_home(function(home, dir)
      put(home, "one")
      local bytes = gc_race.manifest_of("one"):gsub('"schemaVersion":2', '"schemaVersion":1')
      assert(home:put_manifest("a", "v2", gc_race.manifest_of("one")))
      assert(home:put_manifest("a", "v1", bytes))
      assert.equal(2, #assert(core.list(dir .. "/manifests/a/_digests")))
      assert.equal(bytes, home:get_manifest("a", core.digest(bytes)).bytes)
    end)
  end)

  it("waits for a gc that has named its blobs, and for no other", function()
    with_home(function(home, dir, task)
      put(home, "one")
      put(home, "two")
      local until_time = assert(home:announce_removal { core.digest("one") })
      assert(home:put_manifest("a", "two", gc_race.manifest_of("two")))
      local order = {}
      assert(task:all {
        function()
          assert(home:put_manifest("a", "one", gc_race.manifest_of("one")))
          order[#order + 1] = "tagged"
          return true
        end,
        function()
          assert(task:sleep(0.1))
          assert.same({ "two" }, home:tags("a"))
          order[#order + 1] = "over"
          return home:end_removal(until_time)
        end,
      })
      assert.same({ "over", "tagged" }, order)

      assert(home:announce_removal { core.digest("one") })
      local wait = removal.WAIT
      removal.WAIT = 0.05
      local ok, err = home:put_manifest("a", "again", gc_race.manifest_of("one"))
      removal.WAIT = wait
      assert.matches("a gc is removing blobs from file://", kind("busy", ok, err).message, 1, true)
      os.execute(("touch -d '-1 hour' '%s/gc.json'"):format(dir)) -- it was killed
      assert(home:put_manifest("a", "again", gc_race.manifest_of("one")))
      for _, junk in ipairs { "", "no json", "[]", '{"blobs":1}', '{"blobs":{"a":"b"}}', '{"blobs":[1,null]}' } do
        work.write_file(dir .. "/gc.json", junk)
        assert(home:put_manifest("a", "again", gc_race.manifest_of("one")))
      end
    end)
  end)

  it("is safe in processes of their own, too", function()
    with_home(function(_, dir, task)
      local function start(text)
        local path = os.tmpname()
        work.write_file(path, ([[
          local dir = %q
          local core, gc, task = require "epoch.core", require "epoch.gc", require "epoch.task".new()
          local home = require "epoch.home".open(task, "file://" .. dir)
          ]]):format(dir) .. text .. "\ntask:close()")
        local process = assert(task.loop:spawn {
          argv = { children.lua, path }, env = { "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath },
        })
        return function()
          local ended = assert(task:await(process, "wait"))
          process:close()
          os.remove(path)
          return ended
        end
      end
      -- What is removed is pushed again, and looked for as soon as it has a tag.
      local push = start [[
        while not core.stat(dir .. ".go") do assert(task:sleep(0.001)) end
        for i = 1, 60 do
          local bytes = "blob " .. i % 3
          local digest, pushed, err = core.digest(bytes), nil, nil
          local manifest = ('{"schemaVersion":2,"layers":[{"digest":"%s","size":%d}],"n":%d}'):format(digest, #bytes, i)
          repeat
            assert(home:put_blob("a", digest, #bytes, bytes))
            pushed, err = home:put_manifest("a", "v1", manifest)
            assert(pushed or err.kind == "blob_unknown", tostring(err))
          until pushed
          assert(home:blob_exists("a", digest), "a tag without its blob")
          assert(home:delete_manifest("a", pushed))
        end]]
      local clean = start [[
        local removed, deadline = 0, core.now() + 30
        assert(io.open(dir .. ".go", "w")):close()
        while not core.stat(dir .. ".done") and core.now() < deadline do
          removed = removed + assert(gc(task, home, { delete = true, grace = 0 })).removed
        end
        assert(removed > 0, "nothing was ever removed")]]
      local pushed = push()
      work.write_file(dir .. ".done", "")
      assert.same({ code = 0, stderr = "" }, clean())
      assert.same({ code = 0, stderr = "" }, pushed)
    end)
  end)
end)
