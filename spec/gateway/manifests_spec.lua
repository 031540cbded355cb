--- Manifests over HTTP: given as they were put, taken when they are whole.
local client = require "spec.support.gateway_client"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local work = require "spec.support.work"

local failure = client.assert_failure
local MAX = 4 * 1024 * 1024

-- A manifest of exactly so many bytes.
local function of_size(n)
  local empty = client.manifest({}, '"annotations":{"x":""},')
  return client.manifest({}, ('"annotations":{"x":"%s"},'):format(("x"):rep(n - #empty)))
end

describe("manifests of the gateway", function()
  if gateway.missing() then
    pending(gateway.missing())
    return
  end

  local g, ask

  setup(function()
    g = gateway.start()
    ask = client.of(g)
    client.put_blob(ask, "a", "{}")
  end)

  teardown(function()
    g:stop()
  end)

  local function put(name, given, bytes, media_type)
    local answer = client.put_manifest(ask, name, given, bytes, media_type)
    assert.equal(201, answer.status, answer.body)
    return answer
  end

  it("are given as they were put, by tag and by digest", function()
    local bytes = client.manifest({}, '"artifactType":"a/b", ')
    local digest = core.digest(bytes)
    local created = put("a", "v1", bytes)
    assert.equal("", created.body)
    assert.equal(digest, created.headers["docker-content-digest"])
    assert.equal("/v2/a/manifests/v1", created.headers.location)
    for _, given in ipairs { "v1", digest } do
      local got = ask("GET", "/v2/a/manifests/" .. given)
      assert.same({ 200, bytes }, { got.status, got.body })
      local looked = ask("HEAD", "/v2/a/manifests/" .. given)
      for _, answer in ipairs { got, looked } do
        assert.equal(200, answer.status)
        assert.equal(client.IMAGE, answer.headers["content-type"])
        assert.equal(digest, answer.headers["docker-content-digest"])
        assert.equal(tostring(#bytes), answer.headers["content-length"])
        assert.equal('"' .. digest .. '"', answer.headers.etag)
      end
    end
  end)

  it("are known by sha512, too", function()
    local bytes = client.manifest({}, '"artifactType":"long/digest",')
    local digest = core.digest(bytes, "sha512")
    assert.equal(digest, put("a", digest, bytes).headers["docker-content-digest"])
    local got = ask("GET", "/v2/a/manifests/" .. digest)
    assert.same({ 200, bytes, digest }, { got.status, got.body, got.headers["docker-content-digest"] })
  end)

  it("are what the tag leads to now", function()
    for i = 1, 5 do
      local bytes = client.manifest({}, ('"annotations":{"n":"%d"},'):format(i))
      put("a", "moving", bytes)
      assert.equal(bytes, ask("GET", "/v2/a/manifests/moving").body)
      assert.equal(core.digest(bytes), ask("HEAD", "/v2/a/manifests/moving").headers["docker-content-digest"])
    end
  end)

  it("are not sent to those who have them", function()
    local bytes = client.manifest({}, '"annotations":{"etag":""},')
    local etag = '"' .. put("a", "etag", bytes).headers["docker-content-digest"] .. '"'
    for _, given in ipairs { etag, "W/" .. etag, '"other", ' .. etag, "*" } do
      local answer = ask("GET", "/v2/a/manifests/etag", { headers = { "If-None-Match: " .. given } })
      assert.same({ 304, "" }, { answer.status, answer.body }, given)
      assert.equal(etag, answer.headers.etag)
    end
    assert.equal(200, ask("GET", "/v2/a/manifests/etag", { headers = { 'If-None-Match: "other"' } }).status)
  end)

  it("keep the type that they came as", function()
    local bytes = '{"schemaVersion":2,"layers":[]}'
    put("a", "typed", bytes, "application/vnd.example.thing.v1+json; charset=utf-8")
    assert.equal("application/vnd.example.thing.v1+json", ask("GET", "/v2/a/manifests/typed").headers["content-type"])
    failure(400, "MANIFEST_INVALID", client.put_manifest(ask, "a", "other", client.manifest(), client.INDEX))
    local untyped = '{"schemaVersion":2,"layers":[]}'
    failure(400, "MANIFEST_INVALID", client.put_manifest(ask, "a", "other", untyped, "a/" .. ("b"):rep(254)))
    assert.equal(404, ask("GET", "/v2/a/manifests/other").status)
    assert.equal(201, client.put_manifest(ask, "a", "longest", untyped, "a/" .. ("b"):rep(253)).status)
    assert.equal("a/" .. ("b"):rep(253), ask("GET", "/v2/a/manifests/longest").headers["content-type"])
  end)

  it("are refused where they are none, or not what was said", function()
    for _, bytes in ipairs { "", "{", "[]", '"x"', "null", '{"layers":{"a":1}}', '{"layers":[{"digest":"x"}]}' } do
      failure(400, "MANIFEST_INVALID", client.put_manifest(ask, "a", "bad", bytes))
    end
    failure(400, "DIGEST_INVALID", client.put_manifest(ask, "a", core.digest("other"), client.manifest()))
    failure(400, "TAG_INVALID", client.put_manifest(ask, "a", ".bad", client.manifest()))
    failure(400, "NAME_INVALID", client.put_manifest(ask, "A", "v1", client.manifest()))
    failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/a/manifests/bad"))
  end)

  it("have at most 4 MiB, however they come", function()
    local most = of_size(MAX)
    put("a", "most", most)
    local got = ask("GET", "/v2/a/manifests/most")
    assert.equal(core.digest(most), core.digest(got.body))
    put("a", "most", most .. "")
    for _, chunked in ipairs { false, true } do
      local answer = ask("PUT", "/v2/a/manifests/more", {
        body = of_size(MAX + 1), chunked = chunked, headers = { "Content-Type: " .. client.IMAGE } })
      failure(413, "MANIFEST_INVALID", answer)
    end
    local small = ask("PUT", "/v2/a/manifests/chunked", {
      body = client.manifest(), chunked = true, headers = { "Content-Type: " .. client.IMAGE } })
    assert.equal(201, small.status, small.body)
    failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/a/manifests/more"))
  end)

  it("are not awaited to their end when they are too large", function()
    -- it would take minutes, were it read to its end
    local pipe = assert(io.popen(("head -c 1000000000 /dev/zero | curl -sS -m 20 --noproxy '*' --limit-rate 8M -T - "
      .. "-o /dev/null -w '%%{http_code} %%{time_total}' %s/v2/a/manifests/endless 2>&1"):format(g.url)))
    local status, took = pipe:read("*a"):match("(%d+) ([%d.]+)$")
    pipe:close()
    assert.equal("413", status)
    assert.is_true(tonumber(took) < 15, took)
  end)

  it("need their blobs, and manifests of an index; not a subject, and not layers from elsewhere", function()
    failure(400, "MANIFEST_BLOB_UNKNOWN", client.put_manifest(ask, "a", "needs", client.manifest { "never sent" }))
    failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/a/manifests/needs"))
    local missing = ('{"mediaType":"%s","digest":"%s","size":5}'):format(client.IMAGE, core.digest("missing"))
    failure(400, "MANIFEST_BLOB_UNKNOWN", client.put_manifest(ask, "a", "needs",
      ('{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}'):format(client.INDEX, missing), client.INDEX))
    client.put_blob(ask, "a", "of another size")
    local wrong = client.manifest({ "of another size" }):gsub('"size":15', '"size":14')
    failure(400, "SIZE_INVALID", client.put_manifest(ask, "a", "needs", wrong))

    local about = put("a", "about", client.manifest({}, ('"subject":%s,'):format(missing)))
    assert.equal(core.digest("missing"), about.headers["oci-subject"])
    assert.is_nil(put("a", "plain", client.manifest()).headers["oci-subject"])
    local foreign = client.manifest({ "elsewhere" }):gsub("application/octet%-stream",
      "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    put("a", "foreign", foreign)
  end)

  it("get the tags that are given besides their digest", function()
    local bytes = client.manifest({}, '"annotations":{"many":"tags"},')
    local digest = core.digest(bytes)
    local answer = put("a", digest .. "?tag=one&tag=two", bytes)
    assert.equal("one, two", answer.headers["oci-tag"])
    for _, tag in ipairs { "one", "two" } do
      assert.equal(digest, ask("HEAD", "/v2/a/manifests/" .. tag).headers["docker-content-digest"])
    end
    failure(400, "MANIFEST_INVALID", client.put_manifest(ask, "a", "three?tag=four", bytes))
    failure(400, "MANIFEST_INVALID", client.put_manifest(ask, "a", digest .. "?tag=five&tag=../six", bytes))
    failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/a/manifests/five"))
    failure(414, "UNSUPPORTED", client.put_manifest(ask, "a", digest .. "?tag=five" .. ("&tag=six"):rep(100), bytes))
    failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/a/manifests/five"))
    assert.equal(201, client.put_manifest(ask, "a", digest .. "?tag=six" .. ("&tag=six"):rep(99), bytes).status)
    local long = core.digest(bytes, "sha512")
    put("b", long .. "?tag=long", bytes)
    assert.equal(long, ask("HEAD", "/v2/b/manifests/long").headers["docker-content-digest"])
  end)

  it("are deleted by tag alone, or by digest with their tags", function()
    local bytes = client.manifest({}, '"annotations":{"to":"delete"},')
    local digest = put("d/e", "one", bytes).headers["docker-content-digest"]
    put("d/e", "two", bytes)
    assert.equal(202, ask("DELETE", "/v2/d/e/manifests/one").status)
    failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/d/e/manifests/one"))
    failure(404, "MANIFEST_UNKNOWN", ask("DELETE", "/v2/d/e/manifests/one"))
    assert.equal(200, ask("HEAD", "/v2/d/e/manifests/two").status)
    assert.equal(202, ask("DELETE", "/v2/d/e/manifests/" .. digest).status)
    for _, given in ipairs { "two", digest } do
      failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/d/e/manifests/" .. given))
      failure(404, "MANIFEST_UNKNOWN", ask("DELETE", "/v2/d/e/manifests/" .. given))
    end
  end)

  it("are unknown where nothing is, and what is broken is not handed out", function()
    for _, path in ipairs { "nobody/manifests/v1", "a/manifests/none", "a/manifests/" .. core.digest("none") } do
      failure(404, "MANIFEST_UNKNOWN", ask("GET", "/v2/" .. path))
      local looked = ask("HEAD", "/v2/" .. path)
      assert.same({ 404, "" }, { looked.status, looked.body })
    end
    local bytes = client.manifest({}, '"annotations":{"will":"rot"},')
    local digest = put("a", "rots", bytes).headers["docker-content-digest"]
    work.write_file(g.root .. "/manifests/a/_digests/" .. digest:gsub(":", "-") .. ".json", client.manifest())
    local answer = ask("GET", "/v2/a/manifests/" .. digest)
    assert.equal(500, answer.status)
    assert.is_nil(answer.body:find(g.root, 1, true))
  end)

  it("are put whatever becomes of what is to happen then, which the log says", function()
    local other = gateway.start { config = [[
      on_pushed = function(put)
        if put.name == "raises" then put.nobody.knows() end
        while put.name == "loops" do end
        print("put " .. put.name .. ":" .. put.tag .. " " .. put.digest)
      end
    ]] }
    local ask_other = client.of(other)
    client.put_blob(ask_other, "a", "{}")
    for name, said in pairs {
      fine = "put fine:v1 " .. core.digest(client.manifest()),
      raises = "the hook on_pushed of the configuration failed: ",
      loops = "too many steps",
    } do
      assert.equal(201, client.put_manifest(ask_other, name, "v1", client.manifest()).status)
      assert.equal(200, ask_other("GET", "/v2/" .. name .. "/manifests/v1").status)
      assert(other:log():find(said, 1, true), other:log())
    end
    assert.equal(0, other:stop())
  end)

  it("are taken away while others read them, and no answer is half of one", function()
    local one, two = of_size(30000), of_size(20000)
    put("race", "v1", one)
    local reader = assert(io.popen(("for i in $(seq 60); do curl -sS --noproxy '*' %s/v2/race/manifests/v1 "
      .. "| sha256sum; done"):format(g.url)))
    for i = 1, 10 do
      put("race", "v1", i % 2 == 0 and one or two)
    end
    local good = { [core.digest(one)] = true, [core.digest(two)] = true }
    local n = 0
    for hex in reader:lines() do
      n = n + 1
      assert.is_true(good["sha256:" .. hex:match("^%x+")] or false, hex)
    end
    reader:close()
    assert.equal(60, n)
  end)
end)
