--- GET /dl on a gateway as people run it.
local children = require "spec.support.children"
local core = require "epoch.core"
local curl = require "spec.support.curl"
local downloads = require "epoch.gateway.conf.downloads"
local gateway = require "spec.support.gateway"
local golden = require "spec.support.golden"
local golden_home = require "spec.support.golden_home"
local homes = require "epoch.home"
local json = require "epoch.json"
local lfs = require "lfs"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local program = require "spec.support.program"
local support = require "spec.support.store"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MIB = 1024 * 1024

describe("GET /dl", function()
  if gateway.missing("lua5.4") then
    pending(gateway.missing("lua5.4"))
    return
  end

  local g

  -- Runs `use(home, task)` on what is served.
  local function with_home(use)
    local task = assert(tasks.new())
    local home = assert(homes.open(task, g.store))
    local value = use(home, task)
    home:close()
    task:close()
    return value
  end

  local function get(path, ...)
    return curl.run(g.dir, { g.url .. "/dl/" .. path, ... })
  end

  -- A cloud image of so many MiB, in so many parts: its bytes' digest.
  local function put_disk(name, parts, mib)
    return with_home(function(home)
      local hasher, layers = core.hasher(), {}
      for i = 1, parts do
        local path = g.dir .. "/part"
        os.execute(("head -c %d /dev/urandom >'%s'"):format(mib * MIB, path))
        assert(hasher:file(path))
        local digest, size = home:push_blob(name, path)
        layers[i] = { media_type = media.DISK_RAW .. ".part", digest = digest, size = size,
                      title = ("d.raw.%d.part"):format(i) }
      end
      assert(home:put_blob(name, core.digest("{}"), 2, "{}"))
      assert(home:put_manifest(name, "latest", assert(manifest.build {
        artifact_type = media.OS_IMAGE, layers = layers,
        config = { media_type = media.OCI_EMPTY, digest = core.digest("{}"), size = 2 },
      })))
      local digest = hasher:digest()
      hasher:close()
      return digest
    end)
  end

  setup(function()
    g = gateway.start { workers = 1 }
    with_home(function(home, task)
      golden_home.put_snapshot(home, "vms/small", "v1")
      golden_home.put_image(home, "windows/win11", "25h2")
      golden_home.put_image(home, "windows/win11", "latest")
      golden_home.push_big(task, g.dir, home, "big", "v1")
    end)
  end)

  teardown(function()
    g:stop()
  end)

  it("gives a cloud image's disk", function()
    for _, path in ipairs { "windows/win11:25h2", "windows/win11" } do
      local answer = get(path)
      assert.same({ 0, 200 }, { answer.code, answer.status })
      work.assert_same_bytes(golden.read("cloudimg/disk.qcow2"), answer.body)
      assert.equal("524288", answer.headers["content-length"])
      assert.equal("application/octet-stream", answer.headers["content-type"])
      assert.equal("bytes", answer.headers["accept-ranges"])
    end
    assert.equal('attachment; filename="windows-win11-25h2.qcow2"',
      get("windows/win11:25h2").headers["content-disposition"])
  end)

  it("gives a snapshot's archive, as epoch get gives it", function()
    for _, name in ipairs { "vms/small", "big" } do
      local answer = get(name .. ":v1")
      assert.same({ 0, 200, "application/x-tar" }, { answer.code, answer.status, answer.headers["content-type"] })
      local result = program.run({ "get", "--tar", name .. ":v1", "--registry", g.store, "-o", g.dir .. "/got" })
      assert.equal(0, result.code, result.err)
      work.assert_same_bytes(work.read_file(g.dir .. "/got"), answer.body)
    end
  end)

  it("says with HEAD what it would give", function()
    for _, path in ipairs { "vms/small:v1", "windows/win11" } do
      local head, answer = get(path, "-I"), get(path)
      head.headers.date, answer.headers.date = nil, nil
      assert.same({ 0, 200, answer.headers }, { head.code, head.status, head.headers })
    end
    assert.equal(404, get("vms/small:v2", "-I").status)
  end)

  it("gives a part of it, and says where there is none", function()
    local whole = get("vms/small:v1").body
    for range, bytes in pairs { ["0-0"] = { 0, 0 }, ["500-1023"] = { 500, 1023 }, ["1000-150000"] = { 1000, 150000 },
                                ["158000-"] = { 158000, 158719 }, ["-1"] = { 158719, 158719 } } do
      local answer = get("vms/small:v1", "-r", range)
      assert.same({ 0, 206 }, { answer.code, answer.status })
      assert.equal(("bytes %d-%d/158720"):format(bytes[1], bytes[2]), answer.headers["content-range"])
      assert.equal(("%d"):format(bytes[2] - bytes[1] + 1), answer.headers["content-length"])
      work.assert_same_bytes(whole:sub(bytes[1] + 1, bytes[2] + 1), answer.body)
    end
    local none = get("vms/small:v1", "-r", "158720-")
    assert.same({ 416, "bytes */158720" }, { none.status, none.headers["content-range"] })
    local all = get("vms/small:v1", "-r", "0-1,5-6")
    assert.equal(200, all.status)
    work.assert_same_bytes(whole, all.body)
  end)

  it("goes on where another download stopped, and begins anew when it has changed", function()
    local answer = get("windows/win11")
    work.write_file(g.dir .. "/answer", answer.body:sub(1, 100001))
    os.execute(("cp '%s/answer' '%s/resumed'; curl -sS -C - -o '%s/resumed' %s/dl/windows/win11"):format(g.dir, g.dir,
      g.dir, g.url))
    work.assert_same_bytes(answer.body, work.read_file(g.dir .. "/resumed"))
    local etag = answer.headers.etag
    assert.equal('"sha256:c6fc0974621c87f83e5d23eb3273ffcf141a0c3709c24edfba679e282f4f2c6e;disk=1"', etag)
    assert.equal(206, get("windows/win11", "-r", "5-6", "-H", "If-Range: " .. etag).status)
    local other = get("windows/win11", "-r", "5-6", "-H", 'If-Range: "another"')
    assert.same({ 200, 524288 }, { other.status, #other.body })
  end)

  it("sends nothing that the client has", function()
    local etag = get("vms/small:v1", "-I").headers.etag
    local answer = get("vms/small:v1", "-H", "If-None-Match: " .. etag)
    assert.same({ 0, 304, etag }, { answer.code, answer.status, answer.headers.etag })
    assert.is_true((answer.body or "") == "")
    assert.equal(200, get("vms/small:v1", "-H", 'If-None-Match: "another"').status)
    assert.equal(412, get("vms/small:v1", "-H", 'If-Match: "another"').status)
    assert.equal(200, get("vms/small:v1", "-H", "If-Match: " .. etag).status)
  end)

  it("says in a sentence what cannot be downloaded", function()
    with_home(function(home)
      support.put_artifact(home, "thing", "latest", { "x" })
      local bytes = '{"architecture":"amd64"}'
      assert(home:put_blob("image", core.digest(bytes), #bytes, bytes))
      assert(home:put_manifest("image", "latest", assert(manifest.build {
        artifact_type = "application/x", layers = {},
        config = { media_type = media.OCI_CONFIG, digest = core.digest(bytes), size = #bytes },
      })))
    end)
    local function problem(path, ...)
      local answer = get(path, ...)
      return answer.status, json.decode(answer.body).errors[1].message
    end
    assert.same({ 404, "vms/small:v2 is not here" }, { problem("vms/small:v2") })
    assert.same({ 404, "nobody:latest is not here" }, { problem("nobody") })
    assert.same({ 405, "manifest image:latest is a container image; pull with oras/crane/docker, then cocoon image "
      .. "pull" }, { problem("image") })
    assert.equal(405, (problem("thing")))
    assert.equal(405, (problem("windows/win11", "-X", "PUT")))
    assert.equal(404, (problem("Windows/win11")))
    assert.equal(404, (problem("windows/win11@sha256:" .. ("a"):rep(64))))
    assert.equal(400, (problem("..%2fvms/small:v1")))
  end)

  it("gives a large snapshot.json without keeping it in memory", function()
    local text = ("d"):rep(2 * MIB)
    with_home(function(home)
      local bytes = json.encode { schemaVersion = "v1", description = text }
      local descriptor = { media_type = media.SNAPSHOT_CONFIG, digest = core.digest(bytes), size = #bytes }
      assert(home:put_blob("large", descriptor.digest, #bytes, bytes))
      assert(home:put_blob("large", core.digest("x"), 1, "x"))
      assert(home:put_manifest("large", "latest", assert(manifest.build {
        config = descriptor,
        layers = { { media_type = media.DISK_RAW, digest = core.digest("x"), size = 1, title = "cow.raw" } },
      })))
    end)
    local answer = get("large")
    assert.same({ 0, 200 }, { answer.code, answer.status })
    assert.equal(0, program.run({ "get", "--tar", "large", "--registry", g.store, "-o", g.dir .. "/got" }).code)
    work.assert_same_bytes(work.read_file(g.dir .. "/got"), answer.body)
    work.assert_same_bytes(answer.body:sub(MIB + 1), get("large", "-r", ("%d-"):format(MIB)).body)
    for name in lfs.dir("/proc/" .. g:pids("worker")[1] .. "/fd") do
      local target = lfs.symlinkattributes(("/proc/%d/fd/%s"):format(g:pids("worker")[1], name), "target")
      assert.is_nil((target or ""):find("lua_.*deleted"), target)
    end
  end)

  it("is for those who may pull", function()
    local closed = gateway.start { store = g.store, options = { anonymous_pull = false },
                                   env = { EPOCH_REGISTRY_TOKEN = "of-the-spec" } }
    for path, code in pairs { ["/dl/vms/small:v1"] = "errors", ["/api/repositories/vms/small"] = "error" } do
      local answer = curl.run(closed.dir, { closed.url .. path })
      assert.equal(401, answer.status)
      assert.is_not_nil(json.decode(answer.body)[code])
      assert.equal(200, curl.run(closed.dir, { "-u", "x:of-the-spec", closed.url .. path }).status)
    end
    closed:stop()
  end)

  it("serves a store of generation 1, its files without holes", function()
    work.in_directory(function(dir)
      local old = gateway.start { store = golden_home.unpack_generation1(dir) }
      local answer = curl.run(old.dir, { old.url .. "/dl/g-small:v1" })
      assert.same({ 0, 200 }, { answer.code, answer.status })
      local sizes, reader = {}, core.tar_reader(core.bytes(answer.body))
      local entry = reader:next()
      while entry do
        sizes[entry.name] = entry.size
        assert(reader:skip())
        entry = reader:next()
      end
      reader:close()
      for _, layer in ipairs(assert(manifest.parse(golden.read("gen1/manifest.json"))).layers) do
        assert.equal(layer.size, sizes[layer.title])
      end
      assert.equal(0, old:stop())
    end)
  end)

  it("is slow for the slow, costs no memory, and ends when the client does", function()
    local whole = put_disk("disk", 4, 16)
    local memory = g:vm_hwm()
    local running = {}
    for i = 1, 20 do
      running[i] = curl.start(g.dir, "slow" .. i, { "--limit-rate", "500k", "--max-time", "3", g.url .. "/dl/disk" })
    end
    assert.is_true(children.eventually(function() return g:inside() == 20 end, 10))
    local answer = get("disk")
    assert.same({ 0, whole }, { answer.code, core.digest(answer.body) })
    for _, one in ipairs(running) do
      assert.is_true(children.eventually(function() return one() ~= nil end, 10))
      assert.equal(28, one().code) -- its time was over
    end
    assert.is_true(children.eventually(function() return g:inside() == 0 end, 1))
    assert.is_true(g:vm_hwm() - memory < 32 * MIB, ("%.1f MiB more"):format((g:vm_hwm() - memory) / MIB))
  end)

  it("is finished when the gateway is stopped meanwhile", function()
    local whole = put_disk("disk", 4, 8) -- more than the kernel takes in advance
    local running = curl.start(g.dir, "last", { "--limit-rate", "12M", g.url .. "/dl/disk" })
    assert.is_true(children.eventually(function() return core.stat(g.dir .. "/last") ~= nil end, 10))
    g:signal("TERM")
    assert.is_true(children.eventually(function() return running() ~= nil end, 20))
    local answer = running()
    assert.same({ 0, 200, whole }, { answer.code, answer.status, core.digest(answer.body) })
    assert.equal(0, g:wait())
    g.killed = true
  end)
end)

describe("nginx.conf", function()
  local function word(value)
    return '"' .. value .. '"'
  end

  it("has a listener for downloads in the private directory, where its name is not too long", function()
    local socket = '"unix:/run/private/inside"'
    assert.is_truthy(downloads.location("/run/private", word):find("set $epoch_inside " .. socket .. ";", 1, true))
    assert.is_truthy(downloads.server("/run/private", word, "BLOBS"):find("listen " .. socket .. ";.*BLOBS"))
    for _, directory in ipairs { "/" .. ("d"):rep(100), "/run/$a" } do
      assert.is_truthy(downloads.location(directory, word):find('set $epoch_inside "";', 1, true))
      assert.equal("", downloads.server(directory, word, "BLOBS"))
    end
  end)
end)
