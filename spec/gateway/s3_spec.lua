--- A gateway on a bucket of a real S3 store.
local client = require "spec.support.gateway_client"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local json = require "epoch.json"
local media = require "epoch.media"
local objectstore = require "epoch.objectstore"
local parts = require "epoch.s3.parts"
local radosgw = require "spec.support.radosgw"
local registry = require "epoch.registry"
local s3 = require "epoch.objectstore.s3"
local support = require "spec.support.store"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MIB = 1024 * 1024

local missing = gateway.missing("lua5.4") or radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("is not tried", function() pending(missing) end)
  end)
end or describe

describe_or_skip("a gateway on a bucket", function()
  local ceph, bucket, g, task, home

  local function config()
    local given = ceph:options {}
    return ('s3 = { endpoint = %q, access_key = %q, secret_key = %q, prefix = "" }\nproxy = ""\n'):format(
      given.endpoint, given.access_key, given.secret_key)
  end

  local function start(options, workers)
    return gateway.start {
      store = "s3://" .. bucket .. "/p", config = config(), options = options, workers = workers,
    }
  end

  setup(function()
    ceph = radosgw.start()
    bucket = ceph:bucket()
    g = start()
  end)

  teardown(function()
    if g then g:stop() end
    ceph:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
    home = registry.new(task, assert(s3.open(task, ceph:options { bucket = bucket, prefix = "p" })))
  end)

  after_each(function()
    task:close()
  end)

  local function ask(method, path, more)
    local given = { method = method, url = path:find("^http") and path or g.url .. path, proxy = "", redirects = 0 }
    for name, value in pairs(more or {}) do
      given[name] = value
    end
    local answer = assert(http.fetch(task.loop, given, 64 * MIB))
    answer.by = {}
    for _, header in ipairs(answer.headers) do
      assert.is_true(answer.by[header[1]] == nil or header[1] == "connection", header[1] .. " comes twice")
      answer.by[header[1]] = header[2]
    end
    return answer
  end

  local function put_blob(bytes)
    local digest = core.digest(bytes)
    assert(home:put_blob("a/b", digest, #bytes, bytes))
    return digest, "/v2/a/b/blobs/" .. digest
  end

  local function code_of(answer)
    return json.decode(answer.body).errors[1].code
  end

  describe("gives blobs", function()
    it("whole, by their heads, and in ranges", function()
      local bytes = work.plenty(9 * MIB + 7)
      local digest, path = put_blob(bytes)
      local answer = ask("GET", path)
      assert.equal(200, answer.status)
      assert.equal(digest, core.digest(answer.body))
      for _, method in ipairs { "GET", "HEAD" } do
        local by = ask(method, path).by
        assert.same({ digest, '"' .. digest .. '"', "bytes", ("%d"):format(#bytes), "application/octet-stream" }, {
          by["docker-content-digest"], by.etag, by["accept-ranges"], by["content-length"], by["content-type"] })
        for name in pairs(by) do
          assert.is_nil(name:find("^x%-"), name)
        end
      end
      for range, wanted in pairs {
        ["bytes=0-0"] = bytes:sub(1, 1), ["bytes=-3"] = bytes:sub(-3), ["bytes=9437184-"] = bytes:sub(9437185),
        ["bytes=100-299"] = bytes:sub(101, 300),
      } do
        answer = ask("GET", path, { headers = { range = range } })
        assert.equal(206, answer.status)
        assert.equal(wanted, answer.body)
        assert.matches("^bytes %d+%-%d+/" .. #bytes .. "$", answer.by["content-range"])
        assert.equal(digest, answer.by["docker-content-digest"])
      end
      answer = ask("GET", path, { headers = { range = ("bytes=%d-"):format(#bytes) } })
      assert.equal(416, answer.status)
      assert.equal(("bytes */%d"):format(#bytes), answer.by["content-range"])
      assert.is_nil(answer.body:find("Amazon", 1, true) or answer.body:find("xml", 1, true))
      for _, odd in ipairs { "bytes=0-1,3-4", "lines=1-2", "bytes=x", "bytes=-" } do
        assert.equal(200, ask("HEAD", path, { headers = { range = odd } }).status)
      end
    end)

    it("only to who has not got them", function()
      local digest, path = put_blob("here it is")
      local etag = '"' .. digest .. '"'
      for _, given in ipairs { etag, "*", "W/" .. etag, '"x", ' .. etag } do
        local answer = ask("GET", path, { headers = { ["if-none-match"] = given } })
        assert.same({ 304, "", etag }, { answer.status, answer.body, answer.by.etag })
      end
      assert.equal("here it is", ask("GET", path, { headers = { ["if-none-match"] = '"other"' } }).body)
      local function ranged(only_if)
        return ask("GET", path, { headers = { range = "bytes=0-3", ["if-range"] = only_if } }).body
      end
      assert.equal("here", ranged(etag))
      assert.equal("here it is", ranged('"other"'))
      assert.equal("here it is", ranged("Sat, 01 Jan 2022 00:00:00 GMT"))
      local absent = "/v2/a/b/blobs/" .. core.digest("absent")
      assert.equal(404, ask("GET", absent, { headers = { ["if-none-match"] = "*" } }).status)
    end)

    it("of no bytes", function()
      local digest, path = put_blob("")
      local answer = ask("GET", path)
      assert.same({ 200, "", "0", digest }, {
        answer.status, answer.body, answer.by["content-length"], answer.by["docker-content-digest"] })
    end)

    it("not, where there are none, and says so as a registry does", function()
      for _, method in ipairs { "GET", "HEAD", "DELETE" } do
        local answer = ask(method, "/v2/a/b/blobs/" .. core.digest("absent"))
        assert.equal(404, answer.status)
        assert.equal("application/json", answer.by["content-type"])
        assert.is_nil(answer.by["x-amz-request-id"])
        assert.is_nil(answer.by["docker-content-digest"])
        if method ~= "HEAD" then
          assert.equal("BLOB_UNKNOWN", code_of(answer))
        end
      end
      local digest, path = put_blob("to go")
      assert.equal(202, ask("DELETE", path).status)
      assert.is_false(home:blob_exists("a/b", digest))
    end)

    it("and passes on nothing of the client's but a range", function()
      local _, path = put_blob("mine")
      local answer = ask("GET", path .. "?acl=&uploads=&response-content-type=text/html", {
        any_encoding = true, headers = {
          ["x-amz-copy-source"] = "/x/y", ["x-amz-meta-foo"] = "bar", ["x-amz-security-token"] = "x",
          ["accept-encoding"] = "gzip", cookie = "a=b",
        },
      })
      assert.same({ 200, "mine", "application/octet-stream" }, {
        answer.status, answer.body, answer.by["content-type"] })
    end)
  end)

  it("has manifests, tags, a catalog and what refers to them", function()
    local bytes, digest = support.put_artifact(home, "x/y", "v1", { "layer" })
    local about = ('{"schemaVersion":2,"mediaType":"%s","artifactType":"a/b","config":{"mediaType":"c/d",'
      .. '"digest":"%s","size":2},"layers":[],"subject":{"mediaType":"%s","digest":"%s","size":%d}}'):format(
      media.OCI_MANIFEST, core.digest("{}"), media.OCI_MANIFEST, digest, #bytes)
    local function put(reference, body)
      return ask("PUT", "/v2/x/y/manifests/" .. reference, {
        body = body, headers = { ["content-type"] = media.OCI_MANIFEST } })
    end
    local answer = put("v2", about)
    assert.same({ 201, core.digest(about), digest }, {
      answer.status, answer.by["docker-content-digest"], answer.by["oci-subject"] })
    assert.equal(201, put(core.digest(bytes), bytes).status)
    for _, reference in ipairs { "v1", digest } do
      answer = ask("GET", "/v2/x/y/manifests/" .. reference)
      assert.same({ 200, bytes, media.OCI_MANIFEST }, { answer.status, answer.body, answer.by["content-type"] })
    end
    assert.equal(400, put("v3", (about:gsub('"layers":%[%]', ('"layers":[{"mediaType":"e/f","digest":"%s","size":3}]')
      :format(core.digest("no"))))).status)
    assert.same({ "v1", "v2" }, json.decode(ask("GET", "/v2/x/y/tags/list").body).tags)
    assert.same({ "x/y" }, json.decode(ask("GET", "/v2/_catalog").body).repositories)
    local referrers = json.decode(ask("GET", "/v2/x/y/referrers/" .. digest).body).manifests
    assert.same({ 1, core.digest(about), "a/b" }, { #referrers, referrers[1].digest, referrers[1].artifactType })
    assert.equal(202, ask("DELETE", "/v2/x/y/manifests/v2").status)
    assert.same({ "v1" }, json.decode(ask("GET", "/v2/x/y/tags/list").body).tags)
    assert.equal(200, ask("GET", "/readyz").status)
  end)

  it("has nothing for who asks for what is inside", function()
    local key = "blobs/sha256/" .. core.digest("{}"):match("%x+$")
    for _, path in ipairs { "/_epoch/s3/" .. key, "/_epoch/s3/", "/%5fepoch/s3/p/catalog.json" } do
      assert.equal(404, client.of(g)("GET", path).status)
    end
    assert.is_nil(g:log():find("it says nil", 1, true))
  end)

  it("asks the store once for what a manifest names often", function()
    assert.equal(201, ask("PUT", "/v2/often/blobs/" .. client.EMPTY, { body = "{}" }).status)
    local layers = {}
    for i = 1, 20000 do
      layers[i] = "{}"
    end
    local started = core.now()
    assert.equal(201, client.put_manifest(client.of(g), "often", "v1", client.manifest(layers)).status)
    assert.is_true(core.now() - started < 15)
  end)

  it("keeps the bodies that come with questions to itself", function()
    local bytes = "asked for with a body"
    local digest = core.digest(bytes)
    assert.equal(201, ask("PUT", "/v2/a/blobs/" .. digest, { body = bytes }).status)
    local one = start(nil, 1) -- a worker, whose connections to the store all requests share
    for i = 1, 8 do
      local given = { chunked = i % 2 == 0, body = "GET /p/catalog.json HTTP/1.1\r\nHost: other\r\n\r\n" }
      for _, method in ipairs { "GET", "HEAD" } do
        assert.equal(200, client.of(one)(method, "/v2/a/blobs/" .. digest, given).status)
      end
      assert.equal(bytes, client.of(one)("GET", "/v2/a/blobs/" .. digest).body)
    end
    assert.equal(0, one:stop())
  end)

  it("sends clients to the store where that is wished", function()
    local other = start { redirect = true }
    local digest, path = put_blob("from the store itself")
    local answer = ask("GET", other.url .. path)
    assert.same({ 307, digest }, { answer.status, answer.by["docker-content-digest"] })
    assert.equal("from the store itself", ask("GET", answer.by.location).body)
    assert.equal(200, ask("HEAD", other.url .. path).status)
    answer = ask("GET", other.url .. "/v2/a/b/blobs/" .. core.digest("absent"))
    assert.same({ 404, "BLOB_UNKNOWN" }, { answer.status, code_of(answer) })
    local log = other:log()
    other:stop()
    assert.is_nil(log:find("X-Amz", 1, true))
  end)

  -- Nothing is under the prefix but what these blobs are.
  local function only_blobs(...)
    local wanted = {}
    for i, bytes in ipairs { ... } do
      wanted[i] = "blobs/sha256/" .. core.digest(bytes):match("%x+$")
    end
    table.sort(wanted)
    local keys = {}
    for _, one in ipairs(assert(objectstore.list_all(home.store, "")).keys) do
      keys[#keys + 1] = one.key
    end
    assert.same(wanted, keys)
    assert.same({}, parts.uploads(home.store, ""))
    for _, bytes in ipairs { ... } do
      local digest = core.digest(bytes)
      local source = assert(home:get_blob("a/b", digest))
      assert.equal(digest, task:flow { source = source, hash = true }.digest)
    end
  end

  local function empty()
    for _, one in ipairs(assert(objectstore.list_all(home.store, "")).keys) do
      assert(home.store:delete(one.key))
    end
  end

  local function begin(at)
    local answer = ask("POST", (at or g).url .. "/v2/a/b/blobs/uploads/")
    assert.equal(202, answer.status)
    return answer.by.location, answer
  end

  local function patch(at, location, bytes, more)
    return ask("PATCH", at.url .. location, { body = bytes, headers = more })
  end

  describe("takes uploads", function()
    before_each(empty)

    it("at once", function()
      local small, large = "small", work.plenty(21 * MIB)
      for _, bytes in ipairs { small, large, "" } do
        local digest = core.digest(bytes)
        local answer = ask("POST", "/v2/a/b/blobs/uploads/?digest=" .. digest, { body = bytes })
        assert.same({ 201, "/v2/a/b/blobs/" .. digest, digest }, {
          answer.status, answer.by.location, answer.by["docker-content-digest"] })
        local location = begin()
        answer = ask("PUT", location .. "?digest=" .. digest, { body = bytes })
        assert.equal(201, answer.status)
      end
      only_blobs(small, large, "")
    end)

    it("piece by piece, of any size, and says where they stand", function()
      local location, answer = begin()
      assert.equal("5242880", answer.by["oci-chunk-min-length"])
      local sizes, bytes = { 1, 6 * MIB, 100, 5 * MIB, 17 * MIB }, {}
      local offset = 0
      for i, size in ipairs(sizes) do
        bytes[i] = work.plenty(size, i)
        answer = patch(g, location, bytes[i], { ["content-range"] = ("%d-%d"):format(offset, offset + size - 1) })
        assert.equal(202, answer.status)
        offset = offset + size
        assert.equal(("0-%d"):format(offset - 1), answer.by.range)
        assert.equal(answer.by.range, ask("GET", location).by.range)
      end
      answer = patch(g, location, "again", { ["content-range"] = "0-4" })
      assert.same({ 416, ("0-%d"):format(offset - 1) }, { answer.status, answer.by.range })
      local all = table.concat(bytes)
      assert.equal(201, ask("PUT", location .. "?digest=" .. core.digest(all), { body = "" }).status)
      assert.equal(404, ask("GET", location).status)
      only_blobs(all)
    end)

    it("not, when they are not what they say", function()
      for _, bytes in ipairs { "small", work.plenty(21 * MIB) } do
        local wrong = core.digest("else")
        assert.equal(400, ask("POST", "/v2/a/b/blobs/uploads/?digest=" .. wrong, { body = bytes }).status)
        local location = begin()
        local answer = ask("PUT", location .. "?digest=" .. wrong, { body = bytes })
        assert.same({ 400, "DIGEST_INVALID" }, { answer.status, code_of(answer) })
        assert.equal(404, ask("GET", location).status)
      end
      only_blobs()
    end)

    it("and cancels them", function()
      local location = begin()
      assert.equal(202, patch(g, location, work.plenty(6 * MIB)).status)
      assert.equal(204, ask("DELETE", location).status)
      assert.equal(404, ask("DELETE", location).status)
      only_blobs()
    end)

    -- A request whose body comes as it is written.
    local function slowly(method, location)
      local source, sink = core.pipe()
      local request = assert(task.loop:request {
        method = method, url = g.url .. location, body = source, proxy = "", redirects = 0,
      })
      local function write(bytes)
        assert(task:flow { source = core.bytes(bytes), sink = sink, more = true })
      end
      local function finish()
        assert(task:await(sink, "finish"))
        local response = assert(task:await(request, "response"))
        request:close()
        return response.status
      end
      return write, finish
    end

    it("and has most of them in the store when the last byte comes", function()
      local bytes = work.plenty(50 * MIB)
      for _, way in ipairs { "session", "at once" } do
        local location = way == "session" and begin()
        local write, finish = slowly(location and "PATCH" or "POST",
          location or "/v2/a/b/blobs/uploads/?digest=" .. core.digest(bytes))
        write(bytes:sub(1, 40 * MIB))
        local uploads
        http.step(task.loop, 20, function()
          uploads = assert(parts.uploads(home.store, ""))
          return uploads[1] and #(parts.list(home.store, uploads[1]) or {}) == 2
        end)
        assert.equal(1, #uploads)
        assert.equal(location and "uploads" or "blobs", uploads[1].key:match("^%w+"))
        write(bytes:sub(40 * MIB + 1))
        assert.equal(location and 202 or 201, finish())
        if location then
          assert.equal(201, ask("PUT", location .. "?digest=" .. core.digest(bytes)).status)
        end
        only_blobs(bytes)
        empty()
      end
    end)
  end)

  describe("beside another one", function()
    local other

    setup(function() other = start(nil, 2) end)
    teardown(function() other:stop() end)
    before_each(empty)

    it("takes an upload in turns, also when one of them is killed", function()
      local location, bytes = begin(g), {}
      for i, size in ipairs { 6 * MIB, 3, 18 * MIB } do
        bytes[i] = work.plenty(size, i)
        assert.equal(202, patch(i % 2 == 0 and g or other, location, bytes[i]).status)
      end
      local third = start()
      -- a chunk of which much is in the store already when `kill` is called
      local function lose(kill)
        local before = #parts.uploads(home.store, "")
        local source, sink = core.pipe()
        local request = assert(task.loop:request {
          method = "PATCH", url = third.url .. location, body = source, proxy = "", redirects = 0,
        })
        assert(task:flow { source = core.bytes(work.plenty(40 * MIB)), sink = sink, more = true })
        assert(http.step(task.loop, 20, function()
          return #parts.uploads(home.store, "") == before + 1
        end))
        kill(third)
        sink:close()
        request:close()
        assert.equal(("0-%d"):format(24 * MIB + 2), ask("GET", other.url .. location).by.range)
      end
      lose(third.kill_worker)
      assert.equal(("0-%d"):format(24 * MIB + 2), ask("GET", third.url .. location).by.range)
      lose(third.kill)
      third:stop()
      bytes[4] = work.noise(7)
      assert.equal(202, patch(g, location, bytes[4]).status)
      local all = table.concat(bytes)
      assert.equal(201, ask("PUT", other.url .. location .. "?digest=" .. core.digest(all)).status)
      only_blobs(all)
    end)

    it("lets one of two writers win", function()
      local location = begin()
      local won, functions = 0, {}
      local bytes = { ("a"):rep(6 * MIB), ("b"):rep(6 * MIB) }
      for i, at in ipairs { g, other } do
        functions[i] = function()
          local request = assert(task.loop:request {
            method = "PATCH", url = at.url .. location, body = bytes[i], proxy = "", redirects = 0,
          })
          local response = assert(task:await(request, "response"))
          request:close()
          assert.is_true(response.status == 202 or response.status == 416, ("%d"):format(response.status))
          won = response.status == 202 and won + i or won
          return true
        end
      end
      assert(task:all(functions))
      assert.is_true(won == 1 or won == 2, ("%d"):format(won))
      assert.equal("0-6291455", ask("GET", location).by.range)
      assert.equal(201, ask("PUT", location .. "?digest=" .. core.digest(bytes[won])).status)
      only_blobs(bytes[won])
    end)
  end)
end)
