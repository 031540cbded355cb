--- cocoon's own files, read and changed beside the real cocoon.
local await = require "epoch.await"
local behaviour = require "spec.support.cocoon_behaviour"
local core = require "epoch.core"
local paths = require "epoch.cocoon.paths"
local standin = require "spec.support.standin"
local work = require "spec.support.work"

local function pause(loop, seconds)
  local timer = loop:timer(seconds)
  assert(await(loop, timer, "wait"))
  timer:close()
end

describe("the real cocoon's files", function()
  local real = standin.real()
  if not real then
    pending("cocoon is not in PATH and EPOCH_COCOON_BINARY is not set")
    return
  end
  local program = { program = real }

  local function import(loop, root, name)
    local result = standin.run(loop, root, { "snapshot", "import", "--name=" .. name }, behaviour.whole, program)
    assert.equal(0, result.code, result.stderr)
  end

  local function list(loop, root)
    local text, result = standin.output(loop, root, { "snapshot", "list" }, program)
    assert.equal(0, result.code, result.stderr)
    return text
  end

  it("are where it has put them", function()
    behaviour.with_root(function(loop, root)
      import(loop, root, "x")
      local here = paths.new { root_dir = root }
      local id = assert(here:resolve_snapshot_id("x"))
      local record = assert(here:read_snapshot_db()).snapshots[id]
      assert.same({ id, "x", 2, here:snapshot_data_dir(id) }, { record.id, record.name, record.cpu, record.data_dir })
      assert.equal("directory", core.stat(record.data_dir).type)
      assert.equal("file", core.stat(here:snapshot_db_lock()).type)
      assert.is_true(here:snapshot_exists("x"))
    end)
  end)

  it("hold for it what is written into them here", function()
    behaviour.with_root(function(loop, root)
      import(loop, root, "x")
      local here = paths.new { root_dir = root }
      local id = assert(here:resolve_snapshot_id("x"))
      os.execute(("cp -r '%s' '%s'"):format(here:snapshot_data_dir(id), here:snapshot_data_dir("COPY")))
      assert(here:update_snapshot_db(function(db)
        db.snapshots[id].description = "said here"
        db.snapshots.COPY = { id = "COPY", name = "y", description = "made here", cpu = 3, memory = 1024 ^ 3,
                              image_blob_ids = { [("ab"):rep(32)] = true },
                              created_at = db.snapshots[id].created_at, data_dir = here:snapshot_data_dir("COPY") }
        db.names.y = "COPY"
        return true
      end))
      local text = list(loop, root)
      assert.truthy(text:find("said here", 1, true), text)
      assert.truthy(text:find("COPY", 1, true), text)
      local bytes, result = standin.output(loop, root, { "snapshot", "export", "-o", "-", "--", "y" }, program)
      assert.equal(0, result.code, result.stderr)
      assert.matches('"cpu": 3', bytes)
      bytes = standin.output(loop, root, { "snapshot", "export", "-o", "-", "--", "x" }, program)
      assert.matches('"queue_size": 256', bytes) -- which nobody here knows of
      import(loop, root, "z") -- and cocoon writes it all again
      assert.same({ "COPY", "made here", 3 }, { here:resolve_snapshot_id("y"),
        here:read_snapshot_db().snapshots.COPY.description, here:read_snapshot_db().snapshots.COPY.cpu })
    end)
  end)

  it("are not changed by it while the lock is held here", function()
    behaviour.with_root(function(loop, root)
      import(loop, root, "x")
      local here = paths.new { root_dir = root }
      local before = work.read_file(here:snapshot_db_file())
      local held = assert(core.lock(here:snapshot_db_lock()))
      local p = standin.start(loop, root, { "snapshot", "import", "--name=y" }, program)
      local fed = assert(loop:flow { source = core.bytes(behaviour.whole), sink = p:stdin() })
      pause(loop, 1)
      assert.same({ nil, "again" }, { (p:wait()), (select(3, p:wait())) })
      assert.equal(before, work.read_file(here:snapshot_db_file()))
      held:close()
      assert(await(loop, fed, "result"))
      fed:close()
      local result = assert(await(loop, p, "wait"))
      p:close()
      assert.equal(0, result.code, result.stderr)
      assert.is_true(here:snapshot_exists("y"))
    end)
  end)

  it("lose nothing when it and this change them at once", function()
    behaviour.with_root(function(loop, root)
      import(loop, root, "x")
      local here, running, n = paths.new { root_dir = root }, {}, 0
      for i = 1, 12 do
        local p = standin.start(loop, root, { "snapshot", "import", "--name=c" .. i }, program)
        running[i] = { p = p, fed = assert(loop:flow { source = core.bytes(behaviour.whole), sink = p:stdin() }) }
      end
      for _, one in ipairs(running) do
        local result, _, code
        repeat
          n = n + 1
          assert(here:update_snapshot_db(function(db)
            db.snapshots["E" .. n] = { id = "E" .. n, name = "e" .. n, created_at = "2026-11-21T05:16:18Z",
                                       data_dir = here:snapshot_data_dir("E" .. n) }
            db.names["e" .. n] = "E" .. n
            return true
          end))
          pause(loop, 0.05) -- cocoon asks for the lock ten times a second
          result, _, code = one.p:wait()
        until result or code ~= "again"
        assert.equal(0, result.code, result.stderr)
        one.fed:close()
        one.p:close()
      end
      assert.is_true(n > 12)
      local db = assert(here:read_snapshot_db())
      for i = 1, n do
        assert.equal("E" .. i, db.names["e" .. i])
        assert.equal("e" .. i, db.snapshots["E" .. i].name)
      end
      for i = 1, 12 do
        assert.equal("c" .. i, db.snapshots[db.names["c" .. i]].name)
      end
    end)
  end)
end)
