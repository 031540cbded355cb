--- GET /dl and /api on a bucket: of a real store, and of one that misbehaves.
local children = require "spec.support.children"
local core = require "epoch.core"
local curl = require "spec.support.curl"
local gateway = require "spec.support.gateway"
local golden = require "spec.support.golden"
local golden_home = require "spec.support.golden_home"
local homes = require "epoch.home"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local program = require "spec.support.program"
local radosgw = require "spec.support.radosgw"
local registry = require "epoch.registry"
local s3 = require "epoch.objectstore.s3"
local server = require "spec.support.server"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local CUT = 18 -- how curl calls an answer that is shorter than its length

local function skipped(why)
  if why then
    pending(why)
  end
  return why
end

local function config(endpoint, access_key, secret_key)
  return ('s3 = { endpoint = %q, access_key = %q, secret_key = %q, prefix = "" }\nproxy = ""\n'):format(endpoint,
    access_key, secret_key)
end

describe("downloads from a bucket", function()
  if skipped(gateway.missing("luajit") or radosgw.missing()) then
    return
  end

  local ceph, bucket, g, task, home

  setup(function()
    ceph = radosgw.start()
    bucket = ceph:bucket()
    local given = ceph:options {}
    g = gateway.start { store = "s3://" .. bucket .. "/p",
                        config = config(given.endpoint, given.access_key, given.secret_key) }
    task = assert(tasks.new())
    home = registry.new(task, assert(s3.open(task, ceph:options { bucket = bucket, prefix = "p" })))
    golden_home.put_snapshot(home, "small", "v1")
    golden_home.put_image(home, "win11", "latest")
  end)

  teardown(function()
    task:close()
    g:stop()
    ceph:stop()
  end)

  local function get(path, ...)
    return curl.run(g.dir, { g.url .. path, ... })
  end

  it("are the disk, and the archive, whole and in parts", function()
    local answer = get("/dl/win11")
    assert.same({ 0, 200 }, { answer.code, answer.status })
    work.assert_same_bytes(golden.read("cloudimg/disk.qcow2"), answer.body)
    answer = get("/dl/small:v1")
    assert.same({ 0, 200, "158720" }, { answer.code, answer.status, answer.headers["content-length"] })
    local result = program.run({ "get", "--tar", "small:v1", "--registry", g.url, "-o", g.dir .. "/got" })
    assert.equal(0, result.code, result.err)
    work.assert_same_bytes(work.read_file(g.dir .. "/got"), answer.body)
    local part = get("/dl/small:v1", "-r", "1000-150000")
    assert.equal(206, part.status)
    work.assert_same_bytes(answer.body:sub(1001, 150001), part.body)
  end)

  it("are cut off where a blob has changed", function()
    local layer = assert(manifest.parse(golden.read("v1-small/manifest.json"))).layers[4]
    local key = "blobs/" .. layer.digest:gsub(":", "/")
    local bytes = home.store:read(key, layer.size)
    assert(home.store:put(key, #bytes, (bytes:gsub(".$", function(c) return c == "x" and "y" or "x" end))))
    assert.same({ CUT, 200 }, { get("/dl/small:v1").code, get("/dl/small:v1").status })
    assert.is_true(g:log():find(layer.digest .. " has become", 1, true) ~= nil)
    assert(home.store:delete(key))
    assert.same({ 0, 500 }, { get("/dl/small:v1").code, get("/dl/small:v1").status })
    assert(home.store:put(key, #bytes, bytes))
    assert.equal(200, get("/dl/small:v1").status)
  end)

  it("are shown by the API, and what is pushed at once", function()
    local function tags()
      local names = {}
      for i, tag in ipairs(assert(json.decode(get("/api/repositories/small/tags").body))) do
        names[i] = tag.name .. " " .. tag.kind
      end
      table.sort(names)
      return names
    end
    assert.same({ "v1 snapshot" }, tags())
    golden_home.put_image(home, "small", "v2")
    assert.same({ "v1 snapshot", "v2 cloud-image" }, tags())
    golden_home.put_snapshot(home, "small", "v2")
    assert.same({ "v1 snapshot", "v2 snapshot" }, tags())
    assert.equal(204, get("/api/repositories/small/tags/v2", "-X", "DELETE").status)
    assert.same({ "v1 snapshot" }, tags())
    assert.equal(2, assert(json.decode(get("/api/stats").body)).tagCount)
  end)
end)

-- A store that only gives, by nginx: its objects are files. One of them comes as `fault` says, where the
-- bytes before have been well.
describe("downloads from a bucket whose blobs", function()
  if skipped(gateway.missing("luajit")) then
    return
  end

  local disk = golden.read("cloudimg/disk.qcow2")
  local m = assert(manifest.parse(golden.read("cloudimg/manifest.json")))
  local third = m.layers[5] -- of the disk: bytes 200000 to 299999

  local FAULT = [[
    if ngx.req.get_method() == "HEAD" then
      return ngx.exec("/good" .. ngx.var.uri)
    end
    ngx.status = 206
    ngx.header["Content-Range"] = "bytes 0-99999/100000"
    ngx.header["Content-Length"] = "100000"
    local f = io.open("${dir}/www" .. ngx.var.uri, "rb")
    ngx.print(f:read(50000))
    f:close()
    ngx.flush(true)
  ]]

  local store, g

  local function start(fault)
    local path = "= /bucket/blobs/" .. third.digest:gsub(":", "/")
    store = server.start { locations = { [path] = server.lua(fault), ["/good/"] = "alias ${dir}/www/;" } }
    local task = assert(tasks.new())
    local home = assert(homes.open(task, "file://" .. store.dir .. "/www/bucket"))
    golden_home.put_image(home, "win11", "latest")
    home:close()
    task:close()
    g = gateway.start { store = "s3://bucket", config = config(store.url, "key", "secret") }
  end

  after_each(function()
    g:stop()
    store:stop()
  end)

  local function cut_after(expected)
    local answer = curl.run(g.dir, { g.url .. "/dl/win11" })
    assert.same({ CUT, 200 }, { answer.code, answer.status })
    assert.is_true(#answer.body <= expected)
    work.assert_same_bytes(disk:sub(1, #answer.body), answer.body)
    local other = curl.run(g.dir, { "-r", "0-199999", g.url .. "/dl/win11" })
    assert.same({ 0, 206, 200000 }, { other.code, other.status, #other.body })
  end

  it("come are a good one", function()
    start('return ngx.exec("/good" .. ngx.var.uri)')
    local answer = curl.run(g.dir, { g.url .. "/dl/win11" })
    assert.same({ 0, 200 }, { answer.code, answer.status })
    work.assert_same_bytes(disk, answer.body)
  end)

  it("break off are cut off", function()
    start(FAULT .. "return ngx.exit(444)")
    cut_after(250000)
  end)

  it("are refused in the end are cut off", function()
    start('if ngx.req.get_method() == "HEAD" then return ngx.exec("/good" .. ngx.var.uri) end return ngx.exit(500)')
    cut_after(200000)
  end)

  it("stall hold up nobody but who waits for them, and end with who does", function()
    start(FAULT .. "ngx.sleep(60)")
    local running = {}
    for i = 1, 12 do
      running[i] = curl.start(g.dir, "stalled" .. i, { "--max-time", "4", g.url .. "/dl/win11" })
    end
    assert.is_true(children.eventually(function() return g:inside() == 12 end, 4))
    local begun = core.now()
    local other = curl.run(g.dir, { "-r", "0-199999", g.url .. "/dl/win11" })
    assert.same({ 0, 206, 200000 }, { other.code, other.status, #other.body })
    assert.is_true(core.now() - begun < 2)
    for _, one in ipairs(running) do
      assert.is_true(children.eventually(function() return one() ~= nil end, 10))
      assert.equal(28, one().code)
    end
    assert.is_true(children.eventually(function() return g:inside() == 0 end, 1))
  end)
end)
