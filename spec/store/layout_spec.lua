local core = require "epoch.core"
local children = require "spec.support.children"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local index = require "epoch.layout.index"
local json = require "epoch.json"
local support = require "spec.support.store"
local work = require "spec.support.work"

local function with_home(use)
  support.with_task(function(task, dir)
    local home = assert(homes.open(task, "oci:" .. dir .. "/lay"))
    use(home, dir .. "/lay", task)
    home:close()
  end)
end

local function kind(wanted, value, err)
  assert.is_nil(value)
  assert.is_true(errors.is(err))
  assert.equal(wanted, err.kind)
  return err
end

describe("an image layout", function()
  it("is made by the first that is stored, and is what the specification says", function()
    with_home(function(home, dir)
      kind("not_found", home:tags("demo"))
      kind("not_found", home:repositories())
      kind("not_found", home:get_manifest("demo", "v1"))
      assert.is_true(home:delete_manifest("demo", "v1"))
      assert.equal("not_found", select(3, core.stat(dir)))
      local bytes, digest = support.put_artifact(home, "demo", "v1", { "one" }, '"artifactType":"a/b",')
      assert.equal('{"imageLayoutVersion":"1.0.0"}', work.read_file(dir .. "/oci-layout"))
      assert.equal(('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":'
        .. '[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%d,"annotations":'
        .. '{"cocoonstack.repository.name":"demo","org.opencontainers.image.ref.name":"v1"},'
        .. '"artifactType":"a/b"}]}'):format(digest, #bytes), work.read_file(dir .. "/index.json"))
      assert.equal(bytes, work.read_file(dir .. "/blobs/" .. digest:gsub(":", "/")))
      local wanted = { bytes = bytes, digest = digest,
                       media_type = "application/vnd.oci.image.manifest.v1+json" }
      assert.same(wanted, home:get_manifest("demo", "v1"))
      assert.same(wanted, home:get_manifest("demo", digest))
      assert.same({ "demo" }, home:repositories())
      assert.same({ "v1" }, home:tags("demo"))
      kind("not_found", home:tags("other"))
    end)
  end)

  it("keeps blobs as the object layout does", function()
    with_home(function(home, dir, task)
      for _, bytes in ipairs { "", work.noise(100000) } do
        local digest = core.digest(bytes, "sha512")
        kind("digest_mismatch", home:put_blob("demo", core.digest("no"), #bytes, bytes))
        assert(home:put_blob("demo", digest, #bytes, bytes))
        assert.equal(#bytes, home:blob_size("demo", digest))
        work.assert_same_bytes(bytes, support.bytes(task, home:get_blob("demo", digest)))
        work.assert_same_bytes(bytes, work.read_file(dir .. "/blobs/" .. digest:gsub(":", "/")))
      end
    end)
  end)

  it("refuses hostile names before any path is touched", function()
    with_home(function(home, dir)
      for _, bad in ipairs { "..", "a/../b", "/a", "a\nb" } do
        kind("invalid", home:put_blob(bad, core.digest("x"), 1, "x"))
        kind("invalid", home:get_manifest(bad, "v1"))
        kind("invalid", home:put_manifest(bad, "v1", "{}"))
        kind("invalid", home:put_manifest("a", bad, "{}"))
        kind("invalid", home:delete_manifest("a", bad))
        kind("invalid", home:tags(bad))
        kind("invalid", home:blob_size("a", "sha256:" .. bad))
      end
      assert.same({}, support.files(dir .. "/blobs"))
      assert.equal("not_found", select(3, core.stat(dir .. "/index.json")))
    end)
  end)

  it("is one repository: a tag is moved by its own name only", function()
    with_home(function(home)
      local _, one = support.put_artifact(home, "demo", "v1", { "one" })
      local _, two = support.put_artifact(home, "demo", "v1", { "two" })
      assert.equal(two, home:get_manifest("demo", "v1").digest)
      assert.equal(one, home:get_manifest("demo", one).digest)
      assert(home:put_blob("other", core.digest("{}"), 2, "{}"))
      local err = kind("conflict", home:put_manifest("other", "v1", '{"layers":[]}'))
      assert.matches("has the tag v1 already, of demo", err.message, 1, true)
      assert(home:put_manifest("other", "v2", '{"layers":[]}'))
      assert.same({ "demo", "other" }, home:repositories())
      assert.same({ "v2" }, home:tags("other"))
      kind("not_found", home:get_manifest("demo", "v2"))
    end)
  end)

  it("deletes by tag and by digest", function()
    with_home(function(home)
      local _, one = support.put_artifact(home, "demo", "v1", { "one" })
      support.put_artifact(home, "demo", "v2", { "one" })
      support.put_artifact(home, "demo", "v3", { "three" })
      assert.is_true(home:delete_manifest("demo", "v2"))
      assert.is_true(home:delete_manifest("demo", "v2"))
      assert.same({ "v1", "v3" }, home:tags("demo"))
      assert.is_true(home:delete_manifest("demo", one))
      assert.same({ "v3" }, home:tags("demo"))
      kind("not_found", home:get_manifest("demo", one))
      assert.equal(3, home:blob_size("demo", core.digest("one")))
    end)
  end)

  it("takes manifests by digest without naming them", function()
    with_home(function(home, dir)
      local _, digest = support.put_artifact(home, "demo", "by digest", { "one" })
      assert.equal(digest, home:get_manifest("demo", digest).digest)
      kind("not_found", home:tags("demo"))
      assert.same({}, json.decode(work.read_file(dir .. "/index.json")).manifests)
      kind("digest_mismatch", home:put_manifest("demo", core.digest("x"), "{}"))
      kind("blob_unknown", home:put_manifest("demo", "v1",
        ('{"config":{"digest":"%s","size":1}}'):format(core.digest("nowhere"))))
    end)
  end)

  it("hands out nothing that has changed", function()
    with_home(function(home, dir)
      local bytes, digest = support.put_artifact(home, "demo", "v1", { "one" })
      local path = dir .. "/blobs/" .. digest:gsub(":", "/")
      work.write_file(path, (bytes:gsub("2", "3", 1)))
      kind("digest_mismatch", home:get_manifest("demo", "v1"))
      support.put_artifact(home, "demo", "v1", { "one" })
      assert.equal(bytes, home:get_manifest("demo", "v1").bytes)
      os.remove(path)
      kind("not_found", home:get_manifest("demo", "v1"))
    end)
  end)

  it("of another kind is left alone", function()
    with_home(function(home, dir)
      assert(core.mkdir(dir))
      work.write_file(dir .. "/oci-layout", '{"imageLayoutVersion":"2.0.0"}')
      kind("unsupported", home:put_blob("demo", core.digest("x"), 1, "x"))
      kind("unsupported", home:put_manifest("demo", "v1", "{}"))
      assert.same({ "oci-layout" }, support.files(dir))
      os.remove(dir .. "/oci-layout")
      for _, text in ipairs { "", "no json", "[]", '{"schemaVersion":1,"manifests":[]}', '{"schemaVersion":2}',
                              '{"schemaVersion":2,"manifests":{}}' } do
        work.write_file(dir .. "/index.json", text)
        kind("invalid", home:tags("demo"))
        kind("invalid", home:put_manifest("demo", "v1", "{}"))
        assert.equal(text, work.read_file(dir .. "/index.json"))
      end
    end)
  end)

  it("keeps what others wrote into its index", function()
    with_home(function(home, dir)
      local foreign = '{ "mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"' .. core.digest("f")
        .. '", "size":1.0, "urls":[], "platform":{"os.features":[],"x":"]}\\"\\\\"},'
        .. '"annotations":{"org.opencontainers.image.ref.name":"theirs"} }'
      local whole = '{"mediaType":"a/b","digest":"' .. core.digest("{}")
        .. '","size":2,"annotations":{"org.opencontainers.image.ref.name":"host.example/some/vm:v7"}}'
      assert(core.mkdir(dir))
      work.write_file(dir .. "/index.json", ('{"x":[1,{"y":12345678901234567890}],\n "manifests" : [ %s , 7,%s,'
        .. 'null,{}],"schemaVersion":2, "annotations":{},"z":1e2}\n'):format(foreign, whole))
      assert.same({ "theirs", "v7" }, home:tags("some/vm"))
      assert.same({ "theirs" }, home:tags("any"))
      assert.same({ "lay", "some/vm" }, home:repositories())
      assert(home:put_manifest("demo", "v1", '{"layers":[]}', "c/d"))
      local ours = ('{"mediaType":"c/d","digest":"%s","size":13,"annotations":{"cocoonstack.repository.name":"demo",'
        .. '"org.opencontainers.image.ref.name":"v1"}}'):format(core.digest('{"layers":[]}'))
      assert.equal('{"x":[1,{"y":12345678901234567890}],"manifests":[' .. foreign .. ",7," .. whole .. ",null,{},"
        .. ours .. '],"schemaVersion":2,"annotations":{},"z":1e2}', work.read_file(dir .. "/index.json"))
      assert.is_true(home:delete_manifest("any", "theirs"))
      assert.equal('{"x":[1,{"y":12345678901234567890}],"manifests":[7,' .. whole .. ",null,{},"
        .. ours .. '],"schemaVersion":2,"annotations":{},"z":1e2}', work.read_file(dir .. "/index.json"))
    end)
  end)

  it("loses nothing when two processes write at once", function()
    with_home(function(home, dir, task)
      local script = dir .. ".lua"
      work.write_file(script, ([[
        local dir, who = %q, arg[1]
        local core = require "epoch.core"
        local task = require "epoch.task".new()
        local home = require "epoch.home".open(task, "oci:" .. dir)
        assert(io.open(dir .. ".ready" .. who, "w")):close()
        while not core.stat(dir .. ".go") do assert(task:sleep(0.001)) end
        for i = 1, 50 do
          assert(home:put_manifest("vm", ("v%%d-%%s"):format(i, who), '{"schemaVersion":2,"layers":[]}'))
        end
        task:close()]]):format(dir))
      local processes = {}
      for i = 1, 2 do
        processes[i] = assert(task.loop:spawn {
          argv = { children.lua, script, tostring(i) },
          env = { "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath },
        })
      end
      assert.is_true(children.eventually(function()
        return core.stat(dir .. ".ready1") and core.stat(dir .. ".ready2") and true or false
      end, 10))
      work.write_file(dir .. ".go", "")
      for _, process in ipairs(processes) do
        local result = assert(task:await(process, "wait"))
        process:close()
        assert.same({ code = 0, stderr = "" }, result)
      end
      assert.equal(100, #home:tags("vm"))
    end)
  end)
end)

describe("index.json", function()
  it("survives being read and written", function()
    for _, text in ipairs {
      '{"schemaVersion":2,"manifests":[]}',
      '{"manifests":[{"a":"\\\\\\""},"[",[[]],-1.5e3,true,null],"schemaVersion":2}',
    } do
      assert.equal(text, index.encode(assert(index.parse(text))))
      local blank = text:gsub("([%[%]{},:])", " %1\n\t")
      if not text:find('"%[') then
        assert.equal(text, index.encode(assert(index.parse(blank))))
      end
    end
    local new = index.encode(index.new())
    assert.equal(new, index.encode(assert(index.parse(new))))
  end)
end)
