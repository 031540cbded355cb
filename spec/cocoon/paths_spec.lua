local core = require "epoch.core"
local database = require "epoch.cocoon.database"
local golden = require "spec.support.golden"
local interpreter = require "spec.support.interpreter"
local json = require "epoch.json"
local paths = require "epoch.cocoon.paths"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local ID = "W2JU6RNPEHO2QGIGBWCR34YDIT"
local T = "2026-11-21T05:16:18Z"

-- A root with the golden snapshot in its database.
local function with_root(use)
  work.in_directory(function(dir)
    local here = paths.new { root_dir = dir .. "/cocoon" }
    assert(core.mkdir(dir .. "/cocoon/snapshot/db"))
    work.write_file(here:snapshot_db_file(), golden.read("gen1/snapshots.json"))
    use(here, dir)
  end)
end

local function add(name)
  return function(db)
    db.snapshots[name] = { id = name, name = name, created_at = T }
    db.names[name] = name
    return true
  end
end

describe("cocoon's files", function()
  it("are where cocoon has them", function()
    local here = paths.new { root_dir = "/srv/cocoon//" }
    assert.equal("/srv/cocoon", here.root_dir)
    assert.equal("/srv/cocoon/cloudimg/blobs", here:cloudimg_blob_dir())
    assert.equal("/srv/cocoon/snapshot/db/snapshots.json", here:snapshot_db_file())
    assert.equal("/srv/cocoon/snapshot/db/snapshots.lock", here:snapshot_db_lock())
    assert.equal("/srv/cocoon/snapshot/localfile/ID", here:snapshot_data_dir("ID"))
    assert.equal("/snapshot/db/snapshots.json", paths.new { root_dir = "/" }:snapshot_db_file())
  end)

  it("are under the root that is named, or where they are", function()
    local function root(named, ...)
      local there = {}
      for _, path in ipairs { ... } do
        there[path] = true
      end
      return paths.default_root_dir(function(name)
        return name == "COCOON_ROOT_DIR" and named or nil
      end, function(path) return there[path] end)
    end
    local old, new = "/data01/cocoon", "/var/lib/cocoon"
    assert.same({ old, new }, { paths.DEFAULT_ROOT_DIR, paths.NEWER_ROOT_DIR })
    assert.equal("/srv", root("/srv", old, new))
    assert.equal(old, root(nil))
    assert.equal(old, root("", old, new))
    assert.equal(old, root(nil, old))
    assert.equal(new, root(nil, new))
    assert.equal(paths.default_root_dir(), paths.new().root_dir)
  end)

  it("are nowhere else, whatever an id says", function()
    local here = paths.new { root_dir = "/srv" }
    for _, id in ipairs { "", ".", "..", "../x", "a/b", ".x", "a\0", "a\n", ("a"):rep(256), 7, "é" } do
      local dir, err = here:snapshot_data_dir(id)
      assert.is_nil(dir)
      assert.equal("invalid", err.kind)
    end
    assert.has_error(function() paths.new { root_dir = "" } end)
    assert.has_error(function() paths.new { root_dir = "a\0b" } end)
  end)

  it("have sizes that people can read", function()
    assert.equal("1.2G", paths.human_size(1288490189))
    assert.equal("17B", paths.human_size(17))
  end)
end)

describe("cocoon's list of snapshots", function()
  it("is read, by name and by id", function()
    with_root(function(here)
      local db = assert(here:read_snapshot_db())
      assert.equal(536870912, db.snapshots[db.names["g-small"]].memory)
      assert.equal(ID, here:resolve_snapshot_id("g-small"))
      assert.equal(ID, here:resolve_snapshot_id(ID))
      assert.is_true(here:snapshot_exists("g-small"))
      assert.is_true(here:snapshot_exists(ID))
      assert.is_false(here:snapshot_exists("other"))
      local id, err = here:resolve_snapshot_id("other")
      assert.is_nil(id)
      assert.equal("not_found", err.kind)
      assert.equal('snapshot "other" not found in cocoon DB', tostring(err))
    end)
  end)

  it("has nothing in it where there is none", function()
    work.in_directory(function(dir)
      local here = paths.new { root_dir = dir .. "/none" }
      assert.same({}, assert(here:read_snapshot_db()).snapshots)
      assert.is_false(here:snapshot_exists("x"))
      assert.is_nil(core.stat(dir .. "/none"))
      assert.is_true(here:update_snapshot_db(add "x"))
      assert.is_true(here:snapshot_exists("x"))
      local stat = core.stat(here:snapshot_db_file())
      assert.equal(tonumber("644", 8), stat.mode)
      assert.equal(tonumber("750", 8), core.stat(dir .. "/none/snapshot/db").mode)
    end)
  end)

  it("does not have what cocoon is still making, nor a name for nothing", function()
    with_root(function(here)
      assert(here:update_snapshot_db(function(db)
        db.snapshots.p = { id = "p", name = "p", created_at = T, pending = true }
        db.names.p, db.names.dangling = "p", "gone"
        return true
      end))
      assert.is_false(here:snapshot_exists("p"))
      assert.equal("p", here:resolve_snapshot_id("p"))
      assert.is_false(here:snapshot_exists("dangling"))
      assert.equal("not_found", select(2, here:resolve_snapshot_id("dangling")).kind)
    end)
  end)

  it("that cannot be read is no empty one", function()
    with_root(function(here)
      work.write_file(here:snapshot_db_file(), '{"snapshots":')
      for _, act in ipairs { here.read_snapshot_db, here.snapshot_exists, here.resolve_snapshot_id,
                             here.update_snapshot_db, here.write_snapshot_db } do
        local value, err = act(here, act == here.write_snapshot_db and database.empty() or "x")
        assert.is_nil(value)
        assert.equal("invalid", err.kind)
        assert.truthy(tostring(err):find(here:snapshot_db_file(), 1, true))
      end
      assert.equal('{"snapshots":', work.read_file(here:snapshot_db_file()))
    end)
  end)

  it("is changed whole or not at all", function()
    with_root(function(here, dir)
      local before = work.read_file(here:snapshot_db_file())
      local ok, err = here:update_snapshot_db(function(db)
        db.names = {}
        return nil, "no"
      end)
      assert.same({ nil, "no" }, { ok, err })
      assert.has_error(function()
        here:update_snapshot_db(function() error("raised", 0) end)
      end, "raised")
      assert.has_error(function()
        here:update_snapshot_db(function(changed)
          changed.snapshots.x = { id = 7 }
          return true
        end)
      end)
      assert.equal(before, work.read_file(here:snapshot_db_file()))
      assert(here:update_snapshot_db(add "new"))
      local decoded = assert(json.decode(work.read_file(here:snapshot_db_file())))
      assert.same({ 256, 128, true }, { decoded.snapshots[ID].queue_size,
        decoded.snapshots[ID].disk_queue_size, decoded.snapshots[ID].no_direct_io })
      assert.same({ ["g-small"] = ID, new = "new" }, decoded.names)
      assert.equal("2", work.output(("ls -A '%s/cocoon/snapshot/db' | wc -l"):format(dir)))
    end)
  end)

  it("is written back, unless another has changed it meanwhile", function()
    with_root(function(here)
      local db = assert(here:read_snapshot_db())
      add "mine"(db)
      assert.is_true(here:write_snapshot_db(db))
      assert.is_true(here:snapshot_exists("mine"))
      local late = assert(here:read_snapshot_db())
      assert(here:update_snapshot_db(add "other"))
      add "late"(late)
      local ok, err = here:write_snapshot_db(late)
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
      assert.is_true(here:snapshot_exists("other"))
      assert.is_false(here:snapshot_exists("late"))
      add "mine2"(db) -- read long ago
      assert.equal("conflict", select(2, here:write_snapshot_db(db)).kind)
    end)
  end)

  it("is made where there is none, and only there", function()
    with_root(function(here)
      assert(core.unlink(here:snapshot_db_file()))
      local db = { snapshots = { ID = { id = "ID", name = "demo", created_at = T } }, names = { demo = "ID" } }
      assert(here:write_snapshot_db(db))
      assert.equal("ID", here:resolve_snapshot_id("demo"))
      db.snapshots.ID.cpu = 2
      assert(here:write_snapshot_db(db))
      assert.equal(2, here:read_snapshot_db().snapshots.ID.cpu)
      local ok, err = here:write_snapshot_db({ snapshots = {}, names = {} })
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
      assert.equal("ID", here:resolve_snapshot_id("demo"))
    end)
  end)

  it("is not changed while cocoon has its lock, which is waited for", function()
    with_root(function(here, dir)
      local flag = dir .. "/held"
      local holder = assert(io.popen(("flock -x '%s' sh -c 'touch \"%s\"; sleep 0.3; rm \"%s\"'"):format(
        here:snapshot_db_lock(), flag, flag)))
      while not core.stat(flag) do
        os.execute("sleep 0.01")
      end
      local seen
      assert(here:update_snapshot_db(function(db)
        seen = core.stat(flag)
        -- while it is changed, others are kept out
        assert.equal("1", work.output(("flock -n '%s' true; echo $?"):format(here:snapshot_db_lock())))
        return add "new"(db)
      end))
      assert.is_nil(seen)
      assert.equal("0", work.output(("flock -n '%s' true; echo $?"):format(here:snapshot_db_lock())))
      holder:close()
    end)
  end)

  it("loses nothing of several who change it at once", function()
    with_root(function(here, dir)
      local script = interpreter.paths() .. ([[
        local here = require("epoch.cocoon.paths").new { root_dir = %q }
        for i = 1, 20 do
          local name = arg[0] .. i
          assert(here:update_snapshot_db(function(db)
            db.snapshots[name] = { id = name, name = name, created_at = "2026-01-01T00:00:00Z" }
            db.names[name] = name
            return true
          end))
        end
      ]]):format(here.root_dir)
      for _, who in ipairs { "a", "b", "c" } do
        work.write_file(dir .. "/" .. who, "arg[0] = '" .. who .. "' " .. script)
      end
      local run = ("env %s %s '%s/%%s'"):format(interpreter.preloaded(), interpreter.path(), dir)
      assert.equal("done", work.output(("%s & %s & %s & wait; echo done"):format(run:format "a",
        run:format "b", run:format "c")))
      for i = 1, 20 do
        for _, who in ipairs { "a", "b", "c" } do
          assert.is_true(here:snapshot_exists(who .. i))
        end
      end
    end)
  end)

  it("is changed in branches of a task, too", function()
    with_root(function(_, dir)
      local task = assert(tasks.new())
      local here = paths.new { root_dir = dir .. "/cocoon", task = task }
      local branches = {}
      for i = 1, 8 do
        branches[i] = function() return here:update_snapshot_db(add("s" .. i)) end
      end
      local held = assert(core.lock(here:snapshot_db_lock()))
      branches[9] = function()
        task:sleep(0.05)
        held:close()
        return true
      end
      assert(task:all(branches))
      for i = 1, 8 do
        assert.is_true(here:snapshot_exists("s" .. i))
      end
      task:close()
    end)
  end)
end)
