--- What the environment makes the stand-in do wrong: each switch does what main.c says.
local await = require "epoch.await"
local behaviour = require "spec.support.cocoon_behaviour"
local children = require "spec.support.children"
local core = require "epoch.core"
local standin = require "spec.support.standin"
local work = require "spec.support.work"

local IMPORT = { "snapshot", "import", "--name=x" }
local EXPORT = { "snapshot", "export", "-o", "-", "--", "x" }

describe("the stand-in, told to fail:", function()
  local function with_snapshot(use)
    behaviour.with_root(function(loop, root)
      assert.equal(0, standin.run(loop, root, IMPORT, behaviour.whole).code)
      use(loop, root)
    end)
  end

  local function export(loop, root, env)
    return standin.output(loop, root, EXPORT, { env = env })
  end

  it("exit: the export is whole, the code is not 0", function()
    with_snapshot(function(loop, root)
      local whole = export(loop, root)
      local bytes, result = export(loop, root, { COCOON_FAKE_EXIT = 3 })
      assert.equal(3, result.code)
      work.assert_same_bytes(whole, bytes)
    end)
  end)

  it("exit: the import takes everything and commits nothing", function()
    behaviour.with_root(function(loop, root)
      for _, words in ipairs { IMPORT, { "image", "import", "--", "w" } } do
        local keep = root .. "/kept"
        local result = standin.run(loop, root, words, behaviour.whole,
          { env = { COCOON_FAKE_EXIT = 9, COCOON_FAKE_KEEP = keep } })
        assert.equal(9, result.code)
        work.assert_same_bytes(behaviour.whole, work.read_file(keep))
        assert.same({}, standin.snapshots(root))
        assert.same({}, standin.images(root))
        assert.same({}, standin.directories(root))
        assert.same({}, standin.temporary(root))
      end
    end)
  end)

  it("die: an export ends half-way, by a code or by a signal", function()
    with_snapshot(function(loop, root)
      local whole = export(loop, root)
      for how, want in pairs { [""] = 9, [":-15"] = 15, [":7"] = 7, [":0"] = 0 } do
        local bytes, result = export(loop, root, { COCOON_FAKE_DIE = 2000 .. how })
        assert.equal(want, result.number or result.code)
        assert.is_true(#bytes >= 2000 and #bytes < #whole)
        work.assert_same_bytes(whole:sub(1, #bytes), bytes)
      end
    end)
  end)

  it("die: an import ends before it has read everything", function()
    behaviour.with_root(function(loop, root)
      local result = standin.run(loop, root, IMPORT, behaviour.whole, { env = { COCOON_FAKE_DIE = 100 } })
      assert.equal(9, result.number)
      assert.same({}, standin.snapshots(root))
    end)
  end)

  it("stderr: a flood does not stand in the way", function()
    with_snapshot(function(loop, root)
      local bytes, result = export(loop, root, { COCOON_FAKE_STDERR = 3000000 })
      assert.equal(0, result.code)
      assert.is_true(#bytes > 10240 and #result.stderr > 1000)
      assert.matches("what nobody asked for", result.stderr)
    end)
  end)

  it("hang: neither its beginning nor its end comes, whatever SIGTERM says", function()
    with_snapshot(function(loop, root)
      for where, said in pairs { start = "", ["end"] = "committed y" } do
        local log = root .. "/" .. where
        local process = standin.start(loop, root, { "snapshot", "import", "--name=y" },
          { env = { COCOON_FAKE_HANG = where, COCOON_FAKE_LOG = log } })
        if where == "end" then
          assert(await.flow(loop, { source = core.bytes(behaviour.whole), sink = process:stdin() }))
        end
        assert.is_truthy(children.eventually(function()
          local told = work.read_file(log) or ""
          return told:find("started", 1, true) and told:find(said, 1, true)
        end))
        assert(process:kill("TERM"))
        local timer = loop:timer(0.2)
        assert(await(loop, timer, "wait"))
        timer:close()
        assert.is_not_nil(children.process(process:pid()))
        assert(process:kill("KILL"))
        assert.equal(9, assert(await(loop, process, "wait")).number)
        process:close()
      end
    end)
  end)

  it("sleep and rate: it begins late and goes slowly", function()
    with_snapshot(function(loop, root)
      local before = core.now()
      export(loop, root, { COCOON_FAKE_SLEEP = 0.2 })
      assert.is_true(core.now() - before >= 0.2)
      before = core.now()
      local bytes = export(loop, root, { COCOON_FAKE_RATE = 50000 })
      assert.is_true(core.now() - before >= #bytes / 50000)
    end)
  end)

  it("child: one is left that holds stdout", function()
    with_snapshot(function(loop, root)
      local process = standin.start(loop, root, EXPORT, { stdin = "null", stdout = "pipe",
        env = { COCOON_FAKE_CHILD = 60, COCOON_FAKE_LOG = root .. "/log" } })
      local stdout = process:stdout()
      while not (work.read_file(root .. "/log") or ""):find("exit 0", 1, true) do
        local piece, message, code = stdout:read(65536)
        assert(piece or code == "again", message)
        assert(loop:poll(0.01))
      end
      local ended, again
      repeat
        ended, again = stdout:read(65536)
      until not ended
      assert.is_nil(ended) -- no end of stdout, though the export has ended
      assert.is_string(again)
      stdout:close()
      assert(await(loop, process, "stop", { hold = true, grace = 0 }))
      process:close()
    end)
  end)

  it("export: another file's bytes", function()
    behaviour.with_root(function(loop, root)
      work.write_file(root .. "/other", "no tar at all")
      local bytes, result = export(loop, root, { COCOON_FAKE_EXPORT = root .. "/other" })
      assert.equal("no tar at all", bytes)
      assert.equal(0, result.code)
    end)
  end)

  it("log: says what it was asked, what it saw, how stdin ended", function()
    behaviour.with_root(function(loop, root)
      local log = root .. "/log"
      standin.run(loop, root, IMPORT, behaviour.whole, { env = { COCOON_FAKE_LOG = log } })
      local lines = {}
      for line in io.lines(log) do
        lines[#lines + 1] = line:gsub("%d+$", "N")
      end
      assert.equal("arguments snapshot import --name=x", lines[1])
      assert.equal("started N", lines[2])
      assert.matches("^entry snapshot%.json mode=644 size=%d+ sparse=%-1 map=%-$", lines[3])
      assert.matches('^entry memory%-ranges mode=640 size=4196 sparse=40960 map=%[{"o":4096', lines[5])
      assert.equal("archive ended with a trailer", lines[7])
      assert.equal("committed x", lines[8])
      assert.equal("exit N", lines[9])
    end)
  end)

  it("arguments: what it does not know, and help", function()
    behaviour.with_root(function(loop, root)
      assert.equal(1, standin.run(loop, root, { "snapshot", "import", "--nmae=x" }, "").code)
      assert.equal(1, standin.run(loop, root, { "vm", "list" }, "").code)
      assert.equal(1, standin.run(loop, root, { "snapshot", "export", "-o", "-" }, "").code)
      for _, words in ipairs { { "--help" }, { "snapshot", "--help" }, { "snapshot", "import", "--help" } } do
        local bytes, result = standin.output(loop, root, words)
        assert.equal(0, result.code)
        assert.matches("Usage:", bytes)
      end
    end)
  end)

  it("list: names, or records as JSON", function()
    with_snapshot(function(loop, root)
      local bytes = standin.output(loop, root, { "snapshot", "list" })
      assert.matches("\n[%u%d]+  x\n$", bytes)
      local list = assert(require("epoch.json").decode((standin.output(loop, root,
        { "snapshot", "list", "-o", "json" }))))
      assert.equal("x", list[1].name)
      assert.equal(0, standin.run(loop, root, { "image", "import", "w" }, "bytes").code)
      assert.equal("NAME\nw\n", (standin.output(loop, root, { "image", "list" })))
    end)
  end)
end)
