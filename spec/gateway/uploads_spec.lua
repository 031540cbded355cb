--- Uploads to the gateway: every way to bring a blob that the OCI specification has, and what is wrong.
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local homes = require "epoch.home"
local store = require "spec.support.store"
local tar = require "spec.support.tar"
local uploads = require "spec.support.uploads"
local work = require "spec.support.work"

local ask, start, finish = uploads.ask, uploads.start, uploads.finish

describe("an upload to the gateway", function()
  local missing = gateway.missing()
  if missing then
    pending(missing)
    return
  end

  local g

  setup(function()
    g = gateway.start { workers = 2 }
  end)

  teardown(function()
    g:stop()
  end)

  -- Nothing of this test is in the store, apart from blobs.
  local function assert_tidy()
    assert.same({}, uploads.names(g.root .. "/uploads"))
    uploads.check_blobs(g.root)
  end

  local function assert_created(answer, digest, name)
    assert.equal(201, answer.status, answer.body)
    assert.equal(("/v2/%s/blobs/%s"):format(name or "a/b", digest), answer.headers.location)
    assert.equal(digest, answer.headers["docker-content-digest"])
    assert.equal("", answer.body)
  end

  local function assert_refused(status, code, answer)
    assert.equal(status, answer.status, answer.body)
    assert.equal(code, uploads.code(answer), answer.body)
  end

  it("comes in pieces", function()
    local bytes = work.noise(3 * 1024 * 1024)
    local path, answer = start(g)
    local id = path:match("^/v2/a/b/blobs/uploads/([0-9a-f-]+)$")
    assert.equal(id, answer.headers["docker-upload-uuid"])
    assert.equal("0-0", answer.headers.range)
    assert.is_nil(answer.headers["oci-chunk-min-length"])
    local at = 0
    for _, size in ipairs { 1000000, 500000, 1, 1600000 } do
      local piece = bytes:sub(at + 1, at + size)
      answer = ask(g, "PATCH", path, { body = piece, range = ("%d-%d"):format(at, at + size - 1) })
      assert.equal(202, answer.status, answer.body)
      at = at + size
      assert.equal(path, answer.headers.location)
      assert.equal(id, answer.headers["docker-upload-uuid"])
      assert.equal(("0-%d"):format(at - 1), answer.headers.range)
      answer = ask(g, "GET", path)
      assert.equal(204, answer.status)
      assert.equal(path, answer.headers.location)
      assert.equal(("0-%d"):format(at - 1), answer.headers.range)
    end
    local digest = core.digest(bytes)
    local last = { body = bytes:sub(at + 1), range = ("%d-%d"):format(at, #bytes - 1) }
    assert_created(finish(g, path, digest, last), digest)
    work.assert_same_bytes(bytes, uploads.get(g, digest))
    assert_refused(404, "BLOB_UPLOAD_UNKNOWN", ask(g, "GET", path))
    assert_tidy()
  end)

  it("comes in a PUT, or in one PATCH without a range", function()
    for _, algorithm in ipairs { "sha256", "sha512" } do
      local bytes = work.noise(700001) .. algorithm
      local digest = core.digest(bytes, algorithm)
      assert_created(finish(g, start(g), digest, { body = bytes }), digest)
      local path = start(g, "a/b", "?digest-algorithm=" .. algorithm)
      local more = bytes .. "and more"
      assert.equal(202, ask(g, "PATCH", path, { body = more }).status)
      digest = core.digest(more, algorithm)
      assert_created(finish(g, path, digest), digest)
      work.assert_same_bytes(more, uploads.get(g, digest))
    end
    assert_refused(400, "DIGEST_INVALID", ask(g, "POST", "/v2/a/b/blobs/uploads/?digest-algorithm=md5", { body = "" }))
    assert_tidy()
  end)

  it("comes at once, in a POST and in the Go reference's PUT", function()
    for i, algorithm in ipairs { "sha256", "sha512" } do
      local bytes = work.noise(600000 + i)
      local digest = core.digest(bytes, algorithm)
      assert_created(ask(g, "POST", "/v2/a/b/blobs/uploads/?digest=" .. digest, { body = bytes }), digest)
      work.assert_same_bytes(bytes, uploads.get(g, digest))
      bytes = bytes .. "x"
      digest = core.digest(bytes, algorithm)
      assert_created(ask(g, "PUT", "/v2/a/b/blobs/" .. digest, { body = bytes }), digest)
      assert_created(ask(g, "PUT", "/v2/a/b/blobs/" .. digest, { body = bytes }), digest) -- again
      work.assert_same_bytes(bytes, uploads.get(g, digest))
    end
    assert_tidy()
  end)

  it("can be empty", function()
    for _, algorithm in ipairs { "sha256", "sha512" } do
      local digest = core.digest("", algorithm)
      local path = start(g)
      assert.equal("0-0", ask(g, "PATCH", path, { body = "" }).headers.range)
      assert_created(finish(g, path, digest), digest)
      assert.equal("", uploads.get(g, digest))
      assert.equal(202, ask(g, "DELETE", "/v2/a/b/blobs/" .. digest).status)
      assert_created(ask(g, "PUT", "/v2/a/b/blobs/" .. digest, { body = "" }), digest)
    end
    assert_tidy()
  end)

  it("is refused out of order, and told where it stands", function()
    local path = start(g)
    assert.equal(202, ask(g, "PATCH", path, { body = "01234", range = "0-4" }).status)
    for _, range in ipairs { "0-2", "4-6", "6-8", "1000000000000-1000000000002" } do
      for _, method in ipairs { "PATCH", "PUT" } do
        local answer = ask(g, method, method == "PUT" and path .. "?digest=" .. core.digest("012") or path,
          { body = "567", range = range })
        assert_refused(416, "BLOB_UPLOAD_INVALID", answer)
        assert.equal(path, answer.headers.location)
        assert.equal("0-4", answer.headers.range)
      end
    end
    for range, code in pairs { ["5-6"] = "SIZE_INVALID", ["5-8"] = "SIZE_INVALID", ["7-5"] = "BLOB_UPLOAD_INVALID",
                               ["5-"] = "BLOB_UPLOAD_INVALID", ["a-b"] = "BLOB_UPLOAD_INVALID" } do
      assert_refused(400, code, ask(g, "PATCH", path, { body = "567", range = range }))
    end
    assert.equal(202, ask(g, "PATCH", path, { body = "567", range = "bytes 5-7/*" }).status)
    assert_created(finish(g, path, core.digest("01234567")), core.digest("01234567"))
    assert_tidy()
  end)

  it("with a wrong digest is none, and ends", function()
    local wrong = core.digest("something else")
    local path = start(g)
    ask(g, "PATCH", path, { body = "bytes" })
    assert_refused(400, "DIGEST_INVALID", finish(g, path, wrong))
    assert_refused(404, "BLOB_UPLOAD_UNKNOWN", ask(g, "GET", path))
    assert_refused(400, "DIGEST_INVALID", ask(g, "POST", "/v2/a/b/blobs/uploads/?digest=" .. wrong, { body = "x" }))
    assert_refused(400, "DIGEST_INVALID", ask(g, "PUT", "/v2/a/b/blobs/" .. wrong, { body = "x" }))
    assert.equal(404, ask(g, "HEAD", "/v2/a/b/blobs/" .. wrong).status)
    assert_tidy()
  end)

  it("survives a request that is no good", function()
    local path = start(g)
    ask(g, "PATCH", path, { body = "bytes" })
    for _, query in ipairs { "", "?digest=", "?digest=md5:0123", "?digest=sha256:ABC",
                             "?digest=" .. core.digest("bytes"):upper() } do
      assert_refused(400, "DIGEST_INVALID", ask(g, "PUT", path .. query, { body = "" }))
    end
    assert.equal(5, uploads.offset(g, path))
    assert_created(finish(g, path, core.digest("bytes")), core.digest("bytes"))
    assert_tidy()
  end)

  it("is cancelled", function()
    local path = start(g)
    ask(g, "PATCH", path, { body = "bytes" })
    assert.equal(204, ask(g, "DELETE", path).status)
    for _, method in ipairs { "DELETE", "GET", "PATCH" } do
      assert_refused(404, "BLOB_UPLOAD_UNKNOWN", ask(g, method, path, { body = method == "PATCH" and "x" or nil }))
    end
    assert_refused(404, "BLOB_UPLOAD_UNKNOWN", finish(g, path, core.digest("bytes")))
    assert_tidy()
  end)

  it("belongs to its repository", function()
    local path = start(g)
    ask(g, "PATCH", path, { body = "bytes" })
    local other = path:gsub("/a/b/", "/a/c/")
    for _, method in ipairs { "GET", "PATCH", "DELETE" } do
      assert_refused(404, "BLOB_UPLOAD_UNKNOWN", ask(g, method, other, { body = method == "PATCH" and "x" or nil }))
    end
    assert_refused(404, "BLOB_UPLOAD_UNKNOWN", finish(g, other, core.digest("bytes")))
    for _, id in ipairs { "..", "%2e%2e", "..%2f..%2fcatalog", "x", ("0"):rep(64),
                          "00000000-0000-4000-8000-000000000000" } do
      local status = ask(g, "GET", "/v2/a/b/blobs/uploads/" .. id).status
      assert.is_true(status == 404 or status == 400, id .. ": " .. status)
    end
    assert.equal(5, uploads.offset(g, path))
    assert.equal(204, ask(g, "DELETE", path).status)
    assert_tidy()
  end)

  it("is spared by mounting what is there", function()
    local bytes = work.noise(1000)
    local digest = core.digest(bytes)
    assert_created(ask(g, "PUT", "/v2/a/b/blobs/" .. digest, { body = bytes }), digest)
    for _, from in ipairs { "&from=a/b", "" } do
      local answer = ask(g, "POST", "/v2/c/d/blobs/uploads/?mount=" .. digest .. from, { body = "" })
      assert_created(answer, digest, "c/d")
    end
    local other = core.digest("not there", "sha512")
    local path = start(g, "c/d", "?mount=" .. other .. "&from=a/b")
    assert.equal(202, ask(g, "PATCH", path, { body = "not there" }).status)
    assert_created(finish(g, path, other), other, "c/d")
    path = start(g, "c/d", "?mount=" .. digest .. "&from=../x") -- a name that is none is no reason to fail
    assert.equal(204, ask(g, "DELETE", path).status)
    assert_refused(400, "DIGEST_INVALID", ask(g, "POST", "/v2/c/d/blobs/uploads/?mount=sha256:x", { body = "" }))
    assert_tidy()
  end)

  it("comes from curl: chunked, and with a 100-continue", function()
    store.with_task(function(_, dir)
      local bytes = work.noise(6 * 1024 * 1024)
      work.write_file(dir .. "/bytes", bytes)
      for _, how in ipairs { "-H 'Transfer-Encoding: chunked' -T bytes", "-T - <bytes",
                             "-H 'Expect: 100-continue' -T bytes", "--data-binary @bytes" } do
        local path = start(g)
        local status = work.output(("cd '%s' && curl -s -o out -w '%%{http_code}' -X PATCH '%s' %s"):format(dir,
          g.url .. path, how))
        assert.equal("202", status, how)
        assert.equal(#bytes, uploads.offset(g, path))
        assert_created(finish(g, path, core.digest(bytes)), core.digest(bytes))
        assert.equal(202, ask(g, "DELETE", "/v2/a/b/blobs/" .. core.digest(bytes)).status)
      end
      assert_tidy()
    end)
  end)

  it("comes over HTTP/2, with and without a length", function()
    local secure = gateway.start { tls = true }
    local done, why = pcall(store.with_task, function(_, dir)
      local bytes = work.noise(5 * 1024 * 1024)
      local digest = core.digest(bytes)
      work.write_file(dir .. "/bytes", bytes)
      for _, how in ipairs { "-T bytes", "-T - <bytes" } do
        local path = start(secure)
        local said = work.output(("cd '%s' && curl -s --cacert '%s' --http2 -o out -w '%%{http_code} %%{http_version}' "
          .. "-X PATCH '%s' %s"):format(dir, secure.ca, secure.url .. path, how))
        assert.equal("202 2", said, how)
        assert_created(finish(secure, path, digest), digest)
        work.assert_same_bytes(bytes, uploads.get(secure, digest))
      end
    end)
    secure:stop()
    assert(done, why)
  end)

  it("comes from our own client, with and without a known size", function()
    store.with_task(function(task)
      local home = assert(homes.open(task, g.url, { docker_config = false, proxy = "" }))
      local known, streamed = work.noise(900000), work.noise(800000)
      assert(home:put_blob("own/client", core.digest(known), #known, core.bytes(known)))
      local source, sink = core.pipe()
      local both = assert(task:all {
        function()
          local ok, err = task:flow { source = core.bytes(streamed), sink = sink }
          return ok, err
        end,
        function()
          return home:put_blob("own/client", core.digest(streamed), #streamed, source)
        end,
      })
      assert.is_true(both[2])
      for _, bytes in ipairs { known, streamed } do
        work.assert_same_bytes(bytes, store.bytes(task, home:get_blob("own/client", core.digest(bytes))))
      end
      store.put_artifact(home, "own/client", "v1", { known, streamed, "" })
      home:close()
    end)
    assert_tidy()
  end)

  it("comes from skopeo", function()
    local skopeo = core.which("skopeo")
    if not skopeo then
      return pending("skopeo is not here: apt-get install skopeo")
    end
    store.with_task(function(task, dir)
      local layout = assert(homes.open(task, "oci:" .. dir .. "/layout"))
      local layers, diffs = {}, {}
      for i = 1, 3 do
        local bytes = tar.file("file" .. i, work.noise(1000000 * i)) .. tar.trailer
        assert(layout:put_blob("x", core.digest(bytes), #bytes, core.bytes(bytes)))
        layers[i] = ('{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":%d}'):format(
          core.digest(bytes), #bytes)
        diffs[i] = '"' .. core.digest(bytes) .. '"'
      end
      local config = ([[{"architecture":"amd64","os":"linux","config":{},"rootfs":]]
        .. [[{"type":"layers","diff_ids":[%s]}}]]):format(table.concat(diffs, ","))
      assert(layout:put_blob("x", core.digest(config), #config, core.bytes(config)))
      local manifest = ([[{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":]]
        .. [[{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[%s]}]]):format(
        core.digest(config), #config, table.concat(layers, ","))
      assert(layout:put_manifest("x", "x", manifest, "application/vnd.oci.image.manifest.v1+json"))
      layout:close()
      local copy = "timeout 60 %s --insecure-policy copy -q --preserve-digests --%s-tls-verify=false %s %s "
        .. ">'%s/said' 2>&1; echo $?"
      local remote = "docker://" .. g.host .. "/sko/peo:v1"
      assert.equal("0", work.output(copy:format(skopeo, "dest", "oci:" .. dir .. "/layout:x", remote, dir)),
        work.read_file(dir .. "/said"))
      assert.equal("0", work.output(copy:format(skopeo, "src", remote, "oci:" .. dir .. "/back:x", dir)),
        work.read_file(dir .. "/said"))
      local back = assert(homes.open(task, "oci:" .. dir .. "/back"))
      assert.equal(manifest, assert(back:get_manifest("x", "x")).bytes)
      back:close()
    end)
    assert_tidy()
  end)

  it("has said nothing bad in the log", function()
    for line in g:log():gmatch("[^\n]+") do
      assert.is_nil(line:match("%[error%]") or line:match("%[alert%]") or line:match("%[crit%]"), line)
    end
  end)
end)
