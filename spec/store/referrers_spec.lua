--- What refers to what, and what came as what, in a registry on an object store.
local core = require "epoch.core"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local json = require "epoch.json"
local support = require "spec.support.store"

local IMAGE = "application/vnd.oci.image.manifest.v1+json"
local EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

local function about(subject, more)
  return ('{"schemaVersion":2,"mediaType":"%s",%s"config":{"mediaType":"a/config","digest":"%s","size":2},"layers":[]'
    .. ',"subject":{"mediaType":"%s","digest":"%s","size":5}}'):format(IMAGE, more or "", EMPTY, IMAGE, subject)
end

local function with_home(use)
  support.with_task(function(task, dir)
    local home = assert(homes.open(task, "file://" .. dir .. "/store"))
    assert(home:put_blob("a", EMPTY, 2, "{}"))
    use(home, task, dir)
    home:close()
  end)
end

local function digests(page)
  local list = {}
  for i, entry in ipairs(page.list) do
    list[i] = json.decode(entry).digest
  end
  return list
end

describe("what refers to a manifest", function()
  local SUBJECT = core.digest("not there yet")

  it("is listed with its type and annotations, also before the subject is there", function()
    with_home(function(home)
      assert.same({ list = {}, more = false }, home:referrers("a", SUBJECT))
      local bytes = about(SUBJECT, '"artifactType":"a/b","annotations":{"z":"1","k":"v"},')
      local digest = assert(home:put_manifest("a", core.digest(bytes), bytes))
      local page = assert(home:referrers("a", SUBJECT))
      assert.same({ ('{"mediaType":"%s","digest":"%s","size":%d,"artifactType":"a/b","annotations":{"k":"v","z":"1"}}')
        :format(IMAGE, digest, #bytes) }, page.list)
      assert.same({}, home:referrers("b", SUBJECT).list)
    end)
  end)

  it("has the type of its config where it has none, and can be chosen by it", function()
    with_home(function(home)
      local plain, typed = about(SUBJECT), about(SUBJECT, '"artifactType":"x/y",')
      assert(home:put_manifest("a", "plain", plain))
      assert(home:put_manifest("a", "typed", typed))
      assert.equal(2, #assert(home:referrers("a", SUBJECT)).list)
      assert.same({ core.digest(plain) }, digests(assert(home:referrers("a", SUBJECT, { artifact_type = "a/config" }))))
      assert.same({ core.digest(typed) }, digests(assert(home:referrers("a", SUBJECT, { artifact_type = "x/y" }))))
      assert.same({}, home:referrers("a", SUBJECT, { artifact_type = "no/such" }).list)
    end)
  end)

  it("is no longer listed when it is gone, even if it went some other way", function()
    with_home(function(home)
      local one, two = about(SUBJECT), about(SUBJECT, '"artifactType":"x/y",')
      assert(home:put_manifest("a", "one", one))
      assert(home:put_manifest("a", "two", two))
      assert(home:delete_manifest("a", core.digest(one)))
      assert.same({ core.digest(two) }, digests(assert(home:referrers("a", SUBJECT))))
      assert(home.store:delete((home:manifest_key("a", core.digest(two)))))
      assert.same({}, home:referrers("a", SUBJECT).list)
    end)
  end)

  it("comes a page at a time where it is much", function()
    with_home(function(home)
      local all = {}
      for i = 1, 3 do
        local bytes = about(SUBJECT, ('"annotations":{"n":"%d%s"},'):format(i, ("x"):rep(2000000)))
        all[i] = assert(home:put_manifest("a", core.digest(bytes), bytes))
      end
      table.sort(all)
      local found, after = {}, nil
      repeat
        local page = assert(home:referrers("a", SUBJECT, { after = after }))
        assert.equal(1, #page.list)
        found[#found + 1], after = digests(page)[1], page.last
      until not page.more
      assert.same(all, found)
    end)
  end)

  it("is read no further than a page takes", function()
    with_home(function(home)
      for i = 1, 20 do
        local bytes = about(SUBJECT, ('"annotations":{"n":"%d%s"},'):format(i, ("x"):rep(450000)))
        assert(home:put_manifest("a", core.digest(bytes), bytes))
      end
      local read, most = home.store.read, 0
      home.store.read = function(...)
        most = most + 1
        return read(...)
      end
      assert.is_true(assert(home:referrers("a", SUBJECT)).more)
      assert.is_true(most <= 8, most)
    end)
  end)

  it("must name a digest", function()
    with_home(function(home)
      for _, subject in ipairs { '"x"', '{"digest":"sha256:no"}', "{}", "1" } do
        local bytes = ('{"schemaVersion":2,"mediaType":"%s","subject":%s}'):format(IMAGE, subject)
        local ok, err = home:put_manifest("a", "v1", bytes)
        assert.is_nil(ok)
        assert.equal("invalid", err.kind)
        assert.matches("subject", err.message)
      end
      assert.same({}, home:repositories())
    end)
  end)
end)

describe("a manifest that does not say what it is", function()
  local DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
  local bytes = ('{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"%s","size":2},"layers":[]}'):format(EMPTY)

  it("is given as what it came as, by tag and by digest, until it is removed", function()
    with_home(function(home)
      local digest = assert(home:put_manifest("a", "v1", bytes, DOCKER))
      assert.equal(DOCKER, home:get_manifest("a", "v1").media_type)
      assert.equal(DOCKER, home:get_manifest("a", digest).media_type)
      assert(home:delete_manifest("a", digest))
      assert(home:put_manifest("a", "v1", bytes, IMAGE))
      assert.equal(IMAGE, home:get_manifest("a", "v1").media_type)
    end)
  end)

  it("hides no blob from those who look after the store", function()
    with_home(function(home)
      assert(home:put_manifest("a", "v1", bytes, DOCKER))
      local seen = {}
      assert(home:each_manifest({ concurrency = 1 }, function(one)
        assert.is_nil(one.err, tostring(one.err))
        seen[#seen + 1] = one.key
      end))
      assert.equal(2, #seen)
    end)
  end)
end)

describe("a tag", function()
  it("goes by the digest that its manifest was put by", function()
    with_home(function(home)
      local bytes = about(core.digest("x"))
      local digest = core.digest(bytes, "sha512")
      assert.equal(digest, home:put_manifest("a", digest, bytes))
      assert(home:tag_manifest("a", digest, { "v1", "v2" }))
      assert.equal(digest, home:get_manifest("a", "v2").digest)
      assert.same({ "v1", "v2" }, home:tags("a"))
      assert.equal(1, #home:referrers("a", core.digest("x")).list)
      local ok, err = home:tag_manifest("a", digest, { "v3", "-" })
      assert.is_nil(ok)
      assert.equal("invalid", err.kind)
      assert.same({ "v1", "v2" }, home:tags("a"))
    end)
  end)
end)

describe("an index", function()
  it("can be asked to be whole, and a manifest not to be", function()
    with_home(function(home)
      local child = ('{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"a/b","digest":"%s","size":2}}')
        :format(IMAGE, EMPTY)
      local index = ('{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"%s","size":%d}]}'):format(
        IMAGE, core.digest(child), #child)
      local ok, err = home:put_manifest("a", "all", index, nil, { children = true })
      assert.is_nil(ok)
      assert.equal("blob_unknown", err.kind)
      assert(home:put_manifest("a", "all", index, nil, { children = true, sparse = true }))
      assert(home:put_manifest("a", core.digest(child), child))
      assert(home:put_manifest("a", "all", index, nil, { children = true }))
      assert.is_true(errors.is(select(2, home:put_manifest("a", "v1", (child:gsub("441", "442"))))))
      assert(home:put_manifest("a", "v1", (child:gsub("441", "442")), nil, { sparse = true }))
    end)
  end)
end)
