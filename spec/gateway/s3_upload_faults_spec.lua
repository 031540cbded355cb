--- Uploads through a gateway into a real store, behind something that breaks what it is told to.
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local objectstore = require "epoch.objectstore"
local parts = require "epoch.s3.parts"
local radosgw = require "spec.support.radosgw"
local s3 = require "epoch.objectstore.s3"
local script = require "spec.support.registry_script"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MIB = 1024 * 1024

-- Passes on what is asked, as it was signed, but what matches `refused` or `stalled`.
local BETWEEN = [[
  access_by_lua_block {
    local asked = ngx.req.get_method() .. " " .. ngx.var.request_uri
    local store = ngx.shared.store
    local function is(key)
      local pattern = ngx.unescape_uri(store:get(key) or "")
      return pattern ~= "" and asked:find(pattern)
    end
    if is "refused" then
      ngx.req.discard_body()
      return answer(500, "<Error><Code>InternalError</Code></Error>")
    elseif is "stalled" then
      ngx.sleep(60)
      return ngx.exit(444)
    end
  }
  proxy_pass %s;
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_request_buffering off;
]]

local missing = gateway.missing("luajit") or radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("is not tried", function() pending(missing) end)
  end)
end or describe

describe_or_skip("uploads into a bucket that fails", function()
  local ceph, bucket, between, g, task, store

  setup(function()
    ceph = radosgw.start()
    bucket = ceph:bucket()
    between = script.start({}, { ["^~ /" .. bucket] = BETWEEN:format(ceph.url) })
    local given = ceph:options {}
    g = gateway.start { store = "s3://" .. bucket .. "/p", options = { anonymous_push = true }, config = ([[
      s3 = { endpoint = %q, access_key = %q, secret_key = %q, prefix = "" } proxy = ""
    ]]):format(between.url, given.access_key, given.secret_key) }
  end)

  teardown(function()
    if g then
      g:stop()
    end
    between:stop()
    ceph:stop()
  end)

  local function breaks(how, pattern)
    script.set(between, how, (pattern:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)))
  end

  before_each(function()
    task = assert(tasks.new())
    store = assert(s3.open(task, ceph:options { bucket = bucket, prefix = "p" }))
    breaks("refused", "")
    breaks("stalled", "")
  end)

  after_each(function()
    task:close()
  end)

  local function request(method, path, body)
    return { method = method, url = g.url .. path, body = body, proxy = "", redirects = 0, header_timeout = 120 }
  end

  local function ask(method, path, body)
    local answer = assert(http.fetch(task.loop, request(method, path, body)))
    answer.by = {}
    for _, header in ipairs(answer.headers) do
      answer.by[header[1]] = header[2]
    end
    return answer
  end

  local function begin()
    return ask("POST", "/v2/a/b/blobs/uploads/").by.location
  end

  local function only_blob(bytes)
    local digest = core.digest(bytes)
    local key = "blobs/" .. digest:gsub(":", "/")
    local page = assert(objectstore.list_all(store, ""))
    assert.same({ 1, key }, { #page.keys, page.keys[1].key })
    assert.same({}, parts.uploads(store, ""))
    assert.equal(digest, task:flow { source = store:get(key), hash = true }.digest)
    assert(store:delete(key))
  end

  it("stay as they were, and go on when it is well again", function()
    local first, second, last = work.plenty(6 * MIB), work.plenty(7 * MIB, 2), work.noise(30)
    local all = first .. second .. last
    local function put(location)
      return ask("PUT", location .. "?digest=" .. core.digest(all), last).status
    end
    for _, pattern in ipairs { "^PUT .*/%d+%-%x+$", "^PUT .*state", "^GET .*state" } do
      local location = begin()
      assert.equal(202, ask("PATCH", location, first).status)
      breaks("refused", pattern)
      assert.equal(503, ask("PATCH", location, second).status)
      breaks("refused", "")
      assert.equal(("0-%d"):format(#first - 1), ask("GET", location).by.range)
      assert.equal(202, ask("PATCH", location, second).status)
      assert.equal(201, put(location))
      only_blob(all)
    end
    for _, pattern in ipairs { "^PUT .*/%d+%-%x+$", "^POST .*blobs", "^PUT .*partNumber", "^POST .*uploadId" } do
      local location = begin()
      assert.equal(202, ask("PATCH", location, first).status)
      assert.equal(202, ask("PATCH", location, second).status)
      breaks("refused", pattern)
      assert.equal(503, put(location))
      breaks("refused", "")
      assert.equal(("0-%d"):format(#first + #second - 1), ask("GET", location).by.range)
      assert.equal(201, put(location))
      only_blob(all)
    end
  end)

  it("that come at once are there or not", function()
    local bytes = work.plenty(6 * MIB)
    local path = "/v2/a/b/blobs/uploads/?digest=" .. core.digest(bytes)
    breaks("refused", "^PUT .*blobs")
    assert.equal(503, ask("POST", path, bytes).status)
    assert.equal(404, ask("HEAD", "/v2/a/b/blobs/" .. core.digest(bytes)).status)
    breaks("refused", "")
    assert.equal(201, ask("POST", path, bytes).status)
    only_blob(bytes)
  end)

  it("are taken whole when what was sent ahead has failed", function()
    local bytes = work.plenty(45 * MIB)
    local source, sink = core.pipe()
    local path = "/v2/a/b/blobs/uploads/?digest=" .. core.digest(bytes)
    local one = assert(task.loop:request(request("POST", path, source)))
    breaks("refused", "^PUT .*partNumber")
    assert(task:flow { source = core.bytes(bytes:sub(1, 40 * MIB)), sink = sink, more = true })
    assert(http.step(task.loop, 30, function()
      return g:log():find("sending ahead what has come of an upload", 1, true) ~= nil
    end))
    breaks("refused", "")
    assert(task:flow { source = core.bytes(bytes:sub(40 * MIB + 1)), sink = sink, more = true })
    assert(task:await(sink, "finish"))
    assert.equal(201, assert(task:await(one, "response")).status)
    one:close()
    only_blob(bytes)
  end)

  it("do not hold up who wants something else", function()
    local bytes, list = work.plenty(6 * MIB), {}
    breaks("stalled", "^PUT .*/%d+%-%x+$")
    for i = 1, 6 do
      list[i] = assert(task.loop:request(request("PATCH", begin(), bytes)))
    end
    http.step(task.loop, 1)
    local worst = 0
    for _ = 1, 100 do
      local before = core.now()
      assert.equal(200, ask("GET", "/healthz").status)
      assert.equal(200, ask("GET", "/v2/").status)
      worst = math.max(worst, core.now() - before)
    end
    assert.is_true(worst < 0.25, ("%.3f s"):format(worst))
    assert.equal(404, ask("GET", "/v2/a/b/manifests/v1").status) -- the store, which answers other things
    breaks("stalled", "")
    for _, one in ipairs(list) do
      assert.equal(202, assert(task:await(one, "response")).status)
      one:close()
    end
  end)
end)
