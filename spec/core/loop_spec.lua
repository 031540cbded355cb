local core = require "epoch.core"
local await = require "epoch.await"
local interpreter = require "spec.support.interpreter"
local work = require "spec.support.work"

describe("a loop", function()
  it("has what other schedulers wait by", function()
    work.with_loop(nil, function(loop)
      assert.is_number(loop:pollfd())
      assert.equal("r", loop:events())
      assert.is_nil(loop:timeout())
      local timer = loop:timer(10)
      assert.is_true(loop:timeout() > 9 and loop:timeout() <= 10)
      timer:close()
      assert.is_nil(loop:timeout())
    end)
  end)

  it("keeps time", function()
    work.with_loop(nil, function(loop)
      local began = core.now()
      local late, soon = loop:timer(0.06), loop:timer(0.02)
      assert.equal("again", select(3, soon:wait()))
      assert.is_true(await(loop, soon, "wait"))
      assert.equal("again", select(3, late:wait()))
      assert.is_true(await(loop, late, "wait"))
      local took = core.now() - began
      assert.is_true(took >= 0.055 and took < 5)
    end)
  end)

  it("waits no longer than it is told to", function()
    work.with_loop(nil, function(loop)
      local began = core.now()
      assert.is_true(loop:poll(0.02))
      assert.is_true(loop:step())
      assert.is_true(core.now() - began < 5)
    end)
  end)

  it("sleeps while there is nothing to do", function()
    work.with_loop(nil, function(loop)
      local before = os.clock()
      await(loop, loop:timer(0.2), "wait")
      assert.is_true(os.clock() - before < 0.1)
    end)
  end)

  it("is cancelled once, and works on", function()
    work.with_loop(nil, function(loop)
      assert.is_nil(loop:cancelled())
      loop:cancel("the user")
      local ok, message, code = await(loop, loop:timer(10), "wait")
      assert.is_nil(ok)
      assert.equal("cancelled by the user", message)
      assert.equal("cancelled", code)
      assert.equal("the user", loop:cancelled())
      assert.is_true(await(loop, loop:timer(0.01), "wait"))
    end)
  end)

  it("is cancelled by whoever writes to its descriptor", function()
    work.with_loop(nil, function(loop)
      local fd = assert(loop:cancel_fd())
      assert.equal(fd, loop:cancel_fd())
      local sink = core.fd_sink(fd)
      assert.equal(8, sink:write(("\1"):rep(8)))
      assert.equal("cancelled", select(3, await(loop, loop:timer(10), "wait")))
    end)
  end)

  it("is cancelled by a signal it was told of", function()
    work.with_loop(nil, function(loop)
      assert.is_true(loop:signals("USR1", "USR2"))
      os.execute("kill -USR2 $PPID")
      assert.equal("cancelled", select(3, await(loop, loop:timer(10), "wait")))
      assert.equal("SIGUSR2", loop:cancelled())
      assert.has_error(function() loop:signals("KILL") end)
      assert.has_error(function() loop:signals() end)
    end)
  end)

  -- What a script of its own says, with a loop that was just told "USR2", and its exit code.
  local function signalled(script)
    local said
    work.in_directory(function(dir)
      work.write_file(dir .. "/child.lua", interpreter.paths() .. [[
        local core, await = require "epoch.core", require "epoch.await"
        io.stdout:setvbuf("no")
        local function signal()
          os.execute("kill -USR2 $PPID")
        end
        local loop = core.loop()
        loop:signals("USR2")
        signal()
        print(select(3, await(loop, loop:timer(10), "wait")))
      ]] .. script)
      said = work.output(("env %s sh -c '%s %s/child.lua; echo $?' 2>&1 | tr '\\n' ' '"):format(
        interpreter.preloaded(), interpreter.path(), dir))
    end)
    return said
  end

  it("takes a signal that comes twice at once for one", function()
    assert.equal("cancelled true 0 ", signalled [[
      signal()
      print((await(loop, loop:timer(0.1), "wait")))
    ]])
    assert.equal("cancelled closed 0 ", signalled [[
      signal()
      loop:close()
      print "closed"
    ]])
  end)

  it("lets a signal that comes later do what it does", function()
    assert.matches("^cancelled later .*140 $", signalled [[
      await(loop, loop:timer(0.6), "wait")
      print "later"
      signal()
      await(loop, loop:timer(10), "wait")
      print "not reached"
    ]])
  end)

  it("is of no use once it is closed", function()
    local loop = core.loop()
    local timer = loop:timer(0)
    loop:close()
    loop:close()
    assert.error_matches(function() loop:step() end, "loop is closed")
    assert.equal("again", select(3, timer:wait()))
    timer:close()
  end)

  it("may have threads, up to a number", function()
    assert.has_error(function() core.loop { threads = -1 } end)
    assert.has_error(function() core.loop { threads = 1025 } end)
    assert.has_error(function() core.loop { treads = 1 } end)
    core.loop({ threads = 1024 }):close()
  end)
end)

describe("await", function()
  it("can wait as its caller likes", function()
    work.with_loop(nil, function(loop)
      local waits = 0
      local mine = await.by(function(l)
        waits = waits + 1
        return l:poll()
      end)
      assert.is_true(mine(loop, loop:timer(0.01), "wait"))
      assert.is_true(waits > 0)
    end)
  end)

  it("lets a scheduler run several jobs side by side", function()
    local yielding = await.by(await.yield)
    local order, threads = {}, {}
    for i, seconds in ipairs { 0.06, 0.03, 0.01 } do
      threads[i] = coroutine.create(function()
        work.with_loop(nil, function(loop)
          assert(yielding(loop, loop:timer(seconds), "wait"))
          order[#order + 1] = i
        end)
      end)
    end
    local left = 3
    for _ = 1, 100000 do
      for i = 1, 3 do
        if coroutine.status(threads[i]) ~= "dead" then
          assert(coroutine.resume(threads[i]))
          if coroutine.status(threads[i]) == "dead" then
            left = left - 1
          end
        end
      end
      if left == 0 then break end
    end
    assert.same({ 3, 2, 1 }, order)
  end)
end)
