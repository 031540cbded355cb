local await = require "epoch.await"
local children = require "spec.support.children"
local core = require "epoch.core"
local work = require "spec.support.work"

-- What the host does, and what becomes of it, must not matter.
describe("a process and its host", function()
  local loop, dir, path

  before_each(function()
    loop = assert(core.loop { threads = 0 })
    dir = os.tmpname()
    os.remove(dir)
    assert(core.mkdir(dir, tonumber("700", 8)))
    path = dir .. "/committed"
  end)

  after_each(function()
    loop:close()
    loop = nil
    os.execute("rm -rf " .. dir)
  end)

  --- Runs this Lua as a host that `before`, a piece of shell, has prepared.
  local function host(before, script)
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", before .. ' exec "$@"', "sh", children.lua, "-e", [[
        require "spec.support.paths"
        core, await = require "epoch.core", require "epoch.await"
        loop = core.loop { threads = 0 }
        io.stdout:setvbuf("no")
      ]] .. script },
      stdout = "pipe", stderr = false,
    })
    local out = assert(work.read_all(loop, p:stdout()))
    local result = assert(await(loop, p, "wait"))
    p:close()
    return out, result
  end

  local EXITS = [[
    p = loop:spawn { argv = { "/bin/sh", "-c", "exit 7" } }
    print(await(loop, p, "wait").code)
    p:close()
    p = loop:spawn { argv = { "/bin/cat", "/proc/self/status" }, stdout = "inherit" }
    await(loop, p, "wait")
    p:close()
  ]]

  it("ignores that SIGCHLD is ignored", function()
    local out, result = host("trap '' CHLD;", EXITS)
    assert.equal("7\n", out:sub(1, 2))
    assert.equal("0000000000000000", out:match("SigIgn:%s*(%x+)"))
    assert.equal(0, result.code, result.stderr)
  end)

  local BREAKS = [[
    p = loop:spawn { argv = { "/bin/sh", "-c", "exec <&-; exit 5" }, stdin = "pipe" }
    flow = loop:flow { source = core.bytes(("x"):rep(8000000)), sink = p:stdin() }
    print((select(3, await(loop, flow, "result"))))
    print(await(loop, p, "wait").code)
    p:close()
  ]]

  it("survives a broken pipe, whatever SIGPIPE does", function()
    for _, before in ipairs { "", "trap '' PIPE;" } do
      local out, result = host(before, BREAKS)
      assert.equal("process\n5\n", out)
      assert.equal(0, result.code, result.stderr)
    end
  end)

  --- A host in the middle of feeding an importer: its process, the pids of that importer and
  -- of its keeper.
  local function feeding(before)
    local p = assert(loop:spawn {
      argv = { children.lua, "spec/support/feeding_host.lua", children.lua,
               "spec/support/commits_on_eof.lua", path, "0.3", before },
      stdout = "pipe", grace = 30,
    })
    local out, text = p:stdout(), ""
    repeat
      text = text .. children.read_some(loop, out)
    until text:find("fed", 1, true) and text:find("%d+\n%d+\n")
    out:close()
    return p, tonumber(text:match("(%d+)\n%d+\n")), tonumber(text:match("%d+\n(%d+)\n"))
  end

  it("is killed when the host is killed, and sees no end of input", function()
    for _, before in ipairs { "", "trap '' TERM;", "trap '' TERM HUP INT; (sleep 60 &);" } do
      local p, child, keeper = feeding(before)
      assert.truthy(children.process(child) and children.process(keeper))
      assert(p:kill("KILL"))
      assert.equal("KILL", assert(await(loop, p, "wait")).signal)
      assert.is_true(children.gone(child))
      assert.is_true(children.gone(keeper))
      assert.is_nil(work.read_file(path))
      p:close()
    end
  end)

  it("is killed when its keeper is, and sees no end of input", function()
    local p = assert(loop:spawn {
      argv = { children.lua, "spec/support/commits_on_eof.lua", path },
      stdin = "pipe", stdout = "pipe",
    })
    local sink, out = p:stdin(), p:stdout()
    assert(sink:write("x"))
    children.read_some(loop, out)
    out:close()
    local pid = p:pid()
    os.execute("kill -KILL " .. children.process(pid).parent)
    local result, message, code = await(loop, p, "wait")
    assert.is_nil(result)
    assert.equal("process", code)
    assert.truthy(message:find(children.lua, 1, true))
    assert.is_true(children.gone(pid))
    assert.equal("process", select(3, sink:write("x")))
    p:close()
    assert.is_nil(work.read_file(path))
  end)

  it("has a keeper that other signals do not end", function()
    local p = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe", stdout = "null" })
    local keeper = children.process(p:pid()).parent
    for _, name in ipairs { "INT", "TERM", "HUP", "QUIT", "PIPE", "USR1", "ALRM", "CHLD" } do
      os.execute(("kill -%s %d"):format(name, keeper))
    end
    assert(p:stdin():finish())
    assert.equal(0, assert(await(loop, p, "wait")).code)
    p:close()
  end)

  it("is closed though its keeper has been stopped", function()
    local p = assert(loop:spawn {
      argv = { children.lua, "spec/support/commits_on_eof.lua", path },
      stdin = "pipe", stdout = "null",
    })
    local pid = p:pid()
    local keeper = children.process(pid).parent
    os.execute("kill -STOP " .. keeper)
    local began = core.now()
    p:close()
    assert.is_true(core.now() - began < 10)
    assert.is_true(children.gone(keeper) and children.gone(pid))
    assert.is_nil(work.read_file(path))
  end)

  it("leaves a keeper that holds nothing but what it needs #native", function()
    local p = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe", stdout = "pipe" })
    local keeper = children.process(p:pid()).parent
    -- SIGCHLD, the copy of stdin, the line to the host, the host
    assert.equal(4, #children.descriptors(keeper):gsub("%d+", "x"):gsub(" ", ""))
    p:close()
  end)
end)
