--- A store that misbehaves on purpose: the scripted nginx, by the name of the bucket.
local core = require "epoch.core"
local behaviour = require "spec.support.store_behaviour"
local s3 = require "epoch.objectstore.s3"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local support = require "spec.support.store"
local tasks = require "epoch.task"

local kind, names = behaviour.kind, behaviour.names
local MIB = 1024 * 1024

local ETAG = '"0123456789abcdef0123456789abcdef"'

-- For all buckets: what a store says of an object, of an error, and what it is asked.
local COMMON = [[
  local bucket, rest = ngx.var.uri:match("^/([^/]+)/?(.*)$")
  local method, headers = ngx.req.get_method(), ngx.req.get_headers()
  local store = ngx.shared.store
  local function set(key)
    return ngx.unescape_uri(store:get(key) or "")
  end
  local function object(bytes, more)
    local given = { ETag = '"0123456789abcdef0123456789abcdef"', ["Last-Modified"] = ngx.http_time(ngx.time()) }
    for name, value in pairs(more or {}) do given[name] = value or nil end
    return answer(200, bytes, given)
  end
  local function xml(status, text, more)
    return answer(status, '<?xml version="1.0" encoding="UTF-8"?>\n' .. text, more)
  end
  local function refuse(status, code, more)
    return xml(status, "<Error><Code>" .. code .. "</Code><Message>of the spec</Message></Error>", more)
  end
  local function listing(text)
    return xml(200, "<ListBucketResult>" .. text .. "</ListBucketResult>")
  end
  local function content(key)
    return "<Contents><Key>" .. key .. "</Key><Size>1</Size>"
      .. "<LastModified>2024-01-02T03:04:05.678Z</LastModified></Contents>"
  end
  local function to_go_on(token)
    return listing("<IsTruncated>true</IsTruncated><NextContinuationToken>" .. token .. "</NextContinuationToken>")
  end
  local function begun()
    return xml(200, "<InitiateMultipartUploadResult><UploadId>the id</UploadId></InitiateMultipartUploadResult>")
  end
  local function completed()
    return xml(200, "<CompleteMultipartUploadResult><ETag>&quot;x&quot;</ETag></CompleteMultipartUploadResult>")
  end
  -- an upload in parts that goes well
  local function multipart()
    local args = ngx.req.get_uri_args()
    if method == "POST" and args.uploads then return begun() end
    if method == "POST" then note(bucket .. ":complete", body()) return completed() end
    if method == "DELETE" then note(bucket .. ":abort", args.uploadId) return answer(204) end
    if method == "PUT" then
      ngx.req.discard_body()
      return answer(200, "", { ETag = '"part ' .. args.partNumber .. '&"' })
    end
    ngx.header["Content-Length"] = tostring(6 * 1024 * 1024)
    ngx.header.ETag = '"whole-2"'
    return ngx.exit(200)
  end
]]

-- Buckets by name; what they answer.
local BUCKETS = {
  good = [[ note(bucket, method .. " " .. (headers["x-amz-content-sha256"] or "-") .. " "
      .. (headers["x-amz-security-token"] or "-") .. " " .. #body())
    return object(method == "GET" and "x" or "") ]],
  -- slow down, and other things that pass
  slow = [[ if count(bucket) <= 3 then return refuse(503, "SlowDown", { ["Retry-After"] = "0" }) end
    return object("x") ]],
  slower = [[ count(bucket) return refuse(503, "SlowDown", { ["Retry-After"] = "0" }) ]],
  late = [[ if count(bucket) == 1 then return refuse(400, "RequestTimeout") end return object("x") ]],
  refused = [[ count(bucket) return refuse(400, "InvalidRequest") ]],
  html = [[ count(bucket) return answer(403, "<html>&nbsp;<p>no</html>", { ["Content-Type"] = "text/html" }) ]],
  -- conditions
  simple = [[ note(bucket, method) if headers["if-match"] or headers["if-none-match"] then
      return refuse(501, "NotImplemented") end return object("") ]],
  lost = [[ if method == "PUT" then
      note(bucket, headers["if-none-match"])
      if count(bucket) == 1 then store:set(bucket .. ":body", body()) return ngx.exit(444) end
      return refuse(412, "PreconditionFailed")
    end
    return object(store:get(bucket .. ":body")) ]],
  beaten = [[ if method == "PUT" then
      if count(bucket) == 1 then return ngx.exit(444) end
      return refuse(409, "ConditionalRequestConflict")
    end
    return object("of another") ]],
  quoted = [[ if method == "PUT" then
      note(bucket, headers["if-match"])
      if headers["if-match"] == '"another"' then return refuse(412, "PreconditionFailed") end
    end
    return object("x") ]],
  bare = [[ if method == "PUT" then
      note(bucket, headers["if-match"])
      if headers["if-match"] ~= "x" then return refuse(412, "PreconditionFailed") end
    end
    return object("x", { ETag = "x" }) ]],
  halfquoted = [[ if method == "PUT" then
      note(bucket, headers["if-match"])
      if headers["if-match"] ~= '"x"' then return refuse(412, "PreconditionFailed") end
      return object("x", { ETag = '"x"' }) -- nginx compares, too
    end
    return object("x", { ETag = "x" }) ]],
  absent = [[ return refuse(404, "NoSuchKey") ]],
  -- answers that are broken
  cut = [[ if count(bucket) == 1 then
      ngx.header["Content-Length"] = 100
      ngx.header.ETag, ngx.header["Last-Modified"] = '"x"', ngx.http_time(ngx.time())
      ngx.print("half") ngx.flush(true) return ngx.exit(444)
    end
    return object("whole") ]],
  broken = [[ return blob(numbered(4 * 1024 * 1024), 1500 * 1024, {
      ETag = store:get("tag") or '"x"', ["Last-Modified"] = ngx.http_time(ngx.time()) }) ]],
  noetag = [[ return object("x", { ETag = false }) ]],
  notime = [[ return object("x", { ["Last-Modified"] = false }) ]],
  unranged = [[ return object("0123456789") ]],
  misranged = [[ ngx.status = 206
    ngx.header["Content-Range"] = store:get("range") and set("range") or "bytes 0-3/10"
    ngx.header["Content-Length"] = 4
    ngx.header.ETag, ngx.header["Last-Modified"] = '"x"', ngx.http_time(ngx.time())
    ngx.print("0123") ]],
  -- that lead elsewhere
  moved = [[ count(bucket) return refuse(307, "TemporaryRedirect", { Location = "/good/k" }) ]],
  abroad = [[ return refuse(301, "PermanentRedirect", { ["x-amz-bucket-region"] = "eu-west-7" }) ]],
  elsewhere = [[ return xml(400, "<Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting another</Message>"
      .. "<Region>eu-west-8</Region></Error>") ]],
  -- listings
  listing = [[ return listing(set("listing")) ]],
  raw = [[ return answer(200, set("listing")) ]],
  sparse = [[ local token = ngx.req.get_uri_args()["continuation-token"]
    note(bucket, token or "-")
    if not token then return to_go_on("t/1 +") end
    return listing(content("p/k")) ]],
  endless = [[ return to_go_on("t") ]],
  -- uploads in parts
  parts = [[ return multipart() ]],
  early = [[ if method == "POST" and not ngx.req.get_uri_args().uploads and count(bucket) == 1 then
      note(bucket, "error")
      return answer(200, '   \n <?xml version="1.0"?><Error><Code>InternalError</Code></Error>')
    end
    return multipart() ]],
  never = [[ if method == "POST" and not ngx.req.get_uri_args().uploads then
      count(bucket) return xml(200, "<Error><Code>InternalError</Code></Error>")
    end
    return multipart() ]],
  vanished = [[ if method == "POST" and not ngx.req.get_uri_args().uploads then
      if count(bucket) == 1 then return ngx.exit(444) end
      return refuse(404, "NoSuchUpload")
    end
    return multipart() ]],
  flaky = [[ local part = ngx.req.get_uri_args().partNumber
    if method == "PUT" and count(bucket .. part) == 1 then
      note(bucket, part)
      ngx.req.discard_body()
      return answer(500)
    end
    return multipart() ]],
  failing = [[ local part = ngx.req.get_uri_args().partNumber
    if method == "PUT" and part == "2" then ngx.req.discard_body() return refuse(403, "AccessDenied") end
    return multipart() ]],
  tagless = [[ if method == "PUT" then ngx.req.discard_body() return answer(200) end return multipart() ]],
  nameless = [[ return xml(200, "<InitiateMultipartUploadResult></InitiateMultipartUploadResult>") ]],
  other = [[ return xml(200, "<Surprise/>") ]],
  -- copies
  copied = [[ if method == "PUT" then
      note(bucket, headers["x-amz-copy-source"])
      if count(bucket) == 1 then return answer(200, "  <Error><Code>InternalError</Code></Error>") end
      return xml(200, "<CopyObjectResult><ETag>&quot;copy&quot;</ETag></CopyObjectResult>")
    end
    return object("") ]],
  uncopied = [[ if method == "PUT" then return xml(200, "<Error><Code>InternalError</Code></Error>") end
    return object("") ]],
  untagged = [[ if method == "PUT" then return xml(200, "<CopyObjectResult/>") end return object("") ]],
  changing = [[ local args = ngx.req.get_uri_args()
    if method == "PUT" and headers["x-amz-copy-source-range"] then
      note(bucket .. ":range", headers["x-amz-copy-source-range"])
      return xml(200, "<CopyPartResult><ETag>&quot;p&quot;</ETag></CopyPartResult>")
    elseif method == "HEAD" then
      ngx.header["Content-Length"] = 15 * 1024 * 1024
      ngx.header.ETag, ngx.header["Last-Modified"] = '"' .. count(bucket) .. '"', ngx.http_time(ngx.time())
      return ngx.exit(200)
    end
    return multipart() ]],
  short = [[ if method == "HEAD" then ngx.header["Content-Length"] = 5 ngx.header.ETag = '"x"' return ngx.exit(200) end
    return multipart() ]],
}

describe("an S3 store that misbehaves", function()
  local s, task

  setup(function()
    local locations = {}
    for name, code in pairs(BUCKETS) do
      locations["^~ /" .. name] = server.lua(COMMON .. code)
    end
    s = script.start({}, locations, { tls = true })
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
  end)

  after_each(function()
    task:close()
  end)

  local function open(bucket, more)
    local options = {
      bucket = bucket, prefix = "p", endpoint = s.url, access_key = "ACCESS", secret_key = "canary", proxy = "",
      multipart_threshold = 5 * MIB, part_size = 5 * MIB,
    }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    return assert(s3.open(task, options))
  end

  local function seen(key)
    return script.seen(s, key)
  end

  it("hears of what is signed", function()
    local store = open("good", { session_token = "token" })
    assert(store:put("k", 3, "abc"))
    assert(store:head("k"))
    assert(store:put("long", 2 * MIB, ("x"):rep(2 * MIB)))
    local digest = core.digest(("y"):rep(2 * MIB))
    assert(store:put("long", 2 * MIB, ("y"):rep(2 * MIB), { digest = digest }))
    local function hash(bytes)
      return core.digest(bytes):match("%x+$")
    end
    assert.same({
      ("PUT %s token 3"):format(hash("abc")), ("HEAD %s token 0"):format(hash("")),
      ("PUT %s token %d"):format(hash(("x"):rep(2 * MIB)), 2 * MIB),
      ("PUT %s token %d"):format(hash(("y"):rep(2 * MIB)), 2 * MIB),
    }, seen("good"))
  end)

  it("over TLS is sent what is large without its digest, where none is known", function()
    local store = open("good", { endpoint = s.tls_url, ca_cert = s.ca, prefix = "tls" })
    local before = #seen("good")
    assert(store:put("k", 3, "abc"))
    assert(store:put("k", 2 * MIB, ("x"):rep(2 * MIB)))
    assert(store:put("k", 2 * MIB, ("x"):rep(2 * MIB), { digest = core.digest(("x"):rep(2 * MIB)) }))
    local lines = seen("good")
    assert.matches("^PUT ba7816bf", lines[before + 1])
    assert.matches("^PUT UNSIGNED%-PAYLOAD %- 2097152$", lines[before + 2])
    assert.matches("^PUT %x+ %- 2097152$", lines[before + 3])
  end)

  it("is asked again when it says SlowDown, a few times", function()
    assert.equal("x", (open("slow"):read("k", 1)))
    local err = kind("rate_limited", open("slower", { retries = 2 }):read("k", 1))
    assert.matches("503 SlowDown: of the spec", err.message)
    assert.equal(3, script.requests(s, "GET /slower/"))
    assert.equal("x", (open("late"):read("k", 1)))
    assert.matches("400 InvalidRequest", kind("refused", open("refused"):read("k", 1)).message)
    assert.equal(1, script.requests(s, "GET /refused/"))
    assert.matches("/html/p/k: 403$", kind("denied", open("html"):read("k", 1)).message)
  end)

  it("is not asked for conditions again when it knows none", function()
    local store = open("simple")
    local _, first = store:put("k", 1, "x", { if_none_match = "*" })
    kind("unsupported", nil, first)
    assert.matches("s3://simple/p cannot put objects under conditions", first.message, 1, true)
    local _, second = store:put("k", 1, "x", { if_match = ETAG })
    assert.equal(first, second)
    assert.same({ "PUT" }, seen("simple"))
    assert(store:put("k", 1, "x"))
  end)

  it("has taken what is there though the answer was lost", function()
    assert(open("lost"):put("k", 4, "mine", { if_none_match = "*" }))
    assert.same({ "*", "*" }, seen("lost"))
    kind("conflict", open("beaten"):put("k", 4, "mine", { if_none_match = "*" }))
    kind("conflict", open("beaten"):put("k", 10, "of anothe!", { if_none_match = "*" }))
  end)

  it("sees ETags with their quotes first", function()
    local store = open("quoted")
    assert(store:put("k", 1, "y", { if_match = ETAG }))
    assert.is_nil(store.unquoted)
    kind("conflict", store:put("k", 1, "y", { if_match = '"another"' }))
    assert.same({ ETAG, '"another"' }, seen("quoted"))
  end)

  it("sees them with quotes though it tells them without, unless it wants them so", function()
    local store = open("bare")
    for _ = 1, 2 do
      assert(store:put("k", 1, "y", { if_match = "x" }))
    end
    assert.same({ '"x"', "x", "x" }, seen("bare"))
    assert(open("halfquoted"):put("k", 1, "y", { if_match = "x" }))
    assert.same({ '"x"' }, seen("halfquoted"))
  end)

  it("may say of what is gone that it is not there", function()
    local err = kind("conflict", open("absent"):put("k", 1, "y", { if_match = ETAG }))
    assert.matches("k in s3://absent/p was changed by another", err.message, 1, true)
    kind("not_found", open("absent"):put("k", 1, "y", { if_none_match = "*" }))
  end)

  it("is read again when its answer was cut", function()
    assert.equal("whole", (open("cut"):read("k", 100)))
  end)

  it("is asked for the rest where a long answer broke off", function()
    local bytes = script.numbered(4 * MIB)
    local source, info = open("broken"):get("k")
    assert.equal(#bytes, info.size)
    assert.equal(core.digest(bytes), core.digest(support.bytes(task, source)))
    source, info = open("broken"):get("k", { offset = 100000, length = 2 * MIB })
    assert.equal(2 * MIB, info.size)
    assert.equal(core.digest(bytes:sub(100001, 100000 + 2 * MIB)), core.digest(support.bytes(task, source)))
    assert.equal(5, script.requests(s, "GET /broken/p/k 206") + script.requests(s, "GET /broken/p/k 200"))
  end)

  it("is not believed when it does not say what an object is", function()
    for _, bucket in ipairs { "noetag", "notime" } do
      kind("invalid", open(bucket):head("k"))
      kind("invalid", open(bucket):get("k"))
      kind("invalid", open(bucket):read("k", 9))
    end
    kind("invalid", open("noetag"):put("k", 1, "x"))
  end)

  it("is not believed when it gives another part than was asked for", function()
    kind("unsupported", open("unranged"):get("k", { offset = 3, length = 4 }))
    assert.equal("0123", support.bytes(task, open("misranged"):get("k", { length = 4 })))
    kind("invalid", open("misranged"):get("k", { length = 5 }))
    kind("invalid", open("misranged"):get("k", { offset = 1, length = 4 }))
    kind("invalid", open("misranged"):get("k", { offset = 6 }))
    for _, range in ipairs { "bytes 0-4/10", "bytes 1-4/10", "bytes 0-3/3", "nonsense" } do
      script.set(s, "range", (range:gsub(" ", "%%20")))
      kind("invalid", open("misranged"):get("k", { length = 4 }))
    end
  end)

  it("leads nowhere", function()
    local err = kind("config", open("moved"):read("k", 1))
    assert.matches("307 TemporaryRedirect: .*; the bucket is reached elsewhere: set s3.endpoint", err.message)
    err = kind("config", open("abroad"):list(""))
    assert.matches('the bucket is in region "eu-west-7": set s3.region', err.message, 1, true)
    err = kind("unauthorized", open("elsewhere"):list(""))
    assert.matches('expecting another; the bucket is in region "eu-west-8": set s3.region', err.message, 1, true)
  end)

  describe("lists", function()
    local function set(text)
      script.set(s, "listing", (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)))
    end

    local function content(key, size, modified)
      return ("<Contents><Key>%s</Key><Size>%s</Size><LastModified>%s</LastModified></Contents>"):format(key,
        size or "1", modified or "2024-01-02T03:04:05.678Z")
    end

    local function broken(text, why)
      set(text)
      local err = kind("invalid", open("listing"):list("a/"))
      assert.matches(why, err.message)
    end

    it("only what was asked for, in order", function()
      set(content("p/a/1") .. content("p/a/&lt;&#50;"))
      local page = open("listing"):list("a/")
      assert.same({ "a/1", "a/<2" }, names(page))
      assert.equal(1704164645, page.keys[1].modified)
      broken(content("p/b"), "does not begin with")
      broken(content("a/1"), "does not begin with")
      broken("<Contents><Size>1</Size></Contents>", "does not begin with")
      broken(content("p/a/2") .. content("p/a/1"), "out of order")
      broken(content("p/a/2") .. content("p/a/2"), "out of order")
      broken("<CommonPrefixes><Prefix>p/x/</Prefix></CommonPrefixes>", "does not begin with")
      set(content("p/a/2"))
      kind("invalid", open("listing"):list("a/", { after = "a/2" }))
    end)

    it("with sizes and times that are some", function()
      for _, size in ipairs { "", "-1", "1.5", "0x10", "99999999999999999999", "1e3" } do
        broken(content("p/a/1", size), "size or time")
      end
      for _, modified in ipairs { "", "yesterday", "1704164645" } do
        broken(content("p/a/1", nil, modified), "size or time")
      end
    end)

    it("as far as it says where to go on", function()
      assert.same({ "k" }, names(open("sparse"):list("")))
      assert.same({ "-", "t/1 +" }, seen("sparse"))
      broken("<IsTruncated>true</IsTruncated>", "does not say where")
      assert.matches("on and on", kind("invalid", open("endless"):list("")).message)
    end)

    it("in XML that is no trap", function()
      local function refused(text)
        set(text)
        local err = kind("invalid", open("raw"):list(""))
        assert.matches("GET http://127.0.0.1:%d+/raw: ", tostring(err))
      end
      refused('<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult>&a;</ListBucketResult>')
      refused("")
      refused("<Other/>")
      refused("<ListBucketResult>")
    end)
  end)

  describe("takes large objects", function()
    local BYTES = ("x"):rep(6 * MIB)

    it("in parts, whose ETags it gets back", function()
      assert.equal('"whole-2"', assert(open("parts"):put("k", #BYTES, BYTES)))
      assert.same({ '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        .. "<Part><PartNumber>1</PartNumber><ETag>&quot;part 1&amp;&quot;</ETag></Part>"
        .. "<Part><PartNumber>2</PartNumber><ETag>&quot;part 2&amp;&quot;</ETag></Part></CompleteMultipartUpload>" },
        seen("parts:complete"))
      assert.same({}, seen("parts:abort"))
    end)

    it("and sends a part again", function()
      assert(open("flaky"):put("k", #BYTES, BYTES))
      local parts = seen("flaky")
      table.sort(parts)
      assert.same({ "1", "2" }, parts)
    end)

    it("not, when it says 200 and means an error", function()
      assert(open("early"):put("k", #BYTES, BYTES))
      assert.same({ "error" }, seen("early"))
      local err = kind("unavailable", open("never", { retries = 1 }):put("k", #BYTES, BYTES))
      assert.matches("200 InternalError", err.message)
      assert.same({ "the id" }, seen("never:abort"))
    end)

    it("though the answer to the end was lost", function()
      assert.equal('"whole-2"', assert(open("vanished"):put("k", #BYTES, BYTES)))
    end)

    it("not by halves: what fails is taken back", function()
      local err = kind("denied", open("failing"):put("k", #BYTES, BYTES))
      assert.matches("write k to s3://failing/p: PUT http://.*: 403 AccessDenied", tostring(err))
      assert.same({ "the id" }, seen("failing:abort"))
      assert.same({}, seen("failing:complete"))
      kind("digest_mismatch", open("parts"):put("k", #BYTES, BYTES, { digest = core.digest("y") }))
      assert.same({ "the id" }, seen("parts:abort"))
      kind("invalid", open("tagless"):put("k", #BYTES, BYTES))
      assert.same({ "the id" }, seen("tagless:abort"))
      kind("invalid", open("nameless"):put("k", #BYTES, BYTES))
      kind("invalid", open("other"):put("k", #BYTES, BYTES))
      kind("size_mismatch", open("short"):put("k", #BYTES, BYTES))
    end)
  end)

  it("copies when it says so in the end, and not when it says 200 first", function()
    assert.equal('"copy"', assert(open("copied"):copy("a/b+c", "d")))
    assert.same({ "/copied/p/a/b%2Bc", "/copied/p/a/b%2Bc" }, seen("copied"))
    local err = kind("unavailable", open("uncopied", { retries = 1 }):copy("a", "d"))
    assert.matches("copy a to d in s3://uncopied/p: .*200 InternalError", tostring(err))
    kind("invalid", open("untagged"):copy("a", "d"))
  end)

  it("copies in ranges what stays as it is meanwhile", function()
    local err = kind("conflict", open("changing", { copy_threshold = 10 * MIB }):copy("a", "d"))
    assert.matches("a was changed while it was copied", err.message)
    local ranges = seen("changing:range")
    table.sort(ranges)
    assert.same({ "bytes=0-7864319", "bytes=7864320-15728639" }, ranges)
    assert.same({ "the id" }, seen("changing:abort"))
    assert.same({}, seen("changing:complete"))
  end)

  it("is told no secret, and tells none", function()
    for _, bucket in ipairs { "slower", "refused", "moved", "noetag" } do
      local _, err = open(bucket, { retries = 0 }):put("k", 1, "x")
      assert.is_nil(tostring(err):find("canary", 1, true))
      assert.is_nil(tostring(err):find("Signature=", 1, true))
    end
    assert.is_nil(s:access_log():find("canary", 1, true))
  end)
end)
