--- Blobs over HTTP: sent by nginx from their files, whole or in part.
local client = require "spec.support.gateway_client"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local homes = require "epoch.home"
local support = require "spec.support.store"
local work = require "spec.support.work"

local failure = client.assert_failure

describe("blobs of the gateway", function()
  if gateway.missing() then
    pending(gateway.missing())
    return
  end

  local g, ask
  local BYTES = work.noise(300000)
  local DIGEST = core.digest(BYTES)
  local PATH = "/v2/a/blobs/" .. DIGEST

  setup(function()
    g = gateway.start()
    ask = client.of(g)
    assert.equal(DIGEST, client.put_blob(ask, "a", BYTES))
  end)

  teardown(function()
    g:stop()
  end)

  it("are sent with their digest, length and tag, and looked for without being sent", function()
    local got, looked = ask("GET", PATH), ask("HEAD", PATH)
    assert.equal(200, got.status)
    work.assert_same_bytes(BYTES, got.body)
    for _, answer in ipairs { got, looked } do
      assert.equal(200, answer.status)
      assert.equal("300000", answer.headers["content-length"])
      assert.equal(DIGEST, answer.headers["docker-content-digest"])
      assert.equal('"' .. DIGEST .. '"', answer.headers.etag)
      assert.equal("application/octet-stream", answer.headers["content-type"])
      assert.equal("bytes", answer.headers["accept-ranges"])
    end
  end)

  it("are sent in part", function()
    for range, wanted in pairs {
      ["0-0"] = { 0, 0 }, ["0-99"] = { 0, 99 }, ["299999-"] = { 299999, 299999 }, ["-5"] = { 299995, 299999 },
      ["100000-199999"] = { 100000, 199999 }, ["299990-400000"] = { 299990, 299999 }, ["-999999"] = { 0, 299999 },
    } do
      for _, method in ipairs { "GET", "HEAD" } do
        local answer = ask(method, PATH, { headers = { "Range: bytes=" .. range } })
        assert.equal(206, answer.status, range)
        assert.equal(("bytes %d-%d/300000"):format(wanted[1], wanted[2]), answer.headers["content-range"])
        assert.equal(tostring(wanted[2] - wanted[1] + 1), answer.headers["content-length"])
        assert.equal(DIGEST, answer.headers["docker-content-digest"])
        if method == "GET" then
          work.assert_same_bytes(BYTES:sub(wanted[1] + 1, wanted[2] + 1), answer.body)
        end
      end
    end
  end)

  it("say so when a range is none of theirs", function()
    for _, range in ipairs {
      "300000-", "300000-300001", "400000-500000", "-0", "300000-, 300001-", -- behind its end, and none at all
      "9-1", "x", "-", "0-4,", "0-99999999999999999999",
    } do
      local answer = ask("GET", PATH, { headers = { "Range: bytes=" .. range } })
      failure(416, "RANGE_INVALID", answer)
      assert.equal("bytes */300000", answer.headers["content-range"])
      assert.equal(416, ask("HEAD", PATH, { headers = { "Range: bytes=" .. range } }).status)
    end
    local began = core.now()
    for _, range in ipairs { "9-" .. (" "):rep(7000) .. "x", (" "):rep(7000) .. "x", "0-" .. (" "):rep(7000) .. "1" } do
      for _ = 1, 5 do -- each took most of a second, of all that its worker has to do
        assert.is_number(ask("GET", PATH, { headers = { "Range: bytes=" .. range } }).status)
      end
    end
    assert.is_true(core.now() - began < 3)
    for range, status in pairs { ["chars=300000-"] = 200, ["bytes="] = 200, ["bytes=0-1,300000-"] = 206 } do
      assert.equal(status, ask("GET", PATH, { headers = { "Range: " .. range } }).status, range)
    end
    assert.equal(200, ask("GET", PATH, { headers = { "Range: bytes=300000-", 'If-Range: "x"' } }).status)
    local empty = client.put_blob(ask, "a", "")
    failure(416, "RANGE_INVALID", ask("GET", "/v2/a/blobs/" .. empty, { headers = { "Range: bytes=0-" } }))
  end)

  it("are not sent to those who have them, and a part only of what it was a part of", function()
    local etag = '"' .. DIGEST .. '"'
    for _, given in ipairs { etag, '"x", W/' .. etag, "*" } do
      local answer = ask("GET", PATH, { headers = { "If-None-Match: " .. given } })
      assert.same({ 304, "" }, { answer.status, answer.body })
      assert.equal(etag, answer.headers.etag)
    end
    assert.equal(200, ask("GET", PATH, { headers = { 'If-None-Match: "x"' } }).status)
    local function part(if_range)
      return ask("GET", PATH, { headers = { "Range: bytes=0-9", "If-Range: " .. if_range } }).status
    end
    assert.same({ 206, 200 }, { part(etag), part('"x"') })
  end)

  it("may be empty, or known by their sha512", function()
    local empty = client.put_blob(ask, "a", "")
    local answer = ask("GET", "/v2/a/blobs/" .. empty)
    assert.same({ 200, "", "0" }, { answer.status, answer.body, answer.headers["content-length"] })
    local long = client.put_blob(ask, "a", "by sha512", "sha512")
    answer = ask("GET", "/v2/a/blobs/" .. long)
    assert.same({ 200, "by sha512", long }, { answer.status, answer.body, answer.headers["docker-content-digest"] })
  end)

  it("are unknown where they are not", function()
    local path = "/v2/a/blobs/" .. core.digest("nothing")
    failure(404, "BLOB_UNKNOWN", ask("GET", path))
    local looked = ask("HEAD", path)
    assert.same({ 404, "" }, { looked.status, looked.body })
    failure(404, "BLOB_UNKNOWN", ask("DELETE", path))
    failure(400, "DIGEST_INVALID", ask("GET", "/v2/a/blobs/sha256:x"))
    -- a directory of that name is no blob
    assert(core.mkdir(g.root .. "/blobs/sha256/" .. core.digest("nothing"):match("%x+$")))
    failure(404, "BLOB_UNKNOWN", ask("GET", path))
  end)

  it("are deleted for everybody", function()
    local digest = client.put_blob(ask, "a", "to be deleted")
    assert.equal(202, ask("DELETE", "/v2/a/blobs/" .. digest).status)
    failure(404, "BLOB_UNKNOWN", ask("GET", "/v2/a/blobs/" .. digest))
    failure(404, "BLOB_UNKNOWN", ask("DELETE", "/v2/a/blobs/" .. digest))
  end)

  it("are not deleted by way of one repository while manifests of another need them", function()
    client.put_blob(ask, "a", "{}")
    local digest = client.put_blob(ask, "a", "needed by a")
    assert.equal(201, client.put_manifest(ask, "a", "v1", client.manifest { "needed by a" }).status)
    failure(405, "UNSUPPORTED", ask("DELETE", "/v2/b/blobs/" .. digest))
    assert.equal("needed by a", ask("GET", "/v2/a/blobs/" .. digest).body)
    -- whoever may delete from the repository that needs it may
    assert.equal(202, ask("DELETE", "/v2/a/blobs/" .. digest).status)
    failure(404, "BLOB_UNKNOWN", ask("GET", "/v2/a/blobs/" .. digest))
    assert.equal(202, ask("DELETE", "/v2/a/manifests/v1").status)
  end)

  it("are asked for by the path that was sent, and nobody is told where they are", function()
    for _, path in ipairs { "/v2/../v2/a/blobs/" .. DIGEST, "/v2/b/%2e%2e/a/blobs/" .. DIGEST, "/v2/..%2fcatalog" } do
      failure(400, "NAME_INVALID", ask("GET", path))
    end
    local answers = {
      ask("GET", "/v2/none/tags/list"), ask("GET", "/v2/none/manifests/v1"),
      client.put_manifest(ask, "a", "v1", client.manifest { "not there" }),
      client.put_manifest(ask, "a", "v1", client.manifest({}, '"subject":{},')),
    }
    for _, answer in ipairs(answers) do
      assert.is_true(answer.status >= 400 and answer.status < 500, answer.body)
      assert.is_nil(answer.body:find(g.root, 1, true), answer.body)
    end
  end)

  it("cannot be had around the registry", function()
    local hex = DIGEST:match("%x+$")
    for _, path in ipairs {
      "/_epoch/file/blobs/sha256/" .. hex, "/%5Fepoch/file/blobs/sha256/" .. hex, "/_epoch/file/../catalog.json",
      "/v2/../_epoch/file/catalog.json", "/v2/%2e%2e/_epoch/file/catalog.json",
      "/v2/a/blobs/..%2f..%2fcatalog.json", "/v2/a/blobs/%2e%2e/%2e%2e/catalog.json", "/v2/a/manifests/..%2fx",
      "/v2/..%2f..%2fetc/blobs/" .. DIGEST, "/v2/%2e%2e/tags/list", "/v2/a%00b/tags/list", "//v2/a/blobs/" .. DIGEST,
      "/v2//a/blobs/" .. DIGEST, "/v2/a/blobs/sha256%3A" .. hex .. "%00", "/.spool/", "/.locks/", "/catalog.json",
      "/v2/.spool/tags/list", "/v2/a/blobs/uploads/..%2f..%2fcatalog.json",
    } do
      for _, method in ipairs { "GET", "PUT", "DELETE" } do
        local answer = ask(method, path)
        assert.is_true(answer.status >= 400 and answer.status < 500, method .. " " .. path .. " " .. answer.status)
        assert.is_nil(answer.body:find(g.root, 1, true))
      end
    end
    assert.equal(200, ask("GET", "/v2/a/blobs/sha256%3A" .. hex).status) -- a way to write the same
    support.with_task(function(task)
      local home = assert(homes.open(task, g.store))
      assert.is_true(home:blob_exists("a", DIGEST))
      home:close()
    end)
  end)

  it("answer what stands behind a HEAD once, and nothing that its body says", function()
    local smuggled = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
    local request = ("HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(PATH,
      #smuggled, smuggled)
    work.write_file(g.dir .. "/raw", request)
    local pipe = assert(io.popen(("bash -c 'exec 3<>/dev/tcp/127.0.0.1/%s; cat \"%s/raw\" >&3; timeout 5 cat <&3'")
      :format(g.url:match("%d+$"), g.dir)))
    local text = pipe:read("*a")
    pipe:close()
    assert.equal(1, select(2, text:gsub("HTTP/1%.1 ", "")), text)
    assert.matches("^HTTP/1.1 200 OK\r\n", text)
  end)
end)
