--- docs/api-map.md: a row for every name that the Go packages export, a path that leads
--- somewhere in each, and a test that speaks of it.

local artifacts = require "spec.support.artifacts"
local epoch = require "epoch"
local go_doc = require "spec.support.go_doc"
local golden = require "spec.support.golden"
local lua_path = require "spec.support.lua_path"
local source = require "spec.support.source"
local work = require "spec.support.work"

-- What the documents in ../shared/seeds export, by the number in the file's name.
local PACKAGES = {
  { seed = "000", package = "snapshot", count = 55, names = [[
    CocoonBinaryEnv FetchSnapshotConfig ResolveCocoonBinary Stream StreamParsed
    CocoonRunner CocoonRunner.Export CocoonRunner.Import
    Downloader Downloader.GetManifest Downloader.GetBlob
    ExecCocoon ExecCocoon.Binary ExecCocoon.Stderr
    ExecCocoon.Export ExecCocoon.ImageImport ExecCocoon.Import
    ImportOptions
    PullOptions PullOptions.Name PullOptions.Tag PullOptions.LocalName PullOptions.Description
    PullOptions.Progress
    Puller Puller.Downloader Puller.Cocoon Puller.Pull
    PushOptions PushOptions.Name PushOptions.Tag PushOptions.BaseImage PushOptions.Source
    PushOptions.Revision PushOptions.Progress
    PushResult PushResult.Name PushResult.Tag PushResult.ManifestDigest PushResult.ManifestBytes
    PushResult.TotalSize PushResult.LayerCount
    Pusher Pusher.Uploader Pusher.Cocoon Pusher.Push
    StreamOptions StreamOptions.Name StreamOptions.LocalName StreamOptions.Writer
    StreamOptions.Progress
    Uploader Uploader.BlobExists Uploader.PutBlob Uploader.PutManifest ]] },
  { seed = "001", package = "registry", count = 27, names = [[
    New NewFromConfigMap NewFromEnv NewPuller NewPullerFromConfig
    Puller Puller.EnsureSnapshot Puller.EnsureSnapshotTag Puller.ListRemote Puller.PreWarm
    Registry Registry.BlobExists Registry.BlobSize Registry.DeleteBlob Registry.DeleteManifest
    Registry.GetCatalog Registry.ListTags Registry.ManifestJSON Registry.Pull Registry.PullBlob
    Registry.PullManifest Registry.Push Registry.PushBlob Registry.PushBlobFromStream
    Registry.PushManifest Registry.PushManifestJSON Registry.StreamBlob ]] },
  { seed = "002", package = "cloudimg", count = 17, names = [[
    Stream StreamParsed
    BlobReader BlobReader.ReadBlob
    CocoonRunner CocoonRunner.ImageImport
    Downloader Downloader.GetManifest Downloader.GetBlob
    PullOptions PullOptions.Name PullOptions.Tag PullOptions.LocalName
    Puller Puller.Downloader Puller.Cocoon Puller.Pull ]] },
  { seed = "003", package = "manifest", count = 35, names = [[
    MediaTypeDiskQcow2 MediaTypeDiskRaw MediaTypeMemory MediaTypeCidata MediaTypeConfig
    MediaTypeState MediaTypeGeneric MediaTypeForFile
    Catalog Catalog.Repositories Catalog.UpdatedAt
    Layer Layer.Digest Layer.Size Layer.Filename Layer.MediaType
    Manifest Manifest.SchemaVersion Manifest.Name Manifest.Tag Manifest.SnapshotID
    Manifest.Image Manifest.ImageBlobIDs Manifest.CPU Manifest.Memory Manifest.Storage
    Manifest.NICs Manifest.Layers Manifest.BaseImages Manifest.TotalSize Manifest.CreatedAt
    Manifest.PushedAt
    Repository Repository.Tags Repository.UpdatedAt ]] },
  { seed = "004", package = "cocoon", count = 27, names = [[
    DefaultRootDir HumanSize SnapshotExists
    Paths Paths.RootDir Paths.CloudimgBlobDir Paths.ReadSnapshotDB Paths.ResolveSnapshotID
    Paths.SnapshotDBFile Paths.SnapshotDataDir Paths.WriteSnapshotDB
    SnapshotDB SnapshotDB.Snapshots SnapshotDB.Names
    SnapshotRecord SnapshotRecord.ID SnapshotRecord.Name SnapshotRecord.Description
    SnapshotRecord.Image SnapshotRecord.ImageBlobIDs SnapshotRecord.CPU SnapshotRecord.Memory
    SnapshotRecord.Storage SnapshotRecord.NICs SnapshotRecord.CreatedAt SnapshotRecord.Pending
    SnapshotRecord.DataDir ]] },
}

local function sorted(names, prefix)
  local list = {}
  for _, name in ipairs(names) do
    list[#list + 1] = prefix .. "." .. name
  end
  table.sort(list)
  return list
end

local function names_of(package)
  local names = {}
  for name in package.names:gmatch("%S+") do
    names[#names + 1] = name
  end
  return sorted(names, package.package)
end

-- Rows: { go =, paths = { … }, spec = file, title = how a test in it begins }.
local rows = {}
for line in source.read("docs/api-map.md"):gmatch("[^\n]+") do
  local go, lua, spec, title = line:match("^| `([^`]*)` | (.*) | %[%w+%]%(%.%./(.-)%): (.-) |$")
  if go then
    local row = { go = go, paths = {}, spec = spec, title = title }
    for path in lua:gmatch("`(epoch[^`]*)`") do
      row.paths[#row.paths + 1] = path
    end
    rows[#rows + 1] = row
  end
end

-- The options of a use case, its ports watched.
local function options(task, runner, name, port)
  return { [name] = lua_path.watched(port), cocoon = lua_path.watched(runner), task = task }
end

-- A root of cocoon's files with one snapshot, of which everything is known.
local function cocoon_root(task, dir)
  local given = { root_dir = dir .. "/cocoon", task = task }
  local here = epoch.cocoon.paths.new(given)
  assert(here:update_snapshot_db(function(db)
    db.names.demo = "ID"
    db.snapshots.ID = {
      id = "ID", name = "demo", description = "d", image = "i", image_blob_ids = { x = true }, cpu = 1,
      memory = 1, storage = 1, nics = 1, created_at = "2026-01-01T00:00:00Z", pending = true, data_dir = "/d",
    }
    return true
  end))
  return given, assert(here:read_snapshot_db()), here
end

-- A world in which a snapshot has been pushed into `home` and pulled, and an image pulled.
local function inhabited(task, home, sink, dir)
  work.write_file(dir .. "/export", artifacts.export { { "a", "1" } })
  local program = { binary = artifacts.program(dir) }
  local runner = assert(epoch.cocoon.exec_cocoon(program))
  local downloader, images = epoch.ports.downloader(home), artifacts.store(task)
  local raw_image = artifacts.image(images, "demo:latest", { { "disk", "bytes" } })
  local pusher = options(task, runner, "uploader", epoch.ports.uploader(home))
  local puller = options(task, runner, "downloader", downloader)
  local image_puller = options(task, runner, "downloader", images)
  local demo = { name = "demo" }
  local pushed = assert(epoch.snapshot.pusher(pusher):push(demo))
  assert(epoch.snapshot.puller(puller):pull(demo))
  assert(epoch.cloudimg.puller(image_puller):pull(demo))

  local root, db, here = cocoon_root(task, dir .. "/root")
  local m = assert(epoch.manifest.parse(pushed.manifest_bytes))
  local stream = { name = "demo", writer = sink }
  return lua_path.world({
    task = task, home = home, downloader = downloader, blobs = images, name = "demo",
    value = program.binary, raw = m.bytes, m = m, descriptor = m.config, digest = m.config.digest,
    media_type = m.media_type, how = {}, catalog = { repositories = {}, updated_at = "" },
    raw_image = raw_image, image = assert(epoch.manifest.parse(raw_image)),
    db = db, id = "ID", size = 1, getenv = os.getenv, exists = type, change = type,
    store = home.store, tag = "latest", path = dir .. "/file", body = "", range = {}, on_progress = type, paths = here,
    config = { home = home:describe() }, root_dir = dir .. "/root", namespace = "prod", configmap = "agent-env",
    names = {}, on_end = type, m_v1 = {},
    raw_v1 = golden.read("gen1/manifest.json"),
    raw_catalog = '{"repositories":{"demo":{"tags":{"v1":"manifests/demo/v1.json"}}}}',
  }, {
    ["epoch.snapshot.stream"] = stream, ["epoch.cloudimg.stream"] = stream,
    ["epoch.snapshot.pusher"] = pusher, ["epoch.snapshot.pusher{}:push"] = demo,
    ["epoch.snapshot.puller"] = puller, ["epoch.snapshot.puller{}:pull"] = demo,
    ["epoch.cloudimg.puller"] = image_puller, ["epoch.cloudimg.puller{}:pull"] = demo,
    ["epoch.snapshot.exec_cocoon"] = program, ["epoch.snapshot.exec_cocoon{}:import"] = demo,
    ["epoch.cocoon.paths.new"] = root, ["epoch.registry.push"] = demo, ["epoch.registry.pull"] = demo,
  })
end

local function with_world(use)
  work.in_directory(function(dir)
    local task = assert(epoch.task.new())
    local home = assert(epoch.home.open(task, "file://" .. dir .. "/home"))
    local sink = epoch.core.null()
    local ok, err = pcall(function()
      use(inhabited(task, home, sink, dir))
    end)
    sink:close()
    home:close()
    task:close()
    if not ok then
      error(err, 0)
    end
  end)
end

local function none(problems)
  assert(#problems == 0, "\n  " .. table.concat(problems, "\n  "))
end

describe("the API map", function()
  it("has one row for every exported name, and no other", function()
    local wanted, there, problems = {}, {}, {}
    for _, package in ipairs(PACKAGES) do
      local names = names_of(package)
      assert.equal(package.count, #names)
      for _, name in ipairs(names) do
        wanted[name] = true
      end
    end
    for _, row in ipairs(rows) do
      if there[row.go] or not wanted[row.go] then
        problems[#problems + 1] = row.go .. (there[row.go] and " is there twice" or " is exported nowhere")
      end
      there[row.go] = true
    end
    for name in pairs(wanted) do
      if not there[name] then
        problems[#problems + 1] = name .. " has no row"
      end
    end
    none(problems)
  end)

  it("counts the names as the documents have them, where those are", function()
    for _, path in ipairs(source.files("../shared/seeds", ".txt")) do
      for _, package in ipairs(PACKAGES) do
        if path:find("/" .. package.seed .. "_", 1, true) then
          local of, names = go_doc.names(source.read(path))
          assert.equal(package.package, of)
          assert.same(sorted(names, of), names_of(package))
        end
      end
    end
  end)

  it("leads somewhere", function()
    with_world(function(world)
      local problems = {}
      for _, row in ipairs(rows) do
        if #row.paths == 0 then
          problems[#problems + 1] = row.go .. ": no path"
        end
        for _, path in ipairs(row.paths) do
          local ok, why = pcall(world.resolve, world, path)
          if not ok then
            problems[#problems + 1] = ("%s: %s: %s"):format(row.go, path, why)
          end
        end
      end
      none(problems)
    end)
  end)

  it("leads nowhere by paths that are wrong", function()
    with_world(function(world)
      for path, why in pairs {
        ["snapshot.stream"] = "does not begin", ["epoch.snapshots"] = "epoch.snapshots is not there",
        ["epoch.snapshot.pusher{}:pull{}"] = ":pull is not there",
        ["epoch.snapshot.stream(task, raw, {})"] = "takes 4 arguments",
        ["epoch.snapshot.pusher{}:push()"] = "takes 2 arguments",
        ["epoch.snapshot.stream(task, raw, elsewhere, {})"] = "no value for elsewhere",
        ["epoch.snapshot.pusher{}:push{ image }"] = "knows no option image",
        ["epoch.snapshot.fetch_snapshot_config(task, downloader, name, { size })"] = "knows no option",
        ["epoch.snapshot.pusher{}:push{}.size"] = ".size is not there",
        ["epoch.snapshot.pusher{ uploader:get_blob(name, digest) }"] = "with nil arguments",
        ["epoch.snapshot.pusher{ uploader:blob_exists(digest) }"] = "with 2 arguments",
        ["epoch.snapshot.cocoon_binary_env{}"] = "is no function",
        ["epoch.snapshot.pusher<1>"] = "what is <1>",
        ["epoch.media.KINDS[9]"] = "KINDS%[9%] is not there",
      } do
        local ok, message = pcall(world.resolve, world, path)
        assert.is_false(ok, path)
        assert.matches(why, message)
      end
    end)
  end)

  -- The last name of a path: what a test has to speak of.
  local function last_name(path)
    return path:match(":([%w_]+)%b() }$") or path:match("{ ([%w_]+) }%)?$")
      or path:gsub("%[%d+%]$", ""):gsub("%b()$", ""):gsub("%b{}$", ""):match("[%w_]+$")
  end

  it("names a test of each", function()
    local problems = {}
    for _, row in ipairs(rows) do
      local text = work.read_file(row.spec) or ""
      local from = text:find(('it("%s'):format(row.title), 1, true)
      -- the test itself, and what the file has for all of its tests
      local body = from and text:sub(1, text:find("describe(", 1, true))
        .. text:sub(from, text:find("\n  it(", from, true))
      for _, path in ipairs(row.paths) do
        local name = last_name(path)
        if not from then
          problems[#problems + 1] = ("%s: %s has no test %q"):format(row.go, row.spec, row.title)
        elseif not body:find("%f[%w_]" .. name .. "%f[^%w_]") then
          problems[#problems + 1] = ("%s: %s: %q does not speak of %s"):format(row.go, row.spec,
            row.title, name)
        end
      end
    end
    none(problems)
  end)
end)
