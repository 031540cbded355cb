--- /api on a gateway as people run it: what the reference's server says of the same artifacts.
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local golden = require "spec.support.golden"
local golden_home = require "spec.support.golden_home"
local homes = require "epoch.home"
local http = require "spec.support.http"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local summaries = require "epoch.gateway.api.summary"
local support = require "spec.support.store"
local tasks = require "epoch.task"
local work = require "spec.support.work"

-- Members that depend on when and where something was pushed; of these, what they are.
local OWN = { id = "number", createdAt = "time", updatedAt = "time", syncedAt = "time" }

local function kind_of(value)
  if type(value) == "string" and value:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$") then
    return "time"
  end
  return type(value)
end

-- The same members with the same values; of OWN ones, the same kind of value.
local function assert_as_golden(expected, got, where)
  where = where or "answer"
  if type(expected) ~= "table" or type(got) ~= "table" then
    assert.same(expected, got, where)
    return
  end
  for name, value in pairs(expected) do
    if OWN[name] and value ~= got[name] then
      assert.same(OWN[name], kind_of(got[name]), where .. "." .. name)
    else
      assert_as_golden(value, got[name], where .. "." .. name)
    end
  end
  for name in pairs(got) do
    assert.is_not_nil(expected[name], ("%s.%s is not in the golden answer"):format(where, name))
  end
end

local function read_golden(name)
  return assert(json.decode(golden.read("api/" .. name .. ".json")))
end

describe("/api", function()
  if gateway.missing("luajit") then
    pending(gateway.missing("luajit"))
    return
  end

  local g, home, task

  before_each(function()
    g = gateway.start { workers = 2 }
    task = assert(tasks.new())
    home = assert(homes.open(task, g.store))
  end)

  after_each(function()
    home:close()
    task:close()
    g:stop()
  end)

  local function ask(path, method)
    local answer
    work.with_loop({ threads = 0 }, function(loop)
      answer = assert(http.fetch(loop, { url = g.url .. "/api/" .. path, method = method }))
    end)
    return answer.status, answer.body ~= "" and assert(json.decode(answer.body)) or nil
  end

  local function get(path)
    local status, value = ask(path)
    assert.equal(200, status)
    return value
  end

  -- An artifact with these layers, made at this time.
  local function put(name, tag, layers, created)
    return select(2, support.put_artifact(home, name, tag, layers,
      created and ('"annotations":{"%s":"%s"},'):format(media.CREATED, created)))
  end

  it("says of an artifact what the reference says", function()
    golden_home.put_snapshot(home, "g-small", "v1")
    golden_home.put_image(home, "windows/win11", "25h2")
    assert_as_golden(read_golden("tag-snapshot"), get("repositories/g-small/tags/v1"))
    assert_as_golden(read_golden("tag-cloud-image"), get("repositories/windows/win11/tags/25h2"))
    assert_as_golden(read_golden("tags"), get("repositories/g-small/tags"))
    assert_as_golden(read_golden("repository"), get("repositories/g-small"))
    local expected, all = read_golden("repositories"), get("repositories")
    table.sort(all, function(a, b) return a.name < b.name end)
    assert_as_golden({ expected[2], expected[3] }, all)
    for name in pairs(read_golden("stats")) do
      assert.is_number(get("stats")[name])
    end
  end)

  it("says that something is not there as the reference says it", function()
    put("vms/demo", "v1", { "x" })
    for path, expected in pairs {
      ["repositories/nobody"] = read_golden("not-found"), ["repositories/nobody/tags"] = read_golden("not-found"),
      ["repositories/vms"] = read_golden("not-found"), ["repositories/No%20body"] = read_golden("not-found"),
      ["repositories/vms/demo/tags/v2"] = { error = "tag not found" },
      ["repositories/vms/demo/tags/-"] = { error = "tag not found" },
      ["repositories/nobody/tags/v2"] = { error = "tag not found" },
    } do
      local status, value = ask(path)
      assert.same({ 404, expected }, { status, value }, path)
    end
    assert.equal(404, (ask("nothing")))
    local status, value = ask("repositories", "POST")
    assert.same({ 405, "string" }, { status, type(value.error) })
  end)

  it("counts what is there, each blob and each manifest once", function()
    assert.same({ repositoryCount = 0, tagCount = 0, blobCount = 0, totalSize = 0 }, get("stats"))
    assert.same({}, get("repositories"))
    put("a", "v1", { "one", "three" })
    put("a", "v2", { "one", "three" })
    put("b", "v1", { "one" })
    -- config "{}", and layers of 3 and 5 bytes
    assert.same({ repositoryCount = 2, tagCount = 3, blobCount = 3, totalSize = 10 + 5 }, get("stats"))
    assert.equal(10, get("repositories/a").totalSize)
    assert.equal(2, get("repositories/a").tagCount)
  end)

  it("shows the youngest tag first, and a repository as its youngest tag", function()
    put("a", "old", { "one" }, "2026-01-01T00:00:00Z")
    put("a", "b-middle", { "two" }, "2026-02-01T00:00:00+01:00")
    golden_home.put_snapshot(home, "a", "new")
    local names = {}
    for i, tag in ipairs(get("repositories/a/tags")) do
      names[i] = tag.name .. " " .. tag.pushedAt
    end
    assert.same({ "new 2026-11-21T05:16:47Z", "b-middle 2026-01-31T23:00:00Z", "old 2026-01-01T00:00:00Z" }, names)
    assert.equal("snapshot", get("repositories/a").kind)
    assert.equal("unknown", get("repositories/a/tags/old").kind)
    assert.is_nil(get("repositories/a/tags/old").artifactType)
    assert.is_nil(get("repositories/a/tags/old").snapshotConfig)
  end)

  it("has whole numbers as ids, the same each time", function()
    put("a", "v1", { "one" })
    put("a", "v2", { "one" })
    local ids, seen = { get("repositories/a").id }, {}
    for _, tag in ipairs(get("repositories/a/tags")) do
      ids[#ids + 1] = tag.id
    end
    for _, id in ipairs(ids) do
      assert.is_true(id == math.floor(id) and id >= 0 and id < 2 ^ 53)
      assert.is_nil(seen[id])
      seen[id] = true
    end
    assert.equal(ids[1], get("repositories")[1].id)
  end)

  it("says what each manifest of an index needs", function()
    local digest = golden_home.put_snapshot(home, "a", "v1")
    local size = #golden.read("v1-small/manifest.json")
    local function child(of, architecture)
      return json.object { { "mediaType", media.OCI_MANIFEST }, { "digest", of }, { "size", size },
                           { "platform", { os = "linux", architecture = architecture } } }
    end
    assert(home:put_manifest("a", "index", json.encode(json.object {
      { "schemaVersion", 2 }, { "mediaType", media.OCI_INDEX },
      { "manifests", json.array { child(digest, "amd64"), child(core.digest("gone"), "arm64") } },
    })))
    local found = get("repositories/a/tags/index")
    assert.same({ "image-index", 2, 150554, { { digest = digest, size = 150554, layerCount = 6 } } },
      { found.kind, found.layerCount, found.totalSize, found.platformSizes })
  end)

  it("does not read manifests again, and shows at once what is pushed", function()
    local before = put("a", "v1", { "one" }):match(":(%x+)$")
    put("a", "v2", { "two" })
    local function shown()
      local digests = {}
      for _, tag in ipairs(get("repositories/a/tags")) do
        digests[tag.name] = tag.digest
      end
      return digests
    end
    assert.equal(before, shown().v1)
    -- what only somebody who reads the file would notice
    local path = g.root .. "/manifests/a/v1.json"
    os.execute(("touch -r '%s' '%s/reference'"):format(path, g.dir))
    local file = assert(io.open(path, "r+b"))
    file:write("#")
    file:close()
    os.execute(("touch -r '%s/reference' '%s'"):format(g.dir, path))
    for _ = 1, 20 do -- by any worker and any thread
      assert.equal(before, shown().v1)
    end
    local after = put("a", "v1", { "six" }):match(":(%x+)$")
    assert.equal(after, shown().v1)
    assert(home:delete_manifest("a", "v2"))
    assert.equal(1, #get("repositories/a/tags"))
    assert.equal(1, get("stats").tagCount)
  end)

  it("passes over a tag that is no manifest, and a config that is not there", function()
    golden_home.put_snapshot(home, "a", "v1")
    work.write_file(g.root .. "/manifests/a/bad.json", "{")
    assert.equal(1, #get("repositories/a/tags"))
    assert.equal(500, (ask("repositories/a/tags/bad")))
    local config = assert(manifest.parse(golden.read("v1-small/manifest.json"))).config.digest
    os.remove(g.root .. "/blobs/" .. config:gsub(":", "/"))
    local found = get("repositories/a/tags/v1")
    assert.is_nil(found.snapshotConfig)
    assert.equal("snapshot", found.kind)
  end)

  it("takes a tag away", function()
    put("vms/demo", "v1", { "one" })
    put("vms/demo", "v2", { "two" })
    assert.same({ 204 }, { ask("repositories/vms/demo/tags/v1", "DELETE") })
    assert.same({ 404, { error = "tag not found" } }, { ask("repositories/vms/demo/tags/v1", "DELETE") })
    assert.same({ "v2" }, home:tags("vms/demo"))
    assert.equal(1, get("repositories/vms/demo").tagCount)
    assert.same({ 204 }, { ask("repositories/vms/demo/tags/v2", "DELETE") })
    assert.same({}, get("repositories"))
    assert.same({ 404, read_golden("not-found") }, { ask("repositories/vms/demo") })
  end)

  it("shows a store of generation 1", function()
    g:stop()
    work.in_directory(function(dir)
      g = gateway.start { store = golden_home.unpack_generation1(dir) }
      local found = get("repositories/g-small/tags/v1")
      assert.same({ "snapshot", 2167544, "2026-11-21T05:18:10Z" }, { found.kind, found.totalSize, found.pushedAt })
      assert.equal(1, get("repositories/g-small").tagCount)
    end)
  end)
end)

describe("a summary of a manifest", function()
  it("is the same after it was kept as a text", function()
    local digest = ("ab"):rep(32)
    for _, summary in ipairs {
      { digest = digest, kind = "image-index", artifact_type = "", size = 2 ^ 53 - 1, layers = 3, created = 1779999999,
        blobs = { ("0"):rep(16), ("f"):rep(16) }, platforms = '[{"digest":"x"}]' },
      { digest = digest, kind = "unknown", artifact_type = "two\nlines", size = 0, layers = 0, blobs = {},
        platforms = "" },
      { digest = digest, kind = "snapshot", artifact_type = "a", size = 1, layers = 1, created = -5, blobs = {},
        platforms = "" },
    } do
      assert.same(summary, summaries.decode(summaries.encode(summary)))
    end
  end)
end)
