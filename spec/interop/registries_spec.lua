--- What epoch.client needs of a registry, tried on real ones; and where they differ, that it
-- comes out as spec/support/registries.lua says.
local client = require "epoch.client"
local core = require "epoch.core"
local media = require "epoch.media"
local registries = require "spec.support.registries"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MIB = 1024 * 1024
local MANIFEST = '{"schemaVersion":2,%s"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s",'
  .. '"size":2},"layers":[],"annotations":{"note":"%s"}}'

local function manifest_of(note, more, config)
  return MANIFEST:format(more or ('"mediaType":"%s",'):format(media.OCI_MANIFEST), config or core.digest("{}"), note)
end

registries.each(function(one, start)
  local r, task, home

  setup(function()
    r = start()
  end)

  teardown(function()
    r:stop()
  end)

  local function open(more)
    local options = { url = r.url, docker_config = false, proxy = "" }
    options.credentials = r.user and function() return r.user, r.password end
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return assert(client.new(task, options))
  end

  before_each(function()
    task = assert(tasks.new())
    home = open()
  end)

  after_each(function()
    home:close()
    task:close()
  end)

  local function bytes_of(source, err)
    local sink = core.collect(32 * MIB)
    assert(task:flow { source = assert(source, err), sink = sink })
    local bytes = sink:bytes()
    sink:close()
    return bytes
  end

  local function put(name, bytes)
    assert.is_true(assert(home:put_blob(name, core.digest(bytes), #bytes, core.bytes(bytes))))
  end

  local function push(name, tag, note)
    put(name, "{}")
    local bytes = manifest_of(note)
    return assert(home:put_manifest(name, tag, bytes, media.OCI_MANIFEST)), bytes
  end

  local function kind(wanted, value, err)
    assert.is_nil(value)
    assert.equal(wanted, err.kind, tostring(err))
    return err
  end

  it("answers a ping", function()
    assert.is_true(assert(home:ping()))
  end)

  it("takes and gives blobs, and is sent nothing that it has", function()
    local name = registries.fresh "blobs"
    for _, size in ipairs { one.empty and 0 or 1, 5, 5 * MIB } do
      local bytes = name .. work.noise(size)
      bytes = size == 0 and "" or bytes
      local digest = core.digest(bytes)
      kind("not_found", home:blob_size(name, digest))
      kind("not_found", home:get_blob(name, digest))
      put(name, bytes)
      assert.equal(#bytes, assert(home:blob_size(name, digest)))
      work.assert_same_bytes(bytes, bytes_of(home:get_blob(name, digest)))
      assert.is_true(home:put_blob(name, digest, #bytes, function() error("not needed") end))
    end
  end)

  it("takes what has no digest yet, or no length", function()
    local name = registries.fresh "streams"
    for _, size in ipairs { one.empty and 0 or 1, 5, 5 * MIB } do
      local bytes = work.noise(size)
      assert.same({ size = size, digest = core.digest(bytes) },
        assert(home:put_blob_stream(name, core.bytes(bytes))))
      assert.equal(size, assert(home:blob_size(name, core.digest(bytes))))
    end
    local bytes = name .. work.noise(3 * MIB)
    local from, into = core.pipe()
    local flow = task.loop:flow { source = core.bytes(bytes), sink = into }
    assert.is_true(assert(home:put_blob(name, core.digest(bytes), #bytes, from)))
    flow:close()
    work.assert_same_bytes(bytes, bytes_of(home:get_blob(name, core.digest(bytes))))
  end)

  it("refuses bytes that are not what the digest says", function()
    local name, digest = registries.fresh "wrong", core.digest(registries.fresh "x")
    kind("refused", home:put_blob(name, digest, 3, function() return core.bytes "abd" end))
    kind("not_found", home:blob_size(name, digest))
  end)

  it((one.sha512 and "keeps" or "refuses") .. " a blob by its sha512", function()
    local name, bytes = registries.fresh "sha512", "other digest"
    local digest = core.digest(bytes, "sha512")
    local ok, err = home:put_blob(name, digest, #bytes, core.bytes(bytes))
    if one.sha512 then
      assert.is_true(ok)
      assert.equal(bytes, bytes_of(home:get_blob(name, digest)))
    else
      kind("refused", ok, err)
    end
  end)

  it("gives " .. (one.parts and "parts" or "no parts") .. " of a blob", function()
    local name, bytes = registries.fresh "parts", work.noise(100000)
    put(name, bytes)
    for _, range in ipairs { { 5, 10 }, { 99999, nil }, { 12345, 50000 } } do
      local source, size = home:get_blob(name, core.digest(bytes), { offset = range[1], length = range[2] })
      if one.parts then
        local want = bytes:sub(range[1] + 1, range[2] and range[1] + range[2])
        assert.equal(#want, size)
        work.assert_same_bytes(want, bytes_of(source))
      else
        kind("unsupported", source, size)
      end
    end
  end)

  it((one.mounts and "links" or "does not link") .. " a blob of another repository", function()
    local from, to, bytes = registries.fresh "from", registries.fresh "to", registries.fresh "mounted"
    put(from, bytes)
    assert.equal(one.mounts, home:mount_blob(to, core.digest(bytes), from))
    if one.mounts then
      assert.equal(#bytes, home:blob_size(to, core.digest(bytes)))
    end
    assert.is_false(home:mount_blob(to, core.digest(registries.fresh "nowhere"), from))
  end)

  it("keeps a manifest's bytes, by tag and by digest", function()
    local name = registries.fresh "manifests"
    local digest, bytes = push(name, "v1", "one")
    local want = { bytes = bytes, media_type = media.OCI_MANIFEST, digest = digest }
    assert.same(want, assert(home:get_manifest(name, "v1")))
    assert.same(want, assert(home:get_manifest(name, digest)))
    kind("not_found", home:get_manifest(name, "v2"))
    kind("not_found", home:get_manifest(registries.fresh "none", "v1"))

    local child = manifest_of("child")
    assert.equal(core.digest(child), home:put_manifest(name, core.digest(child), child, media.OCI_MANIFEST))
    assert.equal(child, assert(home:get_manifest(name, core.digest(child))).bytes)
    local plain = manifest_of("plain", "")
    assert(home:put_manifest(name, "plain", plain, media.OCI_MANIFEST))
    assert.same({ bytes = plain, media_type = media.OCI_MANIFEST, digest = core.digest(plain) },
      assert(home:get_manifest(name, "plain")))
  end)

  it("keeps an index", function()
    local name = registries.fresh "index"
    local digest, child = push(name, "v1", "child of an index")
    local bytes = ('{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"%s","digest":"%s","size":%d}]}')
      :format(media.OCI_INDEX, media.OCI_MANIFEST, digest, #child)
    assert.equal(core.digest(bytes), assert(home:put_manifest(name, "all", bytes, media.OCI_INDEX)))
    assert.same({ bytes = bytes, media_type = media.OCI_INDEX, digest = core.digest(bytes) },
      assert(home:get_manifest(name, "all")))
  end)

  it((one.wants_blobs and "refuses" or "takes") .. " a manifest whose blobs it does not have", function()
    local bytes = manifest_of("lacking", nil, core.digest(registries.fresh "nowhere"))
    local digest, err = home:put_manifest(registries.fresh "lacking", "v1", bytes, media.OCI_MANIFEST)
    if one.wants_blobs then
      kind("refused", digest, err)
      assert.matches("MANIFEST_", err.message)
    else
      assert.equal(core.digest(bytes), digest)
    end
  end)

  it("lists tags and repositories, page by page where it has pages", function()
    local name = registries.fresh "listed"
    for _, tag in ipairs { "c", "a", "e", "b", "d" } do
      push(name, tag, tag)
    end
    local paged = open { page_size = 2 }
    assert.same({ "a", "b", "c", "d", "e" }, assert(paged:tags(name)))
    for i = 1, 3 do
      push(name .. "/below" .. i, "v1", "one")
    end
    local below = open { page_size = 2, url = r.url .. "/" .. name }
    assert.same({ "below1", "below2", "below3" }, assert(below:repositories()))
    assert.same({ "v1" }, assert(below:tags("below2")))
    assert.same(assert(home:repositories()), assert(paged:repositories()))
  end)

  it("has " .. (one.knows_names and "nothing" or "no tags") .. " of a repository that is not there", function()
    local tags, err = home:tags(registries.fresh "none")
    if one.knows_names then
      kind("not_found", tags, err)
    else
      assert.same({}, tags)
    end
  end)

  it("deletes a tag" .. (one.deletes_tags and "" or " with its manifest, and says so"), function()
    local name = registries.fresh "deleted"
    local digest = push(name, "v1", "one")
    local ok, note = home:delete_manifest(name, "v1")
    assert.is_true(ok)
    kind("not_found", home:get_manifest(name, "v1"))
    if one.deletes_tags then
      assert.is_nil(note)
      assert.equal(digest, assert(home:get_manifest(name, digest)).digest)
    else
      assert.matches(digest, note, 1, true)
      kind("not_found", home:get_manifest(name, digest))
    end
    assert.is_true(home:delete_manifest(name, "v1"))
  end)

  it("deletes a manifest with its tags, and no other", function()
    local name = registries.fresh "digests"
    local digest = push(name, "v1", "two")
    push(name, "v2", "two")
    push(name, "v3", "another")
    if not one.deletes_tags then
      kind("unsupported", home:delete_manifest(name, "v1"))
    end
    assert.is_true(home:delete_manifest(name, digest))
    for _, ref in ipairs { "v1", "v2", digest } do
      kind("not_found", home:get_manifest(name, ref))
    end
    assert.is_truthy(home:get_manifest(name, "v3"))
    assert.is_true(home:delete_manifest(name, digest))
  end)
end)
