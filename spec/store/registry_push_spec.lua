--- A snapshot of generation 1 out of cocoon's own directories.
local calendar = require "epoch.calendar"
local core = require "epoch.core"
local errors = require "epoch.errors"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local json = require "epoch.json"
local listeners = require "epoch.listeners"
local paths = require "epoch.cocoon.paths"
local registry = require "epoch.registry"
local support = require "spec.support.store"
local work = require "spec.support.work"

local ID, BASE = generation1.ID, generation1.BASE
local SNAPSHOT = { name = "g-small", tag = "v1" }
local PUSHED = "2026-11-21T05:18:10.843597284Z" -- the golden manifest

-- The golden root, and an empty store. `use(task, home, here, dir, data)`: data is where the files are.
local function with_root(use)
  support.with_task(function(task, dir)
    generation1.root(dir .. "/root")
    local home = assert(homes.open(task, "file://" .. dir .. "/home"))
    local here = paths.new { root_dir = dir .. "/root", task = task }
    use(task, home, here, dir, here:snapshot_data_dir(ID))
    home:close()
  end)
end

local function refused(kind, words, m, err)
  assert.is_nil(m)
  assert.is_true(errors.is(err), tostring(err))
  assert.equal(kind, err.kind, tostring(err))
  assert.matches(words, tostring(err))
  return err
end

local function change_record(here, change)
  assert(here:update_snapshot_db(function(db)
    change(db.snapshots[ID], db)
    return true
  end))
end

-- Everything below a directory, by name; without catalogs, which have times in them.
local function contents(dir)
  local out = {}
  for _, path in ipairs(support.files(dir)) do
    out[path] = path ~= "catalog.json" and core.digest(work.read_file(dir .. "/" .. path)) or nil
  end
  return out
end

describe("a push out of cocoon's directories", function()
  it("of the golden root gives the golden keys, digests and manifest", function()
    with_root(function(task, home, here, dir)
      generation1.store(dir .. "/golden")
      local m = assert(registry.push(task, home, here, SNAPSHOT))
      assert.equal(golden.read("gen1/manifest.json"), (m.bytes:gsub((m.pushed_at:gsub("%-", "%%-")), PUSHED)))
      local expected, got = contents(dir .. "/golden"), contents(dir .. "/home")
      expected["manifests/g-small/v1.json"] = m.digest
      assert.same(expected, got)
      local catalogs = {}
      for i, where in ipairs { "/golden", "/home" } do
        catalogs[i] = json.decode(work.read_file(dir .. where .. "/catalog.json"))
        catalogs[i].updatedAt, catalogs[i].repositories["g-small"].updatedAt = nil, nil
      end
      assert.same(catalogs[1], catalogs[2])
      assert.is_true(math.abs(os.time() - calendar.rfc3339(m.pushed_at)) < 60)
    end)
  end)

  it("that is pulled elsewhere gives the same files and what the manifest says of them", function()
    with_root(function(task, home, here, dir, data)
      assert(registry.push(task, home, here, SNAPSHOT))
      local there = paths.new { root_dir = dir .. "/there", task = task }
      assert(registry.pull(task, home, there, SNAPSHOT))
      assert.same(contents(data), contents(there:snapshot_data_dir(ID)))
      assert.same(contents(here:cloudimg_blob_dir()), contents(there:cloudimg_blob_dir()))
      local expected = golden.read("gen1/snapshots-after-pull.json"):gsub("/var/lib/cocoon", there.root_dir)
      assert.same(json.decode(expected), json.decode(work.read_file(there:snapshot_db_file())))
    end)
  end)

  it("sends nothing a second time, and leaves everything as it is", function()
    with_root(function(task, home, here, dir)
      assert(registry.push(task, home, here, { name = "g-small", tag = "v1", pushed_at = 1700000000 }))
      local before, lines = contents(dir .. "/home"), {}
      local m = assert(registry.push(task, home, here, { name = "g-small", tag = "v1", progress = function(line)
        lines[#lines + 1] = line
      end }))
      assert.equal("2023-11-14T22:13:20Z", m.pushed_at)
      assert.same(before, contents(dir .. "/home"))
      assert.equal(7, #lines)
      for _, line in ipairs(lines) do
        assert.matches(": %d.*, is there already$", line)
      end
      change_record(here, function(record) record.memory = 1024 end)
      m = assert(registry.push(task, home, here, SNAPSHOT))
      assert.is_true(m.pushed_at > "2026")
      assert.equal(1024, home:pull_manifest("g-small", "v1").memory)
    end)
  end)

  it("sends what the store lacks or has only in part, and tells how it goes", function()
    with_root(function(task, home, here, dir, data)
      assert(registry.push(task, home, here, SNAPSHOT))
      local function blob_of(path)
        return dir .. "/home/blobs/" .. core.digest(work.read_file(path)):gsub(":", "/")
      end
      work.write_file(blob_of(data .. "/state.json"), "{}")
      os.remove(blob_of(data .. "/memory-ranges"))
      work.write_file(data .. "/state-too.json", work.read_file(data .. "/state.json"))
      local heard, moved = {}, {}
      assert(registry.push(task, home, here, { name = "g-small", tag = "v2", on_event = function(e)
        assert.equal("push", e.op)
        local what = e.event == "done" and "done" or ("%s %s"):format(e.event, e.phase)
        heard[what] = (heard[what] or 0) + 1
        if e.transferred then
          moved[e.title:gsub("-too", "")] = e.bytes
        end
      end }))
      assert.same({ 8, 8 }, { heard["start read"], heard.done })
      assert.is_true(heard["progress send"] >= 2)
      assert.same({ ["memory-ranges"] = 946176, ["state.json"] = 852 }, moved) -- equal files are sent once
      work.assert_same_bytes(work.read_file(data .. "/state.json"), work.read_file(blob_of(data .. "/state.json")))
    end)
  end)

  it("tells whoever listens to everything that it is over", function()
    with_root(function(task, home, here)
      local ended = {}
      listeners.default(function(op)
        return { on_event = function() end, on_end = function() ended[#ended + 1] = op end }
      end)
      finally(function() listeners.default(nil) end)
      assert(registry.push(task, home, here, SNAPSHOT))
      assert.is_nil((registry.push(task, home, here, { name = "none" })))
      assert(registry.pull(task, home, here, SNAPSHOT))
      assert.same({ "push", "push", "pull" }, ended)
    end)
  end)

  it("takes any name or id of cocoon's, for any of the store's", function()
    with_root(function(task, home, here)
      local m = assert(registry.push(task, home, here, { name = "vms/copy", snapshot = "g-small" }))
      assert.same({ "vms/copy", "latest", ID }, { m.name, m.tag, m.snapshot_id })
      assert(registry.push(task, home, here, { name = "by-id", snapshot = ID }))
      assert.same({ "by-id", "vms/copy" }, home:repositories())
    end)
  end)

  it("keeps the time of what nobody knows the time of", function()
    with_root(function(task, home, here)
      change_record(here, function(record) record.created_at = "0001-01-01T00:00:00Z" end)
      assert.equal("0001-01-01T00:00:00Z", assert(registry.push(task, home, here, SNAPSHOT)).created_at)
    end)
  end)

  it("stores holes as zeros, and files of nothing", function()
    with_root(function(task, home, here, dir, data)
      os.execute(("truncate -s 3M '%s/all-hole.raw' && : >'%s/nothing'"):format(data, data))
      local m = assert(registry.push(task, home, here, SNAPSHOT))
      local by_title = {}
      for _, layer in ipairs(m.layers) do
        by_title[layer.title] = { layer.digest, layer.size }
      end
      assert.same({ core.digest(("\0"):rep(3145728)), 3145728 }, by_title["all-hole.raw"])
      assert.same({ core.digest(""), 0 }, by_title.nothing)
      local there = paths.new { root_dir = dir .. "/there", task = task }
      assert(registry.pull(task, home, there, SNAPSHOT))
      assert.same(contents(data), contents(there:snapshot_data_dir(ID)))
    end)
  end)

  it("finds base images by any of their names, and says which it leaves out", function()
    with_root(function(task, home, here)
      local other, bare = ("ab"):rep(32), ("01"):rep(32)
      change_record(here, function(record)
        for _, id in ipairs { other, bare, ("ef"):rep(32) } do
          record.image_blob_ids[id] = true
        end
      end)
      work.write_file(here:cloudimg_blob_dir() .. "/" .. other .. ".raw", "raw")
      work.write_file(here:cloudimg_blob_dir() .. "/" .. bare, "bare")
      local lines = {}
      local m = assert(registry.push(task, home, here, { name = "g-small", progress = function(line)
        lines[#lines + 1] = line
      end }))
      assert.same({ bare, other .. ".raw", BASE },
        { m.base_images[1].title, m.base_images[2].title, m.base_images[3].title })
      assert.equal("application/octet-stream", m.base_images[2].media_type)
      assert.equal(("base image %s: not in %s, left out"):format(("ef"):rep(32), here:cloudimg_blob_dir()), lines[1])
    end)
  end)

  it("passes over directories, and refuses what is neither", function()
    with_root(function(task, home, here, dir, data)
      assert(core.mkdir(data .. "/sub"))
      work.write_file(data .. "/sub/file", "x")
      assert.equal(6, #assert(registry.push(task, home, here, SNAPSHOT)).layers)
      os.execute(("ln -s /etc/hostname '%s/link'"):format(data))
      refused("invalid", "push g%-small:v2: .*/link\" is no regular file",
        registry.push(task, home, here, { name = "g-small", tag = "v2" }))
      os.remove(data .. "/link")
      local base = here:cloudimg_blob_dir() .. "/" .. BASE
      assert(core.rename(base, dir .. "/elsewhere"))
      os.execute(("ln -s '%s/elsewhere' '%s'"):format(dir, base))
      refused("invalid", "is no regular file", registry.push(task, home, here, { name = "g-small", tag = "v2" }))
    end)
  end)

  it("of what could not be pulled sends nothing", function()
    for _, name in ipairs { "snapshot.json", "a\nb", "\255" } do
      with_root(function(task, home, here, dir, data)
        work.write_file(data .. "/" .. name, "x")
        assert.is_nil((registry.push(task, home, here, SNAPSHOT)))
        assert.same({}, support.files(dir .. "/home"))
      end)
    end
    local function bent(kind, words, bend)
      with_root(function(task, home, here, dir, data)
        bend(here, data)
        refused(kind, words, registry.push(task, home, here, SNAPSHOT))
        assert.same({}, support.files(dir .. "/home"))
      end)
    end
    bent("invalid", "needs the image \"../x\", which is no id", function(here)
      change_record(here, function(record) record.image_blob_ids = { ["../x"] = true } end)
    end)
    bent("busy", "cocoon is still making the snapshot \"g%-small\"", function(here)
      change_record(here, function(record) record.pending = true end)
    end)
    bent("invalid", "was made at \"yesterday\", which is no time", function(here)
      local path = here:snapshot_db_file()
      work.write_file(path, (work.read_file(path):gsub('"created_at":"[^"]*"', '"created_at":"yesterday"')))
    end)
    bent("invalid", "the snapshot id \"../x\" is none", function(here)
      change_record(here, function(record, db)
        db.snapshots["../x"], db.names["g-small"] = record, "../x"
        db.snapshots[ID] = nil
      end)
    end)
    bent("not_found", "snapshot \"g%-small\" not found in cocoon DB", function(here)
      change_record(here, function(_, db) db.snapshots, db.names = {}, {} end)
    end)
    bent("not_found", ID, function(_, data) os.execute("rm -r " .. data) end)
    bent("invalid", "has no files", function(_, data) os.execute("rm " .. data .. "/*") end)
    bent("invalid", "has disks and nothing else", function(here, data)
      change_record(here, function(record) record.image_blob_ids = nil end)
      os.execute("cd " .. data .. " && rm *.json memory-ranges cidata.img")
    end)
  end)

  it("wants names that the store can have, and a store", function()
    with_root(function(task, home, here, dir)
      for _, given in ipairs { { name = "../x" }, { name = "A" }, { name = "g-small", tag = "a/b" } } do
        given.snapshot = "g-small"
        refused("invalid", "", registry.push(task, home, here, given))
      end
      assert.has_error(function() registry.push(task, home, here, { name = "g-small", tagg = "v1" }) end)
      assert.has_error(function() registry.push(task, home, here, {}) end)
      local layout = assert(homes.open(task, "oci:" .. dir .. "/layout"))
      refused("unsupported", "is no object store", registry.push(task, layout, here, SNAPSHOT))
      layout:close()
    end)
  end)

  -- A home that does something before each blob.
  local function before_blobs(home, act)
    return setmetatable({ put_blob = function(_, ...)
      act()
      return home:put_blob(...)
    end }, { __index = function(_, name)
      return home[name] and function(_, ...) return home[name](home, ...) end
    end })
  end

  it("that changes while it is read is refused, and has no tag", function()
    local function meanwhile(words, act)
      with_root(function(task, home, here, _, data)
        local done = false
        local slow = before_blobs(home, function()
          if not done then
            done = true
            act(data, here)
          end
        end)
        refused("conflict", words, registry.push(task, slow, here, SNAPSHOT))
        assert.is_true(done)
        assert.equal("not_found", select(2, home:get_manifest("g-small", "v1")).kind)
      end)
    end
    local whole = "the snapshot \"g%-small\" changed while it was read"
    meanwhile("overlay.qcow2\" changed while it was read; push it again", function(data)
      work.write_file(data .. "/overlay.qcow2", "another")
    end)
    meanwhile("changed while it was read", function(data)
      local bytes = work.read_file(data .. "/overlay.qcow2")
      work.write_file(data .. "/overlay.qcow2", "x" .. bytes:sub(2))
    end)
    meanwhile(whole, function(data) work.write_file(data .. "/new", "x") end)
    meanwhile("changed while it was read", function(data) os.remove(data .. "/state.json") end)
    meanwhile(whole, function(_, here)
      change_record(here, function(record) record.image_blob_ids = nil end)
    end)
  end)

  it("that is removed while it is read is refused", function()
    with_root(function(task, home, here)
      local slow = before_blobs(home, function()
        change_record(here, function(_, db) db.snapshots, db.names = {}, {} end)
      end)
      refused("not_found", "look again whether it has changed: snapshot", registry.push(task, slow, here, SNAPSHOT))
    end)
  end)

  it("that the store does not take has no tag, and can be done again", function()
    with_root(function(task, home, here)
      local left = 3
      local full = before_blobs(home, function() end)
      local put = full.put_blob
      full.put_blob = function(...)
        left = left - 1
        if left < 0 then
          return errors.fail("io", "no space left")
        end
        return put(...)
      end
      refused("io", "push g%-small:v1: .*no space left", registry.push(task, full, here, SNAPSHOT))
      assert.equal("not_found", select(2, home:get_manifest("g-small", "v1")).kind)
      local sent = 0
      assert(registry.push(task, home, here, { name = "g-small", tag = "v1", on_event = function(e)
        sent = sent + (e.transferred and 1 or 0)
      end }))
      assert.is_true(sent >= 4 and sent <= 7)
    end)
  end)
end)
