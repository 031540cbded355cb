local client = require "epoch.client"
local core = require "epoch.core"
local listing = require "epoch.client.listing"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MANIFEST = "application/vnd.oci.image.manifest.v1+json"
local BYTES = "what is uploaded"
local DIGEST = core.digest(BYTES)

local function manifest(body, content_type)
  return ([[ answer(200, %q, { ["Content-Type"] = %q }) ]]):format(body, content_type)
end

-- The token ends when the first upload begins.
local RENEWING = [[
  local store = ngx.shared.store
  if ngx.req.get_method() == "PUT" then note(repo, "PUT " .. body()) end
  if authorization() ~= "Bearer " .. (store:get(repo .. ":token") or "first") then
    return answer(401, "", { ["WWW-Authenticate"] = ('Bearer realm="http://%s/token?repo=%s"'):format(host(), repo) })
  end
  if ngx.req.get_method() == "POST" and count(repo) == 1 then
    store:set(repo .. ":token", "second")
  end
  upload(repo, rest)]]

describe("a registry that misbehaves", function()
  local s, task, home

  setup(function()
    s = script.start({
      -- answers that should be tried again, or not
      patience = [[ if count(repo) == 1 then return answer(429, "", { ["Retry-After"] = "1" }) end
                    answer(200, '{"tags":["v1"]}') ]],
      impatient = [[ count(repo) answer(429, "", { ["Retry-After"] = "99999999" }) ]],
      shaky = [[ if count(repo) < 3 then return answer(500) end answer(200, '{"tags":["v1"]}') ]],
      status = [[ answer(tonumber(ngx.shared.store:get("status"))) ]],
      hangs = "ngx.exit(444)",
      -- uploads
      other = [[ if ngx.req.get_method() == "POST" then
          note(repo, authorization())
          return answer(202, "", { Location = ngx.shared.store:get("url:other") .. "/elsewhere?a=b" })
        end
        upload(repo, rest) ]],
      led = [[ if ngx.req.get_method() == "PUT" then
          note(repo, "PUT")
          return answer(307, "", { Location = ngx.shared.store:get("url:other") .. "/elsewhere?a=b" })
        end
        upload(repo, rest) ]],
      circling = [[ if ngx.req.get_method() == "PUT" then
          note(repo, "PUT")
          return answer(307, "", { Location = ngx.var.request_uri })
        end
        upload(repo, rest) ]],
      interrupted = [[ if ngx.req.get_method() == "PUT" and count(repo) == 1 then
          note(repo, "PUT -")
          ngx.req.socket():receive(1000)
          return ngx.exit(444)
        end
        if ngx.req.get_method() == "PUT" then note(repo, "PUT " .. #body()) end
        upload(repo, rest) ]],
      nowhere = [[ if ngx.req.get_method() == "POST" then return answer(202) end upload(repo, rest) ]],
      file = [[ if ngx.req.get_method() == "POST" then
          return answer(202, "", { Location = "file:///etc/passwd" }) end upload(repo, rest) ]],
      good = "upload(repo, rest)",
      lost = [[ if ngx.req.get_method() == "PUT" then
          note(repo, "PUT")
          ngx.shared.store:set(repo .. ":size", #body())
          return ngx.exit(444)
        end
        upload(repo, rest) ]],
      gone = [[ if ngx.req.get_method() == "PUT" and count(repo) == 1 then
          note(repo, "PUT " .. #body())
          return answer(404, '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
        end
        upload(repo, rest) ]],
      resend = [[ if ngx.req.get_method() == "PUT" and count(repo) < 3 then
          note(repo, "PUT " .. body())
          return answer(503)
        end
        upload(repo, rest) ]],
      never = [[ if ngx.req.get_method() == "PUT" then note(repo, "PUT " .. body()) return answer(503) end
        upload(repo, rest) ]],
      renewing = RENEWING,
      ["renewing-once"] = RENEWING,
      streamed = [[ if ngx.req.get_method() == "PATCH" then
          note(repo, "PATCH " .. body())
          if count(repo) == 1 then return answer(503) end
          return answer(202, "", { Location = "/v2/streamed/blobs/uploads/2" })
        end
        upload(repo, rest) ]],
      unstreamed = [[ if ngx.req.get_method() == "PATCH" then note(repo, "PATCH") return answer(503) end
        upload(repo, rest) ]],
      broken = [[ if ngx.req.get_method() == "HEAD" then
          ngx.header["Content-Length"] = 3
          ngx.status = 200
          return ngx.exit(200)
        end
        note(repo, "touched") answer(500) ]],
      -- lists
      circle = [[ answer(200, '{"tags":["v1"]}', { Link = '</v2/circle/tags/list?n=1000>; rel="next"' }) ]],
      circles = [[ answer(200, '{"tags":["v1"]}', { Link = '</v2/circles/tags/list?last=x>; rel="next"' }) ]],
      astray = [[ answer(200, '{"tags":["v1"]}', { Link = '<http://127.0.0.1:1/next>; rel="next"' }) ]],
      endless = [[ local n = count(repo)
        answer(200, '{"tags":["v' .. n .. '"]}', { Link = '<list?last=' .. n .. '>; rel=next' }) ]],
      bad_tag = [[ answer(200, '{"tags":["v1","../../x"]}') ]],
      no_list = [[ answer(200, '{"tags":{"a":1}}') ]],
      null_list = [[ answer(200, '{"tags":null}') ]],
      big_list = [[ answer(200, '{"tags":["' .. repeated(4 * 1024 * 1024) .. '"]}') ]],
      -- manifests
      ["m-plain"] = manifest("{}", MANIFEST .. "; charset=utf-8"),
      ["m-other"] = manifest('{"mediaType":"application/vnd.oci.image.index.v1+json"}', MANIFEST),
      ["m-own"] = manifest(('{"mediaType":"%s"}'):format(MANIFEST), "application/json"),
      ["m-none"] = manifest("{}", "application/json"),
      ["m-text"] = manifest("hello", MANIFEST),
      ["m-big"] = [[ answer(200, repeated(4 * 1024 * 1024 + 1)) ]],
      ["m-stored"] = [[ body() answer(201, "", { ["Docker-Content-Digest"] = "sha256:" .. ("0"):rep(64) }) ]],
      -- what it says
      escapes = [[ answer(400, '{"errors":[{"code":"X","message":"\\u001b]0;x\\u0007 \\r\\nEvil: 1 '
        .. 'http://h/p?sig=canary end"}]}') ]],
      wordy = [[ answer(400, repeated(20000), { ["Content-Type"] = "text/plain" }) ]],
      text = [[ answer(403, "go away\27[2J\n", { ["Content-Type"] = "text/plain" }) ]],
      -- downloads
      moved = [[ answer(307, "", { Location = ngx.shared.store:get("url:other") .. "/download?sig=canary" }) ]],
      trap = [[ answer(307, "", { Location = ngx.shared.store:get("url:other") .. "/trap" }) ]],
      whole = [[ answer(200, "the whole blob") ]],
    }, {
      ["= /elsewhere"] = server.lua [[ note("elsewhere", ngx.req.get_method() .. " " .. authorization() .. " "
        .. ngx.var.args .. " " .. body()) answer(201) ]],
      ["= /token"] = server.lua [[
        answer(200, '{"token":"' .. (ngx.shared.store:get(ngx.var.arg_repo .. ":token") or "first") .. '"}') ]],
      ["= /download"] = server.lua [[ note("download", authorization()) answer(200, "downloaded") ]],
      ["= /trap"] = server.lua [[ note("trap", authorization())
        answer(401, "", { ["WWW-Authenticate"] = 'Basic realm="x"' }) ]],
    })
    script.set(s, "url:other", s.other_url)
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
    home = assert(client.new(task, { url = s.url, docker_config = false, proxy = "", token = "canary" }))
  end)

  after_each(function()
    task:close()
  end)

  local function fails(kind, pattern, ok, err)
    assert.is_nil(ok)
    assert.equal(kind, err.kind)
    assert.matches(pattern, tostring(err))
    assert.is_nil(tostring(err):find("canary", 1, true))
    assert.is_nil(tostring(err):find("[%c]"))
  end

  local function put(name)
    return home:put_blob(name, DIGEST, #BYTES, function() return core.bytes(BYTES) end)
  end

  describe("is asked again", function()
    it("after as long as it wants", function()
      local began = core.now()
      assert.same({ "v1" }, assert(home:tags("patience")))
      assert.is_true(core.now() - began >= 1)
    end)

    it("but not when it wants too long", function()
      local began = core.now()
      fails("rate_limited", "asks to wait 99999999 seconds, more than 60", home:tags("impatient"))
      assert.is_true(core.now() - began < 5)
      assert.equal(1, script.requests(s, "GET /v2/impatient/"))
    end)

    it("after errors that pass", function()
      assert.same({ "v1" }, assert(home:tags("shaky")))
      assert.equal(3, script.requests(s, "GET /v2/shaky/"))
    end)

    it("after what may be gone later, and after nothing else", function()
      local once = assert(client.new(task, { url = s.url, docker_config = false, proxy = "", retries = 1 }))
      local kinds = {
        [400] = "refused", [403] = "denied", [404] = "not_found", [405] = "unsupported", [408] = "timeout",
        [413] = "refused", [429] = "rate_limited", [500] = "unavailable", [501] = "unsupported",
        [502] = "unavailable", [503] = "unavailable", [504] = "timeout", [505] = "unsupported", [507] = "unavailable",
      }
      local again = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }
      for status, kind in pairs(kinds) do
        script.set(s, "status", status)
        local before = script.requests(s, "GET /v2/status/")
        local tags, err = once:tags("status")
        assert.is_nil(tags)
        assert.equal(status, err.status)
        assert.equal(kind, err.kind)
        assert.equal(again[status] and 2 or 1, script.requests(s, "GET /v2/status/") - before)
      end
    end)

    it("after a connection that ends", function()
      local twice = assert(client.new(task, { url = s.url, docker_config = false, proxy = "", retries = 1 }))
      fails("unavailable", "/v2/hangs/tags/list", twice:tags("hangs"))
      assert.equal(2, script.requests(s, "GET /v2/hangs/"))
    end)

    it("never after its certificate was not good", function()
      local tls = server.start { tls = true, locations = {} }
      local began = core.now()
      local safe = assert(client.new(task, { url = tls.tls_url, docker_config = false, proxy = "" }))
      local tags, err = safe:tags("a")
      tls:stop()
      assert.is_nil(tags)
      assert.equal("tls", err.kind)
      assert.is_true(core.now() - began < 5)
    end)
  end)

  describe("gets an upload", function()
    it("with the query that it wants and the digest", function()
      assert.is_true(put("good"))
      assert.equal(1, script.requests(s, "PUT /v2/good/blobs/uploads/1?state=canary&digest=" .. DIGEST .. " 201"))
    end)

    it("elsewhere without the credentials", function()
      assert.is_true(put("other"))
      assert.same({ "HEAD Bearer canary", "Bearer canary" }, script.seen(s, "other"))
      assert.same({ "PUT - a=b&digest=" .. DIGEST .. " " .. BYTES }, script.seen(s, "elsewhere"))
    end)

    it("not without a place", function()
      fails("invalid", "does not say the upload location", put("nowhere"))
      fails("invalid", "not a URL", put("file"))
    end)

    it("once when only its answer is lost", function()
      assert.is_true(put("lost"))
      local puts = 0
      for _, line in ipairs(script.seen(s, "lost")) do
        puts = puts + (line == "PUT" and 1 or 0)
      end
      assert.equal(1, puts)
    end)

    it("again when its session is gone", function()
      assert.is_true(put("gone"))
      assert.equal(2, script.requests(s, "POST /v2/gone/"))
    end)

    it("again, all of it, after an error", function()
      assert.is_true(put("resend"))
      local sent = {}
      for _, line in ipairs(script.seen(s, "resend")) do
        sent[#sent + 1] = line:match("^PUT (w.*)$")
      end
      assert.same({ BYTES, BYTES }, sent)
    end)

    it("again, all of it, after a connection that ended in the middle", function()
      local much = ("x"):rep(1000000)
      assert.is_true(assert(home:put_blob("interrupted", core.digest(much), #much, function()
        return core.bytes(much)
      end)))
      local sent = {}
      for _, line in ipairs(script.seen(s, "interrupted")) do
        sent[#sent + 1] = line:match("^PUT ([%d-]+)$")
      end
      assert.same({ "-", "1000000" }, sent)
    end)

    it("where that leads to in the middle, without the credentials", function()
      local before = #script.seen(s, "elsewhere")
      assert.is_true(assert(put("led")))
      assert.equal("PUT - a=b " .. BYTES, script.seen(s, "elsewhere")[before + 1])
      fails("unsupported", "leads elsewhere in the middle",
        home:put_blob("led", core.digest("x"), 1, core.bytes("x")))
      fails("invalid", "more than 5 redirects", put("circling"))
    end)

    it("never again when it can be read only once", function()
      fails("unavailable", "503", home:put_blob("never", DIGEST, #BYTES, core.bytes(BYTES)))
      assert.equal(1, script.requests(s, "PUT /v2/never/"))
    end)

    it("in a session that is ended when it is given up", function()
      local before = script.requests(s, "DELETE /v2/never/blobs/uploads/1?state=canary")
      local twice = assert(client.new(task, { url = s.url, docker_config = false, proxy = "", retries = 1 }))
      fails("unavailable", "503", twice:put_blob("never", DIGEST, #BYTES, function() return core.bytes(BYTES) end))
      assert.equal(2, script.requests(s, "DELETE /v2/never/blobs/uploads/1?state=canary") - before)
      fails("io", "no more", twice:put_blob_stream("good", function() return nil, "no more" end))
      assert.equal(1, script.requests(s, "DELETE /v2/good/"))
    end)

    it("again with a fresh token when the old one ends in the middle", function()
      local options = { url = s.url, docker_config = false, proxy = "" }
      local anonymous = assert(client.new(task, options))
      assert.is_true(assert(anonymous:put_blob("renewing", DIGEST, #BYTES, function() return core.bytes(BYTES) end)))
      local sent = 0
      for _, line in ipairs(script.seen(s, "renewing")) do
        sent = sent + (line == "PUT " .. BYTES and 1 or 0)
      end
      assert.equal(2, sent)
    end)

    it("not again in the middle when it can be read only once", function()
      local anonymous = assert(client.new(task, { url = s.url, docker_config = false, proxy = "" }))
      fails("unauthorized", "cannot be sent again",
        anonymous:put_blob("renewing-once", DIGEST, #BYTES, core.bytes(BYTES)))
      assert.equal(1, script.requests(s, "PUT /v2/renewing-once/"))
    end)

    it("of unknown length again, when it can be read again", function()
      local sent = assert(home:put_blob_stream("streamed", function() return core.bytes(BYTES) end))
      assert.same({ digest = DIGEST, size = #BYTES }, sent)
      local patches = {}
      for _, line in ipairs(script.seen(s, "streamed")) do
        patches[#patches + 1] = line:match("^PATCH (.*)")
      end
      assert.same({ BYTES, BYTES }, patches)
      assert.equal(1, script.requests(s, "PUT /v2/streamed/blobs/uploads/2?digest=" .. DIGEST))
      fails("unavailable", "503", home:put_blob_stream("unstreamed", core.bytes(BYTES)))
      assert.equal(1, script.requests(s, "PATCH /v2/unstreamed/"))
    end)

    it("not at all when what it has is broken", function()
      fails("size_mismatch", "the blob there is broken", put("broken"))
      assert.same({}, script.seen(s, "broken"))
    end)
  end)

  describe("lists", function()
    it("in circles", function()
      fails("invalid", "leads in circles", home:tags("circle"))
      fails("invalid", "leads in circles", home:tags("circles"))
      assert.equal(2, script.requests(s, "GET /v2/circles/"))
    end)

    it("on pages of others", function()
      fails("denied", "not followed: it is on http://127.0.0.1:1", home:tags("astray"))
    end)

    it("without an end", function()
      local pages = listing.PAGES
      listing.PAGES = 20
      local tags, err = home:tags("endless")
      listing.PAGES = pages
      fails("too_large", "more than 20 pages", tags, err)
      assert.equal(20, script.requests(s, "GET /v2/endless/"))
    end)

    it("what no list of tags is", function()
      fails("invalid", "../../x", home:tags("bad_tag"))
      fails("invalid", "no list of names", home:tags("no_list"))
      fails("too_large", "longer than 4194304 bytes", home:tags("big_list"))
      assert.same({}, home:tags("null_list"))
    end)
  end)

  describe("has manifests", function()
    it("whose type is known", function()
      assert.equal(MANIFEST, assert(home:get_manifest("m-plain", "v1")).media_type)
      assert.equal(MANIFEST, assert(home:get_manifest("m-own", "v1")).media_type)
    end)

    it("that are ambiguous, or none", function()
      fails("invalid", "it is ambiguous", home:get_manifest("m-other", "v1"))
      fails("invalid", "what type it is", home:get_manifest("m-none", "v1"))
      fails("invalid", "JSON", home:get_manifest("m-text", "v1"))
    end)

    it("of another digest", function()
      fails("digest_mismatch", core.digest("{}"), home:get_manifest("m-plain", core.digest("x")))
      assert.equal(core.digest("{}"), assert(home:get_manifest("m-plain", core.digest("{}"))).digest)
      assert.equal(core.digest("{}", "sha512"),
        assert(home:get_manifest("m-plain", core.digest("{}", "sha512"))).digest)
      fails("digest_mismatch", "stored something else", home:put_manifest("m-stored", "v1", "{}", MANIFEST))
    end)

    it("that are too long", function()
      fails("too_large", "longer than 4194304 bytes", home:get_manifest("m-big", "v1"))
      fails("refused", "at most 4194304", home:put_manifest("m-big", "v1", ("x"):rep(4194305), MANIFEST))
    end)
  end)

  it("cannot write to the terminal", function()
    fails("refused", "X: \\x1b%]0;x\\x07 \\r\\nEvil: 1 http://h/p%?%.%.%. end", home:tags("escapes"))
    fails("refused", "400 Bad Request$", home:tags("wordy"))
    fails("denied", "go away\\x1b%[2J$", home:tags("text"))
  end)

  describe("leads elsewhere", function()
    it("for a blob, and gets no credentials there", function()
      local source, size = home:get_blob("moved", DIGEST)
      assert.equal(10, size)
      local sink = core.collect(100)
      assert(task:flow { source = source, sink = sink })
      assert.equal("downloaded", sink:bytes())
      assert.same({ "-" }, script.seen(s, "download"))
    end)

    it("to a place that asks for credentials", function()
      local asked = 0
      local other = assert(client.new(task, {
        url = s.url, docker_config = false, proxy = "",
        credentials = function()
          asked = asked + 1
          return "u", "canary"
        end,
      }))
      fails("unauthorized", "401", other:get_blob("trap", DIGEST))
      assert.equal(0, asked)
      assert.same({ "-" }, script.seen(s, "trap"))
    end)
  end)

  it("does not give a part of a blob", function()
    fails("unsupported", "does not give parts", home:get_blob("whole", DIGEST, { offset = 4 }))
  end)

  it("is not there", function()
    local port = server.free_ports(1)[1]
    local nobody = assert(client.new(task, {
      url = ("127.0.0.1:%d"):format(port), docker_config = false, proxy = "", retries = 1,
    }))
    fails("unavailable", "could not connect", nobody:tags("a"))
    fails("unavailable", "could not connect", nobody:put_blob("a", DIGEST, #BYTES, core.bytes(BYTES)))
  end)

  it("leaves what was to be uploaded in nobody's hands", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/x", BYTES)
      fails("invalid", "name", home:put_blob("Bad", DIGEST, #BYTES, core.file(dir .. "/x")))
      fails("invalid", "name", home:put_blob_stream("Bad", core.file(dir .. "/x")))
    end)
  end)
end)
