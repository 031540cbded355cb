local await = require "epoch.await"
local children = require "spec.support.children"
local core = require "epoch.core"
local work = require "spec.support.work"

local function sh(script, options)
  local spec = { argv = { "/bin/sh", "-c", script }, stderr = false }
  for k, v in pairs(options or {}) do
    spec[k] = v
  end
  return spec
end

--- Spawns, waits, closes.
local function run(loop, spec)
  local p = assert(loop:spawn(spec))
  local result, message, code = await(loop, p, "wait")
  p:close()
  return result, message, code
end

local function output(loop, spec)
  spec.stdout = "pipe"
  local p = assert(loop:spawn(spec))
  local text = assert(work.read_all(loop, p:stdout()))
  local result = assert(await(loop, p, "wait"))
  p:close()
  return text, result
end

describe("a process", function()
  local loop

  before_each(function()
    loop = assert(core.loop { threads = 0 })
  end)

  after_each(function()
    loop:close()
    loop = nil
  end)

  it("tells its exit code", function()
    assert.same({ code = 0, stderr = "" }, run(loop, sh("exit 0")))
    assert.same({ code = 7, stderr = "" }, run(loop, sh("exit 7")))
    assert.same({ code = 255, stderr = "why\n" }, run(loop, sh("echo why >&2; exit 255")))
  end)

  it("tells the signal that ended it", function()
    assert.same({ signal = "TERM", number = 15, stderr = "" }, run(loop, sh("kill -TERM $$")))
    assert.same({ signal = "KILL", number = 9, stderr = "" }, run(loop, sh("kill -KILL $$")))
  end)

  it("is not ready while it runs, and tells the result as often as asked", function()
    local p = assert(loop:spawn(sh("read x", { stdin = "pipe" })))
    local result, _, code = p:wait()
    assert.is_nil(result)
    assert.equal("again", code)
    assert(p:stdin():finish())
    assert.equal(1, assert(await(loop, p, "wait")).code)
    assert.equal(1, assert(p:wait()).code)
    p:close()
  end)

  it("is given arguments as they are", function()
    local text = output(loop, {
      argv = { "/bin/sh", "-c", 'printf "%s|" "$@"', "sh", "$(id)", "a b", "", "--help", "é" },
    })
    assert.equal("$(id)|a b||--help|é|", text)
  end)

  it("is given an environment, or this one's", function()
    assert.equal("A=1\nB=x=y\n", (output(loop, {
      argv = { "/usr/bin/env" }, env = { "A=1", B = "x=y" },
    }):gsub("^(B=x=y\n)(.*)", "%2%1")))
    assert.equal("", output(loop, { argv = { "/usr/bin/env" }, env = {} }))
    local inherited = output(loop, { argv = { "/usr/bin/env" } })
    assert.truthy(inherited:find("PATH=" .. os.getenv("PATH"), 1, true))
  end)

  it("is started in a directory", function()
    assert.equal("/usr\n", output(loop, { argv = { "/bin/pwd" }, cwd = "/usr" }))
  end)

  it("has no descriptor but 0, 1 and 2", function()
    local held = assert(io.open("/dev/zero"))
    local other = assert(loop:spawn(sh("read x", { stdin = "pipe", stdout = "pipe" })))
    for _, stdin in ipairs { "null", "pipe", "inherit" } do
      local p = assert(loop:spawn { argv = { "/bin/sleep", "10" }, stdin = stdin })
      local seen
      assert(children.eventually(function() -- its loader opens libraries for a moment
        seen = children.descriptors(p:pid())
        return seen == "0 1 2"
      end), seen)
      p:close()
    end
    held:close()
    other:close()
  end)

  it("has no signal blocked or ignored", function()
    local text = output(loop, { argv = { "/bin/cat", "/proc/self/status" } })
    assert.equal("0000000000000000", text:match("SigBlk:%s*(%x+)"))
    assert.equal("0000000000000000", text:match("SigIgn:%s*(%x+)"))
  end)

  it("leads a process group of its own", function()
    local p = assert(loop:spawn(sh("read x", { stdin = "pipe" })))
    local seen = children.process(p:pid())
    local keeper = children.process(seen.parent)
    assert.equal(p:pid(), seen.group)
    assert.equal("epoch-keeper", keeper.name)
    assert.equal(keeper.pid, keeper.group)
    p:close()
  end)

  it("that cannot be started is an error that names it", function()
    local cases = {
      { { argv = { "/nowhere/cocoon" } }, "not_found", "/nowhere/cocoon" },
      { { argv = { "/etc/passwd" } }, "denied", "/etc/passwd" },
      { { argv = { "/etc" } }, "denied", "/etc" },
      { { argv = { "/bin/true" }, cwd = "/nowhere" }, "not_found", "/nowhere" },
    }
    for _, case in ipairs(cases) do
      local p, message, code = loop:spawn(case[1])
      assert.is_nil(p)
      assert.equal(case[2], code)
      assert.truthy(message:find(case[3], 1, true))
    end
  end)

  it("whose script has no interpreter says so #native", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/script", "#!/nowhere/sh\n")
      os.execute("chmod +x " .. dir .. "/script")
      local p, message, code = loop:spawn { argv = { dir .. "/script" } }
      assert.is_nil(p)
      assert.equal("not_found", code)
      assert.truthy(message:find("interpreter", 1, true))
    end)
  end)

  it("leaves nothing behind when it cannot be started, 200 times", function()
    for _ = 1, 200 do
      assert.is_nil((loop:spawn { argv = { "/nowhere" }, stdin = "pipe", stdout = "pipe" }))
    end
  end)

  it("passes bytes through", function()
    local p = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe", stdout = "pipe" })
    local bytes = work.noise(3 * 1024 * 1024 + 7)
    local feed = assert(loop:flow { source = core.bytes(bytes), sink = p:stdin() })
    local take = assert(loop:flow { source = p:stdout(), hash = true })
    assert.equal(#bytes, assert(await(loop, feed, "result")).size)
    assert.equal(core.digest(bytes), assert(await(loop, take, "result")).digest)
    assert.equal(0, assert(await(loop, p, "wait")).code)
    feed:close()
    take:close()
    p:close()
  end)

  it("gets its end of input while another one runs", function()
    local first = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe", stdout = "pipe" })
    local second = assert(loop:spawn { argv = { "/bin/cat" }, stdin = "pipe", stdout = "pipe" })
    for _, p in ipairs { first, second } do
      local sink = p:stdin()
      assert(sink:write("x"))
      assert(sink:finish())
      assert.equal("x", work.read_all(loop, p:stdout()))
      assert.equal(0, assert(await(loop, p, "wait")).code)
    end
    first:close()
    second:close()
  end)

  it("hands out each end of a pipe once", function()
    local p = assert(loop:spawn(sh("exit 0", { stdin = "pipe" })))
    assert(p:stdin())
    assert.has_error(function() p:stdin() end)
    assert.has_error(function() p:stdout() end)
    p:close()
    assert.has_error(function() p:wait() end)
  end)

  it("refuses what makes no sense", function()
    local function refused(spec)
      assert.has_error(function() loop:spawn(spec) end)
    end
    refused {}
    refused { argv = {} }
    refused { argv = { "cat" } }
    refused { argv = { "./cat" } }
    refused { argv = { "/bin/cat", 1 } }
    refused { argv = { "/bin/cat", "a\0b" } }
    refused { argv = { "/bin/cat" }, env = { "novalue" } }
    refused { argv = { "/bin/cat" }, env = { "=x" } }
    refused { argv = { "/bin/cat" }, env = { A = "b\0c" } }
    refused { argv = { "/bin/cat" }, env = { ["A=B"] = "c" } }
    refused { argv = { "/bin/cat" }, env = "A=1" }
    refused { argv = { "/bin/cat" }, stdin = "file" }
    refused { argv = { "/bin/cat" }, stderr = "pipe" }
    refused { argv = { "/bin/cat" }, stderr = true }
    refused { argv = { "/bin/cat" }, grace = -1 }
    refused { argv = { "/bin/cat" }, cmd = "x" }
  end)

  it("gets signals, with all that it has started", function()
    local p = assert(loop:spawn(sh("trap 'exit 3' USR1; sleep 60 & echo $!; wait; exit 4",
                                   { stdout = "pipe", grace = 60 })))
    local started = tonumber(children.read_some(loop, p:stdout()))
    assert.is_true(children.eventually(function() -- before that it still has the shell's trap
      return children.process(started).name == "sleep"
    end))
    assert(p:kill("USR1"))
    assert.equal(3, assert(await(loop, p, "wait")).code)
    assert.is_true(children.gone(started))
    assert.equal("not_found", select(3, p:kill("USR1")))
    assert.has_error(function() p:kill("NONSENSE") end)
    p:close()
  end)
end)

describe("core.which", function()
  it("finds programs by absolute entries of a path only", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/prog", "#!/bin/sh\n")
      assert.equal("denied", select(3, core.which("prog", dir)))
      os.execute("chmod +x " .. dir .. "/prog && mkdir " .. dir .. "/sub")
      assert.equal(dir .. "/prog", core.which("prog", "/nowhere:" .. dir))
      assert.equal(dir .. "/prog", core.which(dir .. "/prog"))
      assert.equal("denied", select(3, core.which("sub", dir)))
      for _, path in ipairs { "", ".", ":", ".:", "bin:", "/nowhere" } do
        assert.equal("not_found", select(3, core.which("sh", path)))
      end
      assert.equal("invalid", select(3, core.which("./prog", dir)))
      assert.equal("invalid", select(3, core.which("sub/prog", dir)))
      assert.equal("not_found", select(3, core.which(dir .. "/none")))
    end)
    assert.truthy(core.which("sh"):find("^/.*/sh$"))
    assert.has_error(function() core.which("a\0b") end)
    assert.has_error(function() core.which("") end)
  end)
end)

describe("core.environ", function()
  it("is this process's environment", function()
    local found
    for _, entry in ipairs(core.environ()) do
      found = found or entry == "PATH=" .. os.getenv("PATH")
    end
    assert.is_true(found)
  end)
end)
