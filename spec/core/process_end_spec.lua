local await = require "epoch.await"
local children = require "spec.support.children"
local core = require "epoch.core"
local work = require "spec.support.work"

local LAST_WORDS = ("\1"):rep(512)

-- A child that takes the end of its input for success must see it when it is meant, and
-- only then.
describe("ending a process", function()
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

  --- Commits to `path` when its input ends; `before` is a piece of shell that runs first.
  local function importer(before, options)
    local spec = {
      argv = { "/bin/sh", "-c", (before or "") .. ' exec "$@"', "sh",
               children.lua, "spec/support/commits_on_eof.lua", path },
      stdin = "pipe", stdout = "pipe", stderr = false,
    }
    for k, v in pairs(options or {}) do
      spec[k] = v
    end
    local p = assert(loop:spawn(spec))
    local sink, out = p:stdin(), p:stdout()
    assert.equal(10, sink:write("0123456789"))
    assert.equal("fed\n", children.read_some(loop, out))
    out:close()
    return p, sink
  end

  local function plenty()
    return core.bytes(("x"):rep(8 * 1024 * 1024))
  end

  local function committed()
    return work.read_file(path) ~= nil
  end

  it("cleanly is what finish does", function()
    local p, sink = importer()
    assert.is_true(sink:finish())
    assert.equal(0, assert(await(loop, p, "wait")).code)
    assert.is_true(committed())
    p:close()
  end)

  it("is not what closing the sink does", function()
    local p, sink = importer()
    sink:close()
    local timer = loop:timer(0.2)
    assert(await(loop, timer, "wait"))
    timer:close()
    assert.equal("again", select(3, p:wait()))
    assert.is_false(committed())
    p:close()
    assert.is_false(committed())
  end)

  it("is not what a flow does that fails", function()
    local p, sink = importer()
    local ok, _, code = work.flow(loop, { source = core.bytes("abc"), sink = sink, size = 5 })
    assert.is_nil(ok)
    assert.truthy(code ~= "again")
    assert.equal("again", select(3, p:wait()))
    p:close()
    assert.is_false(committed())
  end)

  it("by close kills it while its input is open", function()
    local p = importer("trap '' TERM;")
    local pid = p:pid()
    p:close()
    assert.is_nil(children.process(pid))
    assert.is_false(committed())
  end)

  it("by forgetting it kills it while its input is open", function()
    local pid = importer():pid()
    collectgarbage()
    collectgarbage()
    assert.is_nil(children.process(pid))
    assert.is_false(committed())
  end)

  it("outlives its loop no longer than its handle", function()
    local p, sink = importer()
    local pid = p:pid()
    loop:close()
    assert.equal("invalid", select(3, p:wait()))
    p:close()
    sink:close()
    assert.is_nil(children.process(pid))
    assert.is_false(committed())
    loop = assert(core.loop())
  end)

  it("by stop with input held open is SIGTERM, then SIGKILL", function()
    local p, sink = importer("trap '' TERM;")
    local began = core.now()
    local result = assert(await(loop, p, "stop", { hold = true, grace = 0.3 }))
    assert.equal("KILL", result.signal)
    assert.is_true(core.now() - began >= 0.29)
    assert.is_false(committed())
    assert.equal("process", select(3, sink:write("x")))
    p:close()
  end)

  it("by stop is SIGTERM at once", function()
    for _, how in ipairs { { hold = true }, { tail = LAST_WORDS }, {} } do
      local p = importer()
      local began = core.now()
      assert.equal("TERM", assert(await(loop, p, "stop", how)).signal)
      assert.is_true(core.now() - began < 2)
      assert.is_false(committed())
      p:close()
    end
  end)

  it("by stop writes last words and closes input for who only waits for that", function()
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", "trap '' TERM; echo; exec tail -c 5" }, stdin = "pipe",
      stdout = "pipe", stderr = false,
    })
    local out = p:stdout()
    assert.equal("\n", children.read_some(loop, out))
    assert.equal(3, p:stdin():write("abc"))
    assert.equal(0, assert(await(loop, p, "stop", { tail = "wxyz" })).code)
    assert.equal("cwxyz", work.read_all(loop, out))
    p:close()
  end)

  it("by stop kills who does not even read", function()
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", "trap '' TERM; echo; while :; do sleep 60; done" },
      stdin = "pipe", stdout = "pipe", stderr = false,
    })
    assert.equal("\n", children.read_some(loop, p:stdout()))
    local feed = assert(loop:flow { source = plenty(), sink = p:stdin() })
    local result = assert(await(loop, p, "stop", { tail = LAST_WORDS, grace = 0.3 }))
    assert.equal("KILL", result.signal)
    assert.equal("process", select(3, await(loop, feed, "result")))
    feed:close()
    p:close()
  end)

  it("by stop ends a flow that waits for room", function()
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", "kill -STOP $$; exec cat > " .. path }, stdin = "pipe",
      stderr = false,
    })
    local feed = assert(loop:flow { source = plenty(), sink = p:stdin() })
    assert.equal("KILL", assert(await(loop, p, "stop", { hold = true, grace = 0.2 })).signal)
    assert.equal("process", select(3, await(loop, feed, "result")))
    assert.is_false(committed())
    feed:close()
    p:close()
  end)

  it("by stop is nothing when it has ended, and may be asked again", function()
    local p = assert(loop:spawn { argv = { "/bin/sh", "-c", "exit 4" }, stdin = "pipe" })
    assert.equal(4, assert(await(loop, p, "wait")).code)
    for _ = 1, 2 do
      assert.equal(4, assert(await(loop, p, "stop", { tail = "x" })).code)
    end
    p:close()
    p = importer("trap '' TERM;")
    assert.equal("again", select(3, p:stop { hold = true, grace = 0.1 }))
    assert.equal("again", select(3, p:stop { hold = true, grace = 60 }))
    assert.equal("KILL", assert(await(loop, p, "wait")).signal)
    p:close()
  end)

  it("refuses what makes no sense", function()
    local p = importer()
    assert.has_error(function() p:stop { hold = true, tail = "x" } end)
    assert.has_error(function() p:stop { tail = 1 } end)
    assert.has_error(function() p:stop { grace = "long" } end)
    assert.has_error(function() p:stop { now = true } end)
    assert.equal("too_large", select(3, p:stop { tail = ("x"):rep(65537) }))
    assert.equal("again", select(3, p:wait()))
    p:close()
  end)

  it("reports how it died when it died while being fed", function()
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", "head -c 100 >/dev/null; echo disk full >&2; exit 5" },
      stdin = "pipe", stderr = false,
    })
    local ok, message, code =
      work.flow(loop, { source = plenty(), sink = p:stdin() })
    assert.is_nil(ok)
    assert.equal("process", code)
    assert.truthy(message:find("/bin/sh", 1, true))
    assert.same({ code = 5, stderr = "disk full\n" }, await(loop, p, "wait"))
    p:close()
  end)

  it("ends what it has left behind, after a grace", function()
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", "sleep 60 & echo started; exit 3" },
      stdout = "pipe", stderr = false, grace = 0.3,
    })
    local began = core.now()
    local out = p:stdout()
    assert.equal(3, assert(await(loop, p, "wait")).code)
    assert.is_true(core.now() - began < 0.3 + 2)
    assert.equal("started\n", work.read_all(loop, out)) -- its end comes with the sleep's
    local took = core.now() - began
    assert.is_true(took >= 0.25 and took < 10)
    p:close()
  end)

  it("by close ends what it has left behind at once", function()
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", "sleep 60 & echo $!" }, stdout = "pipe", grace = 60,
    })
    local left = tonumber(children.read_some(loop, p:stdout()))
    assert.equal(0, assert(await(loop, p, "wait")).code)
    assert.truthy(children.process(left))
    p:close()
    assert.is_nil(children.process(left))
  end)
end)
