--- Everything hashed again: what is found broken, and what that breaks.
local core = require "epoch.core"
local errors = require "epoch.errors"
local fsck = require "epoch.fsck"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local media = require "epoch.media"
local support = require "spec.support.store"
local work = require "spec.support.work"

local HOMES = { ["file://"] = "file://", ["oci:"] = "oci:" }

local function with_home(scheme, use)
  support.with_task(function(task, dir)
    local home = assert(homes.open(task, scheme .. dir .. "/s"))
    use(home, dir .. "/s", task)
    home:close()
  end)
end

local function blob_path(dir, digest)
  return dir .. "/blobs/" .. digest:gsub(":", "/")
end

-- What is broken, as { { what, kind of error, breaks… }, … }.
local function broken(task, home)
  local list = {}
  for i, one in ipairs(assert(fsck(task, home)).broken) do
    assert.is_true(errors.is(one.err))
    list[i] = { one.what, one.err.kind }
    for _, ref in ipairs(one.breaks) do
      table.insert(list[i], ref)
    end
  end
  return list
end

-- Stores an index of these manifests under a tag: its digest.
local function put_index(home, name, tag, children)
  local list = {}
  for i, child in ipairs(children) do
    list[i] = ('{"mediaType":"%s","digest":"%s","size":%d}'):format(media.OCI_MANIFEST, core.digest(child), #child)
  end
  return assert(home:put_manifest(name, tag, ('{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}'):format(
    media.OCI_INDEX, table.concat(list, ",")), media.OCI_INDEX))
end

for kind, scheme in pairs(HOMES) do
  describe("a store that is whole, " .. kind, function()
    it("is told to be so, and how much of it there is", function()
      with_home(scheme, function(home, _, task)
        support.put_artifact(home, "a", "v1", { "one", "two" })
        local child = support.put_artifact(home, "a", "by digest", { ("x"):rep(300000) })
        put_index(home, "a", "all", { child })
        local told, most = {}, 0
        local report = assert(fsck(task, home, { on_event = function(e)
          told[#told + 1] = e.event
          most = math.max(most, e.bytes)
        end }))
        assert.same({}, report.broken)
        local is_layout = kind == "oci:" -- where manifests are blobs
        assert.equal(is_layout and 7 or 4, report.blobs)
        assert.is_true(report.size >= 300008)
        assert.equal(is_layout and 3 or 5, report.manifests)
        assert.equal("plan", told[1])
        assert.equal(300000, most)
      end)
    end)
  end)

  describe("a blob that is broken, " .. kind, function()
    for how, bytes in pairs { digest_mismatch = "One", shorter = "on", longer = "one!", empty = "" } do
      it("breaks the tags that need it: " .. how, function()
        with_home(scheme, function(home, dir, task)
          local child = support.put_artifact(home, "a", "v1", { "one", "two" })
          support.put_artifact(home, "a", "v2", { "one" })
          local _, untagged = support.put_artifact(home, "a", "by digest", { "one", "three" })
          support.put_artifact(home, "a", "v3", { "two" })
          put_index(home, "a", "all", { child })
          local one = core.digest("one")
          work.write_file(blob_path(dir, one), bytes)
          local wanted = { "blob " .. one, "digest_mismatch", "a:all", "a:v1", "a:v2" }
          if kind == "file://" then -- a layout does not know those that are in no index
            wanted[#wanted + 1] = "a@" .. untagged
          end
          assert.same({ wanted }, broken(task, home))
        end)
      end)
    end

    it("or missing, or needed by nothing", function()
      with_home(scheme, function(home, dir, task)
        support.put_artifact(home, "a", "v1", { "one" })
        local one, loose = core.digest("one"), core.digest("loose", "sha512")
        assert(home:put_blob("a", loose, 5, "loose"))
        assert(core.unlink(blob_path(dir, one)))
        work.write_file(blob_path(dir, loose), "lost")
        local report = assert(fsck(task, home))
        assert.same({ { "blob " .. one, "not_found", "a:v1" }, { "blob " .. loose, "digest_mismatch" } },
          broken(task, home))
        assert.equal(one, report.broken[1].digest)
        assert.matches("it is not in " .. home:describe() .. ", and a", report.broken[1].err.message, 1, true)
        os.execute(("mv '%s' '%s/x' && ln -s '%s/x' '%s'"):format(blob_path(dir, loose), dir, dir,
          blob_path(dir, one)))
        assert.same({ { "blob " .. one, "not_found", "a:v1" } }, broken(task, home))
      end)
    end)
  end)
end

describe("a manifest that is broken", function()
  local function path(dir, name, digest)
    return ("%s/manifests/%s/_digests/%s.json"):format(dir, name, (digest:gsub(":", "-")))
  end

  it("breaks its tag, and the indexes that list it", function()
    with_home("file://", function(home, dir, task)
      local child, digest = support.put_artifact(home, "a", "by digest", { "one" })
      local _, other = support.put_artifact(home, "a", "v1", { "two" })
      put_index(home, "a", "all", { child })
      local index_digest = put_index(home, "b", "all", {})
      work.write_file(path(dir, "a", digest), child .. " ")
      assert.same({ { "manifest a@" .. digest, "digest_mismatch", "a:all", "a@" .. digest } }, broken(task, home))
      assert(core.unlink(path(dir, "a", digest)))
      assert.same({ { "manifest a@" .. digest, "not_found", "a:all", "a@" .. digest } }, broken(task, home))
      work.write_file(path(dir, "a", digest), child)
      work.write_file(dir .. "/manifests/a/v1.json", "{")
      assert.same({ { "manifest a:v1", "invalid", "a:v1" } }, broken(task, home))
      work.write_file(dir .. "/manifests/a/v1.json", (child:gsub("{", "{ ", 1)))
      assert.same({ { "manifest a:v1", "digest_mismatch", "a:v1" } }, broken(task, home))
      assert(home:delete_manifest("a", "v1"))
      assert.same({}, broken(task, home))
      work.write_file(path(dir, "a", other), "[]")
      work.write_file(path(dir, "b", index_digest), (" "):rep(4 * 1024 * 1024 + 1))
      assert.same({ { "manifest a@" .. other, "invalid", "a@" .. other },
                    { "manifest b@" .. index_digest, "too_large", "b@" .. index_digest } }, broken(task, home))
    end)
  end)

  it("says of a blob what it is not", function()
    with_home("file://", function(home, dir, task)
      support.put_artifact(home, "a", "v1", { "one" })
      local one = core.digest("one")
      work.write_file(dir .. "/manifests/a/v2.json", ('{"layers":[{"digest":"%s","size":4}]}'):format(one))
      work.write_file(dir .. "/manifests/a/v3.json", '{"layers":[{"digest":"sha256:no","size":4}]}')
      work.write_file(dir .. "/manifests/a/v4.json", '{"manifests":[1,{"digest":"x"},null],"layers":null}')
      assert.same({ { "manifest a:v2", "size_mismatch", "a:v2" }, { "manifest a:v3", "invalid", "a:v3" } },
        broken(task, home))
    end)
  end)

  it("may be behind a link, or have a name that nobody finds", function()
    with_home("file://", function(home, dir, task)
      support.put_artifact(home, "a/b", "v1", { "one" })
      os.execute(("mv '%s/manifests/a' '%s.a' && ln -s '%s.a' '%s/manifests/a'"):format(dir, dir, dir, dir))
      work.write_file(dir .. "/manifests/readme", "hello")
      local found = broken(task, home)
      assert.same({ "manifests/a", "unsupported" }, found[1])
      assert.same({ "manifests/readme", "invalid" }, found[2])
      assert.equal(2, #found)
    end)
  end)

  it("is a blob in a layout", function()
    with_home("oci:", function(home, dir, task)
      local child, digest = support.put_artifact(home, "a", "by digest", { "one" })
      local index = put_index(home, "a", "all", { child })
      work.write_file(blob_path(dir, digest), child .. " ")
      assert.same({ { "blob " .. digest, "digest_mismatch", "a:all" } }, broken(task, home))
      assert(core.unlink(blob_path(dir, digest)))
      assert.same({ { "blob " .. digest, "not_found", "a:all" } }, broken(task, home))
      assert(core.unlink(blob_path(dir, index)))
      assert.same({ { "blob " .. index, "not_found", "a:all" } }, broken(task, home))
      work.write_file(dir .. "/index.json", "{")
      local report, err = fsck(task, home)
      assert.is_nil(report)
      assert.equal("invalid", err.kind)
    end)
  end)
end)

describe("fsck", function()
  it("knows stores of generation 1", function()
    with_home("file://", function(home, dir, task)
      work.write_file(dir .. ".tar", golden.read("gen1/objects.tar"))
      assert(core.mkdir(dir))
      os.execute(("tar -xf '%s.tar' -C '%s'"):format(dir, dir))
      assert.same({}, broken(task, home))
      local one = work.output(("cd '%s/blobs/sha256' && ls | head -n 1"):format(dir))
      work.write_file(dir .. "/blobs/sha256/" .. one, "x")
      assert.same({ { "blob sha256:" .. one, "digest_mismatch", "g-small:v1" } }, broken(task, home))
      -- and what has a name there that none has here
      local key = "manifests/Demo/v1.json"
      assert(home.store:put(key, #work.read_file(dir .. "/manifests/g-small/v1.json"),
        work.read_file(dir .. "/manifests/g-small/v1.json")))
      assert.same({ { "blob sha256:" .. one, "digest_mismatch", "g-small:v1", key } }, broken(task, home))
      assert(core.unlink(dir .. "/blobs/sha256/" .. one))
      assert.same({ { "blob sha256:" .. one, "not_found", "g-small:v1", key } }, broken(task, home))
      assert(home:delete_manifest("g-small", "v1"))
      work.write_file(dir .. "/" .. key, "{")
      assert.same({ { key, "invalid", key } }, broken(task, home))
    end)
  end)

  it("believes no manifest of today that has lost its copy by digest, however old", function()
    with_home("file://", function(home, dir, task)
      local _, digest = support.put_artifact(home, "a", "v1", { "one" })
      support.put_artifact(home, "a", "v2", { "two" })
      assert(core.unlink(dir .. "/manifests/a/_digests/" .. digest:gsub(":", "-") .. ".json"))
      os.execute(("touch -d 2001-01-01 '%s/manifests/a/v1.json'"):format(dir))
      assert.same({ { "manifest a:v1", "digest_mismatch", "a:v1" } }, broken(task, home))
    end)
  end)

  it("takes nothing for broken that others store or remove meanwhile", function()
    with_home("file://", function(home, _, task)
      local _, digest = support.put_artifact(home, "a", "v1", { "one" })
      local late = support.put_artifact(home, "a", "by digest", { "three" })
      put_index(home, "a", "all", { late })
      local child = support.put_artifact(home, "b", "by digest", { "two" })
      local each = home.each_manifest
      function home.each_manifest(self, given, use)
        assert(each(self, given, function(one)
          -- as if these copies by digest had come after their keys' turn
          if one.digest ~= digest and one.digest ~= core.digest(late) then
            use(one)
          end
        end))
        put_index(home, "b", "all", { child })
        assert(home:delete_blob("b", core.digest("two")))
        assert(home:delete_manifest("b", core.digest(child)))
        return true
      end
      assert.same({}, broken(task, home))
      home.each_manifest = nil
      assert.same({ { "manifest b@" .. core.digest(child), "not_found", "b:all", "b@" .. core.digest(child) } },
        broken(task, home))
      assert(home:delete_manifest("a", digest))
    end)
  end)

  it("ends when it is told to, and says where it does not work", function()
    with_home("file://", function(home, _, task)
      for i = 1, 50 do
        support.put_artifact(home, "a", "v" .. i, { "blob " .. i })
      end
      local report, err = fsck(task, home, { on_event = function(e)
        if e.event == "plan" then
          task.loop:cancel("enough")
        end
      end })
      assert.is_nil(report)
      assert.equal("cancelled", err.kind)
      local remote = assert(homes.open(task, "http://127.0.0.1:1"))
      report, err = fsck(task, remote)
      assert.is_nil(report)
      assert.equal("unsupported", err.kind)
      assert.matches("http://127.0.0.1:1/ is a registry", err.message, 1, true)
      remote:close()
    end)
  end)
end)
