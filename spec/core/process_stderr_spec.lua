local await = require "epoch.await"
local children = require "spec.support.children"
local core = require "epoch.core"
local work = require "spec.support.work"

describe("the stderr of a process", function()
  local loop

  before_each(function()
    loop = assert(core.loop { threads = 0 })
  end)

  after_each(function()
    loop:close()
    loop = nil
  end)

  local function sh(script, options)
    options.argv = { "/bin/sh", "-c", script }
    return assert(loop:spawn(options))
  end

  --- Runs a script of this Lua that spawns; its own stdout and stderr, and how it ended.
  local function host(script)
    local p = assert(loop:spawn {
      argv = { children.lua, "-e", 'require "spec.support.paths" core = require "epoch.core" '
               .. 'await = require "epoch.await" loop = core.loop { threads = 0 } ' .. script },
      stdout = "pipe", stderr = false,
    })
    local text = assert(work.read_all(loop, p:stdout()))
    local result = assert(await(loop, p, "wait"))
    p:close()
    return text, result.stderr, result
  end

  it("is passed on to 2", function()
    local _, err = host('p = loop:spawn { argv = { "/bin/sh", "-c", "echo on >&2" } } '
                        .. 'await(loop, p, "wait") p:close()')
    assert.equal("on\n", err)
  end)

  it("is passed on to another descriptor, by two at once", function()
    local out = host('a = loop:spawn { argv = { "/bin/sh", "-c", "echo a >&2" }, stderr = 1 } '
                     .. 'b = loop:spawn { argv = { "/bin/sh", "-c", "echo b >&2" }, stderr = 1 } '
                     .. 'await(loop, a, "wait") await(loop, b, "wait") a:close() b:close()')
    assert.truthy(out == "a\nb\n" or out == "b\na\n")
  end)

  it("is inherited, or goes nowhere", function()
    local _, err = host('p = loop:spawn { argv = { "/bin/sh", "-c", "echo in >&2" }, '
                        .. 'stderr = "inherit" } print(await(loop, p, "wait").stderr) p:close()')
    assert.equal("in\n", err)
    local p = sh("echo no >&2; readlink /proc/$$/fd/2; exit 1",
                 { stderr = "null", stdout = "pipe" })
    assert.equal("/dev/null\n", work.read_all(loop, p:stdout()))
    assert.same({ code = 1, stderr = "" }, await(loop, p, "wait"))
    p:close()
  end)

  it("needs a descriptor that is open", function()
    local p, message, code = loop:spawn { argv = { "/bin/true" }, stderr = 987 }
    assert.is_nil(p)
    assert.equal("io", code)
    assert.truthy(message:find("987", 1, true))
  end)

  it("is not passed on by a host that has none, and the child has 0, 1 and 2", function()
    local p = assert(loop:spawn {
      argv = { "/bin/sh", "-c", 'exec "$@" <&- 2>&-', "sh", children.lua, "-e",
               'require "spec.support.paths" core = require "epoch.core" '
               .. 'await = require "epoch.await" loop = core.loop { threads = 0 } '
               .. 'p = loop:spawn { argv = { "/bin/sh", "-c", "ls -m /proc/$$/fd; echo x >&2; read y" }, '
               .. 'stdin = "pipe", stdout = "inherit" } p:stdin():finish() '
               .. 'print(await(loop, p, "wait").stderr) p:close()' },
      stdin = "inherit", stdout = "pipe",
    })
    assert.equal("0, 1, 2\nx\n\n", work.read_all(loop, p:stdout()))
    assert.equal(0, assert(await(loop, p, "wait")).code)
    p:close()
  end)

  it("may be a flood before stdin is read", function()
    local p = sh("head -c 1048576 /dev/zero >&2; cat >/dev/null; echo end >&2",
                 { stdin = "pipe", stderr = false })
    assert(work.flow(loop, { source = core.bytes(("x"):rep(3000000)), sink = p:stdin() }))
    local result = assert(await(loop, p, "wait"))
    assert.equal(0, result.code)
    assert.equal(8192, #result.stderr)
    assert.equal("\0end\n", result.stderr:sub(-5))
    p:close()
  end)

  it("holds up the child but not the loop when nobody reads what is passed on", function()
    work.in_directory(function(dir)
      os.execute("mkfifo " .. dir .. "/fifo")
      local p = assert(loop:spawn {
        argv = { "/bin/sh", "-c", 'exec "$@" 5<>' .. dir .. "/fifo", "sh", children.lua, "-e", [[
          require "spec.support.paths"
          core, await = require "epoch.core", require "epoch.await"
          loop = core.loop { threads = 0 }
          p = loop:spawn {
            argv = { "/bin/sh", "-c", "head -c 1048576 /dev/zero >&2; echo end >&2" },
            stderr = 5, grace = 0.2,
          }
          timer = loop:timer(0.3)
          await(loop, timer, "wait")
          print(select(3, p:wait()))
          assert(p:kill("TERM"))
          result = await(loop, p, "wait")
          print(result.signal, #result.stderr)
          p:close()
        ]] },
        stdout = "pipe", stderr = false,
      })
      assert.equal("again\nTERM\t8192\n", work.read_all(loop, p:stdout()))
      assert.equal("", assert(await(loop, p, "wait")).stderr)
      p:close()
    end)
  end)
end)
