--- A gateway on a bucket of a real S3 store.
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local json = require "epoch.json"
local radosgw = require "spec.support.radosgw"
local registry = require "epoch.registry"
local s3 = require "epoch.objectstore.s3"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MIB = 1024 * 1024

local missing = gateway.missing() or radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("needs Ceph's gateway and nginx", function() pending(missing) end)
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
      assert.is_nil(answer.by[header[1]], header[1] .. " comes twice")
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
      local bytes = work.noise(9 * MIB + 7)
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
      local answer = ask("GET", path .. "?acl=&uploads=&response-content-type=text/html", { any_encoding = true, headers = {
        ["x-amz-copy-source"] = "/x/y", ["x-amz-meta-foo"] = "bar", authorization = "AWS4-HMAC-SHA256 x",
        ["accept-encoding"] = "gzip", cookie = "a=b",
      } })
      assert.same({ 200, "mine", "application/octet-stream" }, {
        answer.status, answer.body, answer.by["content-type"] })
    end)
  end)
end)
