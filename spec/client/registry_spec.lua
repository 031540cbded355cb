local client = require "epoch.client"
local core = require "epoch.core"
local errors = require "epoch.errors"
local registry = require "spec.support.registry"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MIB = 1024 * 1024
local MANIFEST = "application/vnd.oci.image.manifest.v1+json"

local function manifest_of(config, layers, note)
  local list = {}
  for i, layer in ipairs(layers) do
    list[i] = ('{"mediaType":"application/octet-stream","digest":"%s","size":%d}'):format(core.digest(layer), #layer)
  end
  return ('{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.empty.v1+json",'
    .. '"digest":"%s","size":%d},"layers":[%s],"annotations":{"note":"%s"}}'):format(MANIFEST,
    core.digest(config), #config, table.concat(list, ","), note or "")
end

local missing = registry.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs docker-registry", function() pending(missing) end)
  end)
end or describe

describe_or_skip("docker-registry", function()
  local r, task, home

  setup(function()
    r = registry.start()
  end)

  teardown(function()
    r:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
    home = assert(client.new(task, { url = r.url, docker_config = false, proxy = "" }))
  end)

  after_each(function()
    home:close()
    task:close()
  end)

  local function bytes_of(source, size)
    local sink = core.collect(32 * MIB)
    assert(task:flow { source = source, sink = sink, size = size })
    return sink:bytes()
  end

  local function bytes_body(bytes)
    return function() return core.bytes(bytes) end
  end

  local function put(name, bytes)
    assert.is_true(assert(home:put_blob(name, core.digest(bytes), #bytes, bytes_body(bytes))))
  end

  local function push(name, tag, note)
    put(name, "{}")
    local bytes = manifest_of("{}", {}, note)
    return assert(home:put_manifest(name, tag, bytes, MANIFEST)), bytes
  end

  it("answers a ping and describes itself", function()
    assert.is_true(assert(home:ping()))
    assert.equal(r.url .. "/", home:describe())
  end)

  it("takes and gives blobs of any size", function()
    for _, size in ipairs { 0, 5, 20 * MIB } do
      local bytes = work.noise(size)
      local digest = core.digest(bytes)
      local have, err = home:blob_size("blobs/sized", digest)
      assert.is_nil(have)
      assert.equal("not_found", err.kind)
      put("blobs/sized", bytes)
      assert.equal(size, assert(home:blob_size("blobs/sized", digest)))
      local source, length = home:get_blob("blobs/sized", digest)
      assert.equal(size, length)
      work.assert_same_bytes(bytes, bytes_of(assert(source), size))
    end
  end)

  it("gives a part of a blob", function()
    local bytes = work.noise(100000)
    put("blobs/parts", bytes)
    for _, range in ipairs { { 0, 10 }, { 5, nil }, { 99999, 1 }, { 12345, 50000 } } do
      local offset, length = range[1], range[2]
      local want = bytes:sub(offset + 1, length and offset + length)
      local source, size = home:get_blob("blobs/parts", core.digest(bytes), { offset = offset, length = length })
      assert.equal(#want, size)
      work.assert_same_bytes(want, bytes_of(source))
    end
  end)

  it("lets who sends a blob be told how far it is", function()
    local bytes, told = ("sent"):rep(4 * MIB), {}
    local function send()
      return assert(home:put_blob("blobs/told", core.digest(bytes), #bytes, core.bytes(bytes), function(sent)
        told[#told + 1] = sent
      end))
    end
    send()
    assert.equal(0, told[1])
    assert.equal(#bytes, told[#told])
    for i = 2, #told do
      assert.is_true(told[i] >= told[i - 1])
    end
    local between = 0
    for _, sent in ipairs(told) do
      between = between + (sent > 0 and sent < #bytes and 1 or 0)
    end
    assert.is_true(between > 0)
    told = {}
    send()
    assert.same({}, told) -- it is there
  end)

  it("is sent nothing that it has", function()
    local bytes = work.noise(1000)
    put("blobs/once", bytes)
    local opened = false
    assert.is_true(home:put_blob("blobs/once", core.digest(bytes), #bytes, function()
      opened = true
      return core.bytes(bytes)
    end))
    assert.is_false(opened)
    assert.is_true(home:put_blob("blobs/once", core.digest(bytes), #bytes, core.bytes(bytes)))
  end)

  it("refuses bytes that are not what the digest says", function()
    local ok, err = home:put_blob("blobs/wrong", core.digest("abc"), 3, bytes_body("abd"))
    assert.is_nil(ok)
    assert.equal("refused", err.kind)
    assert.matches("DIGEST_INVALID", err.message)
    assert.matches("^upload sha256:ba7816bf", tostring(err))
    assert.equal("not_found", select(2, home:blob_size("blobs/wrong", core.digest("abc"))).kind)
  end)

  it("is not even asked when the length is another one", function()
    local ok, err = home:put_blob("blobs/wrong", core.digest("abc"), 4, bytes_body("abc"))
    assert.is_nil(ok)
    assert.equal("size_mismatch", err.kind)
  end)

  it("takes bytes whose number is not known", function()
    local bytes = work.noise(3 * MIB)
    local from, into = core.pipe()
    local flow = task.loop:flow { source = core.bytes(bytes), sink = into }
    assert.is_true(assert(home:put_blob("blobs/unsized", core.digest(bytes), #bytes, from)))
    flow:close()
    assert.equal(#bytes, home:blob_size("blobs/unsized", core.digest(bytes)))
  end)

  it("finds that such bytes are fewer than promised", function()
    local from, into = core.pipe()
    local flow = task.loop:flow { source = core.bytes("abc"), sink = into }
    local ok, err = home:put_blob("blobs/unsized", core.digest("abcd"), 4, from)
    flow:close()
    assert.is_nil(ok)
    assert.equal("size_mismatch", err.kind)
  end)

  it("takes what has no digest yet", function()
    for _, size in ipairs { 0, 5, 5 * MIB } do
      local bytes = work.noise(size)
      local sent = assert(home:put_blob_stream("blobs/streamed", bytes_body(bytes)))
      assert.same({ size = size, digest = core.digest(bytes) }, sent)
      assert.equal(size, assert(home:blob_size("blobs/streamed", sent.digest)))
    end
  end)

  it("has no blob of a stream that broke", function()
    local cut = "\31\139\8\0\0\0\0\0\0\3\75\76\74" -- the begin of a gzip stream
    local ok, err = home:put_blob_stream("blobs/broken", core.unwrap(core.bytes(cut)))
    assert.is_nil(ok)
    assert.is_true(errors.is(err))
    assert.matches("^upload to .*/blobs/broken: .*truncated gzip input", tostring(err))
  end)

  it("takes what a script's own object reads", function()
    local bytes, at, closed = work.noise(700000), 0, 0
    local reader = {
      read = function(_, n)
        local piece = bytes:sub(at + 1, at + n)
        at = at + #piece
        return piece ~= "" and piece or nil
      end,
      close = function() closed = closed + 1 end,
    }
    assert.is_true(assert(home:put_blob("blobs/reader", core.digest(bytes), #bytes, reader)))
    assert.equal(1, closed)
    assert.equal(#bytes, home:blob_size("blobs/reader", core.digest(bytes)))
  end)

  it("takes several at once", function()
    local functions, digests = {}, {}
    for i = 1, 6 do
      local bytes = i .. work.noise(500000)
      digests[i] = core.digest(bytes)
      functions[i] = function()
        if i % 2 == 0 then
          return home:put_blob_stream("blobs/parallel", core.bytes(bytes))
        end
        return home:put_blob("blobs/parallel", digests[i], #bytes, core.bytes(bytes))
      end
    end
    assert.equal(6, #assert(task:all(functions)))
    for i = 1, 6 do
      assert.equal(500001, assert(home:blob_size("blobs/parallel", digests[i])))
    end
  end)

  it("gets nothing of what is given up half-way", function()
    local from, into = core.pipe()
    local another, its = core.pipe()
    local results, err = task:all {
      function() return home:put_blob("blobs/given-up", core.digest("x"), 1, from) end,
      function() return home:put_blob_stream("blobs/given-up", another) end,
      function()
        assert(into:write("never the end"))
        assert(its:write("never the end"))
        assert(task:sleep(0.2))
        return nil, errors.new("io", "another part failed")
      end,
    }
    into:close()
    its:close()
    assert.is_nil(results)
    assert.equal("another part failed", err.message)
    assert.equal("not_found", select(2, home:blob_size("blobs/given-up", core.digest("x"))).kind)
  end)

  it("links a blob of another repository", function()
    local bytes = "to be mounted"
    put("mount/from", bytes)
    assert.is_true(assert(home:mount_blob("mount/to", core.digest(bytes), "mount/from")))
    assert.equal(#bytes, home:blob_size("mount/to", core.digest(bytes)))
    assert.is_false(home:mount_blob("mount/to", core.digest("nowhere"), "mount/from"))
  end)

  it("keeps a manifest's bytes, by tag and by digest", function()
    local digest, bytes = push("manifests/one", "v1")
    assert.equal(core.digest(bytes), digest)
    local want = { bytes = bytes, media_type = MANIFEST, digest = digest }
    assert.same(want, assert(home:get_manifest("manifests/one", "v1")))
    assert.same(want, assert(home:get_manifest("manifests/one", digest)))
    assert.equal(digest, home:put_manifest("manifests/one", digest, bytes, MANIFEST))
    assert.equal("not_found", select(2, home:get_manifest("manifests/one", "v2")).kind)
    assert.equal("not_found", select(2, home:get_manifest("manifests/none", "v1")).kind)
  end)

  it("refuses a manifest whose blobs it does not have", function()
    local ok, err = home:put_manifest("manifests/two", "v1", manifest_of("nowhere", {}), MANIFEST)
    assert.is_nil(ok)
    assert.matches("MANIFEST_BLOB_UNKNOWN", err.message)
  end)

  it("lists tags and repositories, over more than one page", function()
    for _, tag in ipairs { "c", "a", "b" } do
      push("listed/tags", tag)
    end
    for i = 1, 7 do
      push("listed/repo" .. i, "v1")
    end
    local paged = assert(client.new(task, { url = r.url, docker_config = false, page_size = 2, proxy = "" }))
    assert.same({ "a", "b", "c" }, assert(paged:tags("listed/tags")))
    local names = {}
    for _, name in ipairs(assert(paged:repositories())) do
      names[#names + 1] = name:match("^listed/(.*)$")
    end
    assert.same({ "repo1", "repo2", "repo3", "repo4", "repo5", "repo6", "repo7", "tags" }, names)
    assert.same(assert(home:repositories()), assert(paged:repositories()))
    assert.equal("not_found", select(2, home:tags("listed/none")).kind)
  end)

  it("is a home below a path of it", function()
    push("below/path/vm", "v1")
    local below = assert(client.new(task, { url = r.url .. "/below/path/", docker_config = false, proxy = "" }))
    assert.same({ "vm" }, assert(below:repositories()))
    assert.same({ "v1" }, assert(below:tags("vm")))
    assert.equal(r.url .. "/below/path/", below:describe())
    assert.equal(MANIFEST, assert(below:get_manifest("vm", "v1")).media_type)
  end)

  it("deletes a tag that stands alone through its manifest, and says so", function()
    local digest = push("deleted/one", "v1", "one")
    local ok, note = home:delete_manifest("deleted/one", "v1")
    assert.is_true(ok)
    assert.matches(digest, note, 1, true)
    assert.equal("not_found", select(2, home:get_manifest("deleted/one", digest)).kind)
    assert.is_true(home:delete_manifest("deleted/one", "v1"))
    assert.is_true(home:delete_manifest("deleted/one", digest))
    assert.is_true(home:delete_manifest("deleted/never", "v1"))
  end)

  it("does not let one tag take others along", function()
    local digest = push("deleted/two", "v1", "two")
    push("deleted/two", "v2", "two")
    push("deleted/two", "v3", "another")
    local ok, err = home:delete_manifest("deleted/two", "v1")
    assert.is_nil(ok)
    assert.equal("unsupported", err.kind)
    assert.matches("is also tagged v2;", err.message)
    assert.is_true(home:delete_manifest("deleted/two", digest))
    assert.equal("not_found", select(2, home:get_manifest("deleted/two", "v2")).kind)
    assert.is_truthy(home:get_manifest("deleted/two", "v3"))
  end)

  it("sees no name, tag or digest that is none", function()
    local hostile = { "../x", "A", "a/../b", "a\r\nX: 1", "a?b", "a#b", "", "a%2fb" }
    for _, bad in ipairs(hostile) do
      assert.equal("invalid", select(2, home:blob_size(bad, core.digest(""))).kind)
      assert.equal("invalid", select(2, home:tags(bad)).kind)
      assert.equal("invalid", select(2, home:mount_blob("a", core.digest(""), bad)).kind)
    end
    for _, bad in ipairs { "", "sha256:../../x", "sha256:ABC", "md5:0", core.digest("") .. "\n", "../v1", "v 1" } do
      assert.equal("invalid", select(2, home:blob_size("a", bad)).kind)
      assert.equal("invalid", select(2, home:get_manifest("a", bad)).kind)
      assert.equal("invalid", select(2, home:delete_manifest("a", bad)).kind)
    end
  end)
end)

describe_or_skip("docker-registry that wants a password", function()
  local r, task

  setup(function()
    r = registry.start { auth = true, delete = false }
  end)

  teardown(function()
    r:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
  end)

  after_each(function()
    task:close()
  end)

  local function open(credentials, more)
    local options = { url = r.url, docker_config = false, credentials = credentials, proxy = "" }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return assert(client.new(task, options))
  end

  it("gets it, asked once", function()
    local asked = {}
    local home = open(function(host)
      asked[#asked + 1] = host
      return r.user, r.password
    end)
    local bytes = work.noise(2 * MIB)
    assert.is_true(assert(home:put_blob("a", core.digest(bytes), #bytes, core.bytes(bytes))))
    assert.same({ size = #bytes, digest = core.digest(bytes) },
      assert(home:put_blob_stream("b", core.bytes(bytes))))
    assert.same({ r.host }, asked)
  end)

  it("refuses a wrong one, and nobody", function()
    local ok, err = open(function() return "frodo", "canary" end):ping()
    assert.is_nil(ok)
    assert.equal("unauthorized", err.kind)
    assert.equal(401, err.status)
    assert.is_nil(tostring(err):find("canary", 1, true))
    ok, err = open():ping()
    assert.is_nil(ok)
    assert.equal("unauthorized", err.kind)
    assert.matches("epoch login " .. r.host, err.message, 1, true)
  end)

  it("says that it deletes nothing", function()
    local home = open(function() return r.user, r.password end)
    local digest = core.digest("{}")
    assert(home:put_blob("kept", digest, 2, core.bytes("{}")))
    digest = assert(home:put_manifest("kept", "v1", manifest_of("{}", {}), MANIFEST))
    for _, ref in ipairs { "v1", digest } do
      local ok, err = home:delete_manifest("kept", ref)
      assert.is_nil(ok)
      assert.equal("unsupported", err.kind)
    end
  end)

  it("is asked with what docker's config has", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/config.json", ('{"auths":{"%s":{"auth":"ZnJvZG86YmFnZ2lucw=="}}}'):format(r.host))
      assert.is_true(assert(open(nil, { docker_config = dir .. "/config.json" }):ping()))
    end)
  end)
end)

describe_or_skip("docker-registry with short pages", function()
  it("is asked for no more than it gives", function()
    local r, task = registry.start { page_size = 2 }, assert(tasks.new())
    local ok, err = pcall(function()
      local home = assert(client.new(task, { url = r.url, docker_config = false, proxy = "" }))
      for _, name in ipairs { "c", "a", "e", "b", "d" } do
        assert(home:put_blob(name, core.digest("{}"), 2, core.bytes("{}")))
        assert(home:put_manifest(name, "v1", manifest_of("{}", {}), MANIFEST))
      end
      assert.same({ "a", "b", "c", "d", "e" }, assert(home:repositories()))
    end)
    task:close()
    r:stop()
    if not ok then
      error(err, 0)
    end
  end)
end)
