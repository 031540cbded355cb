local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local errors = require "epoch.errors"
local golden = require "spec.support.golden"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local snapshot = require "epoch.snapshot"
local tar = require "spec.support.tar"
local tasks = require "epoch.task"
local work = require "spec.support.work"

--- Runs `use(pull, store, dir, task)` with the stand-in for cocoon.
local function with(use, more)
  work.in_directory(function(dir)
    local task = assert(tasks.new())
    local store = artifacts.store(task)
    local runner = assert(snapshot.exec_cocoon { binary = artifacts.program(dir, more),
                                                 stderr = "null" })
    local function pull(opts)
      local given = { name = "vms/demo", tag = "v1", local_name = "vm" }
      for k, v in pairs(opts or {}) do
        given[k] = v
      end
      return snapshot.puller { downloader = store, cocoon = runner, task = task }:pull(given)
    end
    local ok, err = pcall(use, pull, store, dir, task)
    task:close()
    if not ok then
      error(err, 0)
    end
  end)
end

local function committed(dir)
  return work.read_file(dir .. "/committed")
end

--- The golden snapshot, its layers read from the golden export.
local function golden_snapshot(store)
  local archive = golden.read("v1-small/export.tar")
  local reader = core.tar_reader(core.bytes(archive), { sparse = tar.SPARSE })
  local entry = reader:next()
  while entry do
    local at = reader:offset()
    store:add(archive:sub(at + 1, at + entry.size))
    assert(tar.skip(reader))
    entry = reader:next()
  end
  reader:close()
  store:add(golden.read("v1-small/config.json"))
  store.manifests["vms/demo:v1"] = golden.read("v1-small/manifest.json")
  store.types["vms/demo:v1"] = media.OCI_MANIFEST
end

local THREE = { { "config.json", ("c"):rep(512) }, { "cow.raw", ("x"):rep(100000) },
                { "state.json", ("s"):rep(1024) } }

--- The titles of an archive's entries, and the text of its first.
local function look(archive)
  local reader, titles, first = core.tar_reader(core.bytes(archive)), {}, nil
  local entry = reader:next()
  while entry do
    titles[#titles + 1] = entry.name
    if not first then
      first = reader:body():read(65536)
    end
    assert(tar.skip(reader))
    entry = reader:next()
  end
  reader:close()
  return titles, first
end

--- Everything in an archive but the times in its headers.
local function timeless(archive)
  local events = tar.whole(archive)
  for i, event in ipairs(events) do
    events[i] = event:gsub("mtime=%d+", "")
  end
  return events
end

describe("a pull", function()
  it("of the golden artifact gives the golden stream, the times in its headers apart", function()
    with(function(pull, store, dir)
      golden_snapshot(store)
      assert.is_true(pull { local_name = "from-ref", description = "pulled" })
      local expected, got = golden.read("v1-small/import.tar"), committed(dir)
      assert.same(timeless(expected), timeless(got))
      assert.equal(#expected, #got)
      assert.equal("snapshot|import|--name=from-ref|--description=pulled|",
                   work.read_file(dir .. "/argv"))
    end)
  end)

  it("of what a push made of a larger export gives what the reference gave cocoon for it", function()
    with(function(pull, store, dir, task)
      work.write_file(dir .. "/export", golden.read("v2-big/export.tar"))
      local runner = assert(snapshot.exec_cocoon { binary = dir .. "/cocoon", stderr = "null" })
      assert(snapshot.pusher { uploader = store, cocoon = runner, task = task }:push {
        name = "vms/demo", tag = "v1", snapshot = "big" })
      assert.is_true(pull { local_name = "local-name" })
      local expected, got = golden.read("v2-big/import.tar"), committed(dir)
      local theirs, ours = timeless(expected), timeless(got)
      table.remove(theirs, 1)
      table.remove(ours, 1) -- has what the reference drops
      assert.same(theirs, ours)
      local config = json.decode(select(2, look(got))).config
      for key, value in pairs(json.decode(select(2, look(expected))).config) do
        assert.same(value, config[key])
      end
    end)
  end)

  it("gives back what a push has put into extra", function()
    with(function(pull, store, dir, task)
      work.write_file(dir .. "/export", golden.read("v1-small/export.tar"))
      local runner = assert(snapshot.exec_cocoon { binary = dir .. "/cocoon", stderr = "null" })
      assert(snapshot.pusher { uploader = store, cocoon = runner, task = task }:push {
        name = "vms/demo", tag = "v1", snapshot = "g-small" })
      assert.is_true(pull { local_name = "g-small" })
      local _, first = look(committed(dir))
      local _, before = look(work.read_file(dir .. "/export"))
      assert.same(assert(json.decode(before)), assert(json.decode(first)))
    end)
  end)

  it("gives back empty files and files that are all hole", function()
    with(function(pull, store, dir)
      artifacts.snapshot(store, "vms/demo:v1", {
        { "empty", "", more = {} }, { "hole.raw", "", more = { mode = 384, sparseMap = "null",
                                                              sparseSize = 1048576 } },
      })
      assert.is_true(pull())
      local events = tar.whole(committed(dir))
      assert.matches("^empty mode=640 size=0 ", events[2])
      assert.matches("^hole.raw mode=600 size=0 ", events[3])
      assert.truthy(events[3]:find("sparse 1048576 null", 1, true))
      assert.equal("end", events[4])
    end)
  end)

  it("gives back the map of a disk in 45 000 pieces", function()
    with(function(pull, store, dir, task)
      local pieces = {}
      for i = 1, 45000 do
        pieces[i] = ('{"o":%d,"l":1}'):format(1000000 + 2 * i)
      end
      local map = "[" .. table.concat(pieces, ",") .. "]"
      work.write_file(dir .. "/export", artifacts.export {
        tar.pax { { "COCOON.sparse.map", map }, { "COCOON.sparse.size", "2000000" } }
          .. tar.file("cow.raw", ("x"):rep(45000)),
      })
      local runner = assert(snapshot.exec_cocoon { binary = dir .. "/cocoon", stderr = "null" })
      assert(snapshot.pusher { uploader = store, cocoon = runner, task = task }:push {
        name = "vms/demo", tag = "v1" })
      assert.is_true(pull())
      local events = tar.whole(committed(dir))
      assert.is_true(events[2]:find("sparse 2000000 " .. map, 1, true) ~= nil) -- not printed
    end)
  end)

  it("names the snapshot as is wished, else as the repository", function()
    with(function(pull, store, dir)
      artifacts.snapshot(store, "demo:latest", THREE)
      assert.is_true(snapshot.puller { downloader = store, cocoon = assert(snapshot.exec_cocoon {
        binary = dir .. "/cocoon" }) }:pull { name = "demo" }) -- with a task of its own
      local titles, first = look(committed(dir))
      assert.same({ "snapshot.json", "config.json", "cow.raw", "state.json" }, titles)
      assert.equal("demo", json.decode(first).config.name)
      assert.equal("snapshot|import|--name=demo|", work.read_file(dir .. "/argv"))
      store.manifests["vms/demo:v1"] = store.manifests["demo:latest"]
      assert.is_true(pull { local_name = "other" })
      assert.equal("other", json.decode(select(2, look(committed(dir)))).config.name)
    end)
  end)

  it("is told about as it goes", function()
    with(function(pull, store)
      artifacts.snapshot(store, "vms/demo:v1", THREE)
      local lines, events = {}, {}
      assert.is_true(pull {
        progress = function(line) lines[#lines + 1] = line end,
        on_event = function(e)
          events[#events + 1] = ("%s %s %d %d"):format(e.event, e.title or e.layers, e.bytes, e.total)
        end,
      })
      assert.same({ "config.json: 512B", "cow.raw: 97.7K", "state.json: 1.0K" }, lines)
      local all = table.concat(events, "\n")
      assert.equal("plan 3 0 101536", events[1])
      for _, e in ipairs { "start config.json 0 512", "done config.json 512 512", "done cow.raw 100000 100000" } do
        assert.truthy(all:find(e, 1, true), e)
      end
    end)
  end)

  it("by digest is of that manifest", function()
    with(function(pull, store, dir)
      local bytes = artifacts.snapshot(store, "vms/demo:v1", THREE)
      local digest = core.digest(bytes)
      store.manifests["vms/demo:" .. digest] = bytes
      assert.is_true(pull { digest = digest })
      os.remove(dir .. "/committed")
      store.manifests["vms/demo:" .. digest] = bytes .. "\n"
      assert.equal("digest_mismatch", select(2, pull { digest = digest }).kind)
      assert.is_nil(committed(dir))
      bytes = artifacts.image(store, "win:v1", {})
      digest = core.digest(bytes)
      store.manifests["win:" .. digest] = bytes
      assert.equal(("manifest win@%s is a cloud image, not a snapshot"):format(digest),
                   tostring(select(2, pull { name = "win", digest = digest })))
    end)
  end)

  it("whose blobs are not as promised commits nothing", function()
    local n = 0
    for at = 1, 3 do
      for kind, bend in pairs {
        size_mismatch = function(bytes) return core.bytes(bytes .. "x") end,
        digest_mismatch = function(bytes) return core.bytes("X" .. bytes:sub(2)) end,
        not_found = function() return errors.fail("not_found", "no such blob") end,
        truncated = function(bytes)
          local given = false
          return { close = function() end, read = function()
            if given then
              return errors.fail("truncated", "the connection was lost")
            end
            given = true
            return bytes:sub(1, 512)
          end }
        end,
      } do
        with(function(pull, store, dir)
          local _, layers = artifacts.snapshot(store, "vms/demo:v1", THREE)
          local digest = layers[at].digest
          store.fault[digest] = bend
          local ok, err = pull()
          assert.is_nil(ok)
          assert.equal(kind, err.kind)
          assert.matches("cocoon snapshot import vm failed", tostring(err))
          assert.is_nil(committed(dir))
          store.fault[digest] = nil
          assert.is_true(pull()) -- again, and it is there
          assert.truthy(committed(dir))
          n = n + 1
        end)
      end
    end
    assert.equal(12, n)
  end)

  it("of anything hostile is refused before cocoon is started", function()
    local X = { mode = 416 }
    local cases = {
      { { { "../x", "a" } } }, { { { "/etc/x", "a" } } }, { { { "a/b", "a" } } }, { { { "", "a" } } },
      { { { ".", "a" } } }, { { { "..", "a" } } }, { { { "a\0b", "a" } } }, { { { "a\nb", "a" } } },
      { { { "a\194\133", "a" } } }, { { { ("a"):rep(256), "a" } } },
      { { { "snapshot.json", "a" } }, "snapshot.json" },
      { { { "a", "1", more = X }, { "a", "2", more = X } }, "two layers are called" },
      { { { nil, "a", media_type = "text/plain" } }, "no title" },
      { { { "a", "a", media_type = media.VM_MEMORY .. "+zstd" } }, "compressed" },
      { { { "a", "a", more = { mode = 2541 } } }, "mode" },
      { { { "a", "a", more = { mode = 512 } } }, "mode" },
      { { { "a", "a", more = { sparseMap = '[{"o":0,"l":1}]' } } }, "no sparse size" },
      { { { "a", "a", more = { sparseSize = 9 } } }, "no sparse map" },
      { { { "a", "a", more = { sparseMap = "null", sparseSize = 9 } } }, "sparse map" },
      { { { "a", "a", more = { sparseMap = '[{"o":9,"l":1}]', sparseSize = 9 } } }, "sparse map" },
      { { { "a", "a", more = { sparseMap = '[{"o":1,"l":2},{"o":0,"l":-1}]', sparseSize = 9 } } },
        "sparse" },
      { { { "a", "ab", more = { sparseMap = '[{"o":4,"l":1},{"o":0,"l":1}]', sparseSize = 9 } } },
        "sparse map" },
      { { { "a", "a", more = { sparseMap = '[{"o":0,"l":1}]', sparseSize = 2 ^ 42 + 1 } } }, "2^42" },
      { { { "a", "a", more = { sparseMap = "[" .. (" "):rep(2 ^ 20) .. '{"o":0,"l":1}]',
                               sparseSize = 9 } } }, "1048576" },
    }
    with(function(pull, store, dir)
      for i, case in ipairs(cases) do
        artifacts.snapshot(store, "vms/demo:v1", case[1])
        local ok, err = pull()
        assert.is_nil(ok, i)
        assert.truthy(tostring(err):find(case[2] or "name", 1, true)
          or tostring(err):find("file", 1, true), i .. ": " .. tostring(err))
      end
      assert.is_nil(work.read_file(dir .. "/argv"))
    end)
  end)

  it("of what is no snapshot, or has no good config, is refused before cocoon is started", function()
    with(function(pull, store, dir)
      for words, change in pairs {
        ["is a container image; pull with oras/crane/docker"] = function(_, m)
          m.artifactType = nil
          m.config = { mediaType = media.OCI_CONFIG, digest = store:add("{}"), size = 2 }
        end,
        ["manifest vms/demo:v1 is a cloud image, not a snapshot"] = function(_, m)
          m.artifactType = media.OS_IMAGE
        end,
        ["is ambiguous"] = function(_, m) m.manifests = json.array {} end,
        ["the config of vms/demo is a"] = function(_, m)
          m.config = { mediaType = "text/plain", digest = store:add("{}"), size = 2 }
        end,
        ["snapshot config is longer"] = function(_, m)
          m.config = { mediaType = media.SNAPSHOT_CONFIG, digest = store:add("{}"), size = 1 }
        end,
        ["at most 16777216 are read"] = function(_, m)
          m.config = { mediaType = media.SNAPSHOT_CONFIG, digest = store:add("{}"),
                       size = 16 * 1024 * 1024 + 1 }
        end,
        ["has a file \"more.raw\", and no layer"] = function(c) c.files["more.raw"] = { mode = 420 } end,
        ["schemaVersion is \"v2\""] = function(c) c.schemaVersion = "v2" end,
        ["cpu: must be a whole number"] = function(c) c.cpu = "2" end,
        ["has a place of its own"] = function(c) c.extra = { name = "x" } end,
      } do
        artifacts.snapshot(store, "vms/demo:v1", THREE, change)
        local ok, err = pull()
        assert.is_nil(ok)
        assert.truthy(tostring(err):find(words, 1, true), tostring(err))
      end
      store.manifests = {}
      assert.equal("not_found", select(2, pull()).kind)
      assert.equal("invalid", select(2, pull { local_name = "--help" }).kind)
      assert.equal("invalid", select(2, pull { name = "../x" }).kind)
      assert.is_nil(work.read_file(dir .. "/argv"))
    end)
  end)

  it("says what cocoon said when it went away", function()
    with(function(pull, store, dir)
      artifacts.snapshot(store, "vms/demo:v1", { { "a", ("x"):rep(3000000) } })
      local ok, err = pull()
      assert.is_nil(ok)
      assert.equal("process", err.kind)
      assert.matches("^cocoon snapshot import vm failed, exit code 4: name in use", tostring(err))
      assert.is_nil(committed(dir))
    end, "head -c 1000 >/dev/null; echo 'name in use' >&2; exit 4")
    with(function(pull, store)
      artifacts.snapshot(store, "vms/demo:v1", THREE)
      assert.matches("failed, exit code 6", tostring(select(2, pull())))
    end, "cat >/dev/null; exit 6")
  end)

  it("that is cancelled commits nothing", function()
    with(function(pull, store, dir, task)
      local _, layers = artifacts.snapshot(store, "vms/demo:v1", THREE)
      store.fault[layers[2].digest] = function(bytes)
        task.loop:cancel("enough")
        return core.bytes(bytes)
      end
      local ok, err = pull()
      assert.is_nil(ok)
      assert.equal("cancelled", err.kind)
      assert.is_nil(committed(dir))
    end)
  end)

  it("through a runner without fail never finishes a stream that failed", function()
    local task = assert(tasks.new { threads = 0 })
    local store, waited = artifacts.store(task), 0
    local _, layers = artifacts.snapshot(store, "demo:latest", THREE)
    local source, sink = core.pipe()
    local runner = { import = function()
      return sink, function()
        waited = waited + 1
        return true
      end
    end }
    store.fault[layers[1].digest] = function() return errors.fail("denied", "no") end
    local ok, err = snapshot.puller { downloader = store, cocoon = runner, task = task }:pull {
      name = "demo" }
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
    assert.equal(1, waited)
    local got = core.collect(10000)
    assert(task:flow { source = source, sink = got })
    assert.equal("invalid", (tar.failure(got:bytes())))
    task:close()
  end)
end)

describe("a stream", function()
  it("goes into any sink, and with its poison when it fails", function()
    local task = assert(tasks.new { threads = 0 })
    local store = artifacts.store(task)
    local raw, layers = artifacts.snapshot(store, "demo:v1", THREE)
    local sink = core.collect(1000000)
    local lines, events = {}, {}
    assert.is_true(snapshot.stream(task, raw, store, {
      name = "demo", local_name = "vm", writer = sink, progress = function(l) lines[#lines + 1] = l end,
      on_event = function(e) events[#events + 1] = e end,
    }))
    assert.same({ event = "plan", op = "pull", bytes = 0, total = 512 + 100000 + 1024, layers = 3 }, events[1])
    assert.same({ event = "start", op = "pull", title = "config.json", digest = layers[1].digest, bytes = 0,
                  total = 512 }, events[2])
    local good = sink:bytes()
    assert.same({ "snapshot.json", "config.json", "cow.raw", "state.json" }, (look(good)))
    assert.same({ "config.json: 512B", "cow.raw: 97.7K", "state.json: 1.0K" }, lines)
    store.fault[layers[2].digest] = function() return errors.fail("denied", "no") end
    sink = core.collect(1000000)
    local ok, err, poison = snapshot.stream(task, raw, store, { name = "demo", writer = sink })
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
    local bad = sink:bytes() .. poison
    sink:close()
    assert.equal("invalid", (tar.failure(bad)))
    sink = core.collect(10)
    ok, err, poison = snapshot.stream(task, "{}", store, { name = "demo", writer = sink })
    assert.is_nil(ok)
    assert.equal("unsupported", err.kind)
    assert.is_nil(poison)
    assert.equal("", sink:bytes())
    sink:close()
    task:close()
  end)

  it("of a manifest that has been parsed is the same", function()
    local task = assert(tasks.new { threads = 0 })
    local store, streams = artifacts.store(task), {}
    local raw = artifacts.snapshot(store, "demo:v1", THREE)
    for i, write in ipairs { snapshot.stream, snapshot.stream_parsed } do
      local sink = core.collect(1000000)
      assert.is_true(write(task, i == 1 and raw or assert(manifest.parse(raw)), store, {
        name = "demo", writer = sink }))
      streams[i] = sink:bytes()
      sink:close()
    end
    work.assert_same_bytes(streams[1], streams[2])
    assert.has_error(function() snapshot.stream(task, nil, store, { name = "demo", writer = core.null() }) end)
    task:close()
  end)
end)

describe("the config of a snapshot", function()
  it("is fetched by its descriptor, and is nothing else", function()
    local task = assert(tasks.new { threads = 0 })
    local store = artifacts.store(task)
    local m = assert(manifest.parse((artifacts.snapshot(store, "demo:v1", THREE))))
    local config = assert(snapshot.fetch_snapshot_config(task, store, "demo", m.config))
    assert.equal("ID", config.snapshot_id)
    assert.equal(416, config.files["cow.raw"].mode)
    local size, bytes = m.config.size, store.blobs[m.config.digest]
    for kind, bend in pairs {
      invalid = function() m.config.media_type = media.OCTET_STREAM end,
      too_large = function() m.config.size = 16 * 1024 * 1024 + 1 end,
      size_mismatch = function() m.config.size = size - 1 end,
      digest_mismatch = function() store.blobs[m.config.digest] = bytes:gsub("ID", "id") end,
      not_found = function() store.blobs[m.config.digest] = nil end,
    } do
      m.config.media_type, m.config.size = media.SNAPSHOT_CONFIG, size
      store.blobs[m.config.digest] = bytes
      bend()
      local none, err = snapshot.fetch_snapshot_config(task, store, "demo", m.config)
      assert.is_nil(none)
      assert.equal(kind, err.kind)
    end
    task:close()
  end)
end)
