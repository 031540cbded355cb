--- What cocoon does with what it is given, row by row: the same for the real program and for
-- the stand-in. Each case is `{name, bytes, code=, committed=, directories=, says=}`.

local assert = require "luassert"
local busted = require "busted"
local core = require "epoch.core"
local await = require "epoch.await"
local children = require "spec.support.children"
local standin = require "spec.support.standin"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local M = {}

local CONFIG = '{"version":1,"config":{"name":"x","cpu":2,"queue_size":256}}\n'
local MAP = '[{"o":4096,"l":4096},{"o":20480,"l":100}]'

local config = tar.file("snapshot.json", CONFIG, { mode = "0000644" })
local disk = tar.file("cow.raw", work.noise(5000))
local records = tar.pax { { "COCOON.sparse.map", MAP }, { "COCOON.sparse.size", "40960" } }
local memory = tar.file("memory-ranges", work.noise(4196))
local state = tar.file("state.json", "{}")

--- A whole export: three files, one of them with holes.
M.whole = config .. disk .. records .. memory .. state .. tar.trailer

local function gzip(bytes)
  local packed
  work.in_directory(function(dir)
    work.write_file(dir .. "/a", bytes)
    os.execute(("gzip -c %s/a >%s/b"):format(dir, dir))
    packed = work.read_file(dir .. "/b")
  end)
  return packed
end

local function block(byte)
  return byte:rep(512)
end

local sentence = ("no header at all. "):rep(40):sub(1, 512)
local unpadded = config .. tar.header { name = "cow.raw", size = tar.octal(5000) } .. work.noise(5000)

local function good(name, bytes)
  return { name, bytes, code = 0, committed = 1, directories = 1, says = "snapshot imported: " }
end

local function bad(name, bytes, says)
  return { name, bytes, code = 1, committed = 0, directories = 0, says = says }
end

local function rows()
  local packed = gzip(M.whole)
  return {
    good("a whole export", M.whole),
    good("no end blocks", config .. disk .. records .. memory .. state),
    good("one end block", config .. disk .. block("\0")),
    good("cut at an entry's boundary", config .. disk),
    good("cut after an entry's data, unpadded", unpadded),
    good("cut inside padding", unpadded .. "\0\0\0"),
    good("cut right after an extended header", config .. disk .. records),
    good("only snapshot.json", config),
    good("the same entry twice", config .. disk .. disk .. tar.trailer),
    good("snapshot.json as the last entry", disk .. config .. tar.trailer),
    good("gzip of the whole", packed),
    bad("cut inside an extended header", config .. records:sub(1, 512 + 30), "tar next: unexpected EOF"),
    bad("cut inside a header", config .. disk:sub(1, 300), "unexpected EOF"),
    bad("cut inside data", (config .. disk):sub(1, -3000), "extract .*: unexpected EOF"),
    bad("a block of 0x01 at a boundary", config .. disk .. block("\1"), "invalid tar header"),
    bad("a block of text at a boundary", config .. disk .. sentence, "invalid tar header"),
    bad("such a block after an extended header", config .. records .. block("\1"), "invalid tar header"),
    bad("gzip, cut", packed:sub(1, -500), "unexpected EOF"),
    bad("nothing", "", "peek archive header: EOF"),
    bad("two zero blocks only", tar.trailer, "snapshot.json not found"),
    bad("no snapshot.json", disk .. tar.trailer, "snapshot.json not found"),
  }
end

local function count(t)
  local n = 0
  for _ in pairs(t) do
    n = n + 1
  end
  return n
end

-- Gives it these bytes and leaves stdin open; answers once it is at work on them.
local function feed(loop, program, root, words, bytes)
  local process = standin.start(loop, root, words, { program = program })
  local stdin = process:stdin()
  assert(await.flow(loop, { source = core.bytes(bytes), sink = stdin, more = true }))
  assert(children.eventually(function()
    return #standin.directories(root) + #standin.temporary(root) > 0
  end), "it has not begun")
  return process, stdin
end

local function pause(loop, seconds)
  local timer = loop:timer(seconds)
  assert(await(loop, timer, "wait"))
  timer:close()
end

local function with_root(use)
  work.in_directory(function(root)
    work.with_loop({ threads = 0 }, function(loop)
      use(loop, root)
    end)
  end)
end

local IMPORT = { "snapshot", "import", "--name=x" }
local IMAGE = { "image", "import", "--", "w" }

local function imports(program)
  for _, row in ipairs(rows()) do
    busted.it("imports: " .. row[1], function()
      with_root(function(loop, root)
        local result = standin.run(loop, root, IMPORT, row[2], { program = program })
        assert.equal(row.code, result.code, result.stderr)
        assert.matches(row.says, result.stderr)
        assert.equal(row.committed, count(standin.snapshots(root)))
        assert.equal(row.directories, #standin.directories(root))
      end)
    end)
  end

  busted.it("refuses a name in use, and leaves nothing", function()
    with_root(function(loop, root)
      assert.equal(0, standin.run(loop, root, IMPORT, M.whole, { program = program }).code)
      local result = standin.run(loop, root, IMPORT, M.whole, { program = program })
      assert.equal(1, result.code)
      assert.matches('snapshot name "x" already in use by ', result.stderr)
      assert.equal(1, #standin.directories(root))
    end)
  end)

  busted.it("keeps files expanded, with their modes, and the name and description it was told", function()
    with_root(function(loop, root)
      local words = { "snapshot", "import", "--name=x", '--description=a "b" \\ c' }
      assert.equal(0, standin.run(loop, root, words, M.whole, { program = program }).code)
      local record = standin.snapshots(root).x
      assert.equal('a "b" \\ c', record.description)
      assert.equal(256, record.queue_size)
      local files = standin.files(root, "x")
      assert.equal(3, count(files))
      assert.equal("640", files["cow.raw"].mode)
      work.assert_same_bytes(work.noise(5000), files["cow.raw"].bytes)
      local noise = work.noise(4196)
      work.assert_same_bytes(("\0"):rep(4096) .. noise:sub(1, 4096) .. ("\0"):rep(12288) .. noise:sub(4097)
        .. ("\0"):rep(40960 - 20580), files["memory-ranges"].bytes)
    end)
  end)
end

local function signals(program)
  for _, signal in ipairs { "TERM", "INT" } do
    busted.it("goes on waiting for stdin after SIG" .. signal .. ", and fails at a good end", function()
      with_root(function(loop, root)
        local process, stdin = feed(loop, program, root, IMPORT, config .. disk)
        assert(process:kill(signal))
        pause(loop, 0.4)
        assert.is_not_nil(children.process(process:pid()))
        assert(await(loop, stdin, "finish"))
        local result = assert(await(loop, process, "wait"))
        process:close()
        assert.equal(1, result.code)
        assert.matches("context canceled", result.stderr)
        assert.same({}, standin.snapshots(root))
        assert.same({}, standin.directories(root))
      end)
    end)
  end

  busted.it("fails with unexpected EOF when stdin ends inside data after SIGTERM", function()
    with_root(function(loop, root)
      local process, stdin = feed(loop, program, root, IMPORT, (config .. disk):sub(1, -3000))
      assert(process:kill("TERM"))
      assert(await(loop, stdin, "finish"))
      local result = assert(await(loop, process, "wait"))
      process:close()
      assert.equal(1, result.code)
      assert.matches("unexpected EOF", result.stderr)
      assert.same({}, standin.snapshots(root))
      assert.same({}, standin.directories(root))
    end)
  end)

  busted.it("leaves an orphan when it is killed", function()
    with_root(function(loop, root)
      local process, stdin = feed(loop, program, root, IMPORT, config .. disk)
      assert(process:kill("KILL"))
      local result = assert(await(loop, process, "wait"))
      stdin:close()
      process:close()
      assert.equal(9, result.number)
      assert.same({}, standin.snapshots(root))
      assert.equal(1, #standin.directories(root))
    end)
  end)
end

local function images(program)
  local image = "QFI\251" .. ("\0"):rep(3) .. "\3" .. work.noise(300000)
  busted.it("exports nothing and fails for a name it does not have", function()
    with_root(function(loop, root)
      local bytes, result = standin.output(loop, root, { "snapshot", "export", "-o", "-", "--", "no" },
        { program = program })
      assert.equal("", bytes)
      assert.equal(1, result.code)
      assert.matches("snapshot not found", result.stderr)
    end)
  end)

  busted.it("image import: nothing at all is refused", function()
    with_root(function(loop, root)
      local result = standin.run(loop, root, IMAGE, "", { program = program })
      assert.equal(1, result.code)
      assert.matches("peek: EOF", result.stderr)
    end)
  end)

  busted.it("image import: fails at any end after SIGTERM, and leaves an img when it is killed", function()
    with_root(function(loop, root)
      local process, stdin = feed(loop, program, root, IMAGE, image)
      assert(process:kill("TERM"))
      pause(loop, 0.4)
      assert.is_not_nil(children.process(process:pid()))
      assert(await(loop, stdin, "finish"))
      local result = assert(await(loop, process, "wait"))
      process:close()
      assert.equal(1, result.code)
      assert.matches("context canceled", result.stderr)
      assert.same({}, standin.images(root))
    end)
    with_root(function(loop, root)
      local process, stdin = feed(loop, program, root, IMAGE, image)
      assert(process:kill("KILL"))
      assert(await(loop, process, "wait"))
      stdin:close()
      process:close()
      assert.same({}, standin.images(root))
      assert.matches("^import%-.*%.img$", standin.temporary(root)[1])
    end)
  end)
end

-- How an import is ended so that it commits nothing, at every place where it can stop.
local function endings(program)
  busted.it("commits nothing and leaves nothing when it is ended as it has to be, anywhere", function()
    local poison = block("\1")
    local places = {
      { config, poison },
      { config .. disk:sub(1, 512), "" },
      { config .. disk:sub(1, 3000), "" },
      { config .. disk:sub(1, 512 + 5000), ("\0"):rep(120) .. poison },
      { config .. disk, poison },
      { config .. disk .. records, "" },
      { config .. disk .. records .. memory:sub(1, 512), "" },
      { config .. disk .. records .. memory, poison },
      { config .. disk .. records .. memory .. state, poison },
    }
    for i, place in ipairs(places) do
      with_root(function(loop, root)
        local process, stdin = feed(loop, program, root, IMPORT, place[1])
        local result = assert(await(loop, process, "stop", { tail = place[2], grace = 5 }))
        stdin:close()
        process:close()
        assert.equal(1, result.code, ("place %d: %s"):format(i, result.stderr))
        assert.same({}, standin.snapshots(root))
        assert.same({}, standin.directories(root))
      end)
    end
  end)
end

--- Declares the tests for a program.
---@param program string
---@param image_cases table<string, string> what it takes as images, by what they are
function M.describe(program, image_cases)
  imports(program)
  signals(program)
  endings(program)
  images(program)
  for what, bytes in pairs(image_cases) do
    busted.it("image import commits any end: " .. what, function()
      with_root(function(loop, root)
        local result = standin.run(loop, root, IMAGE, bytes, { program = program })
        assert.equal(0, result.code, result.stderr)
        assert.matches("import complete: w %-> sha256:", result.stderr)
        assert.equal("w", standin.images(root).w.ref)
      end)
    end)
  end

  busted.it("imports what it exports, file by file", function()
    with_root(function(loop, root)
      assert.equal(0, standin.run(loop, root, IMPORT, M.whole, { program = program }).code)
      local bytes, result = standin.output(loop, root, { "snapshot", "export", "-o", "-", "--", "x" },
        { program = program })
      assert.equal(0, result.code, result.stderr)
      assert.equal(0, standin.run(loop, root, { "snapshot", "import", "--name=y" }, bytes,
        { program = program }).code)
      standin.assert_same_files(standin.files(root, "x"), standin.files(root, "y"))
      local events = tar.whole(bytes)
      assert.equal("end", events[#events])
      assert.matches("^snapshot%.json mode=644 ", events[1])
      assert.matches("^cow%.raw mode=640 size=5000 ", events[2])
      assert.matches("^memory%-ranges mode=640 ", events[3])
      assert.matches("sparse 40960 %[{", events[3])
      assert.matches("^state%.json ", events[4])
    end)
  end)
end

M.with_root = with_root

return M
