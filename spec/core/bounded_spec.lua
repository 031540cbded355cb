local core = require "epoch.core"
local work = require "spec.support.work"

-- LuaJIT counts nothing in what it has compiled.
local function counted(f)
  if jit then
    jit.off(f, true)
  end
  return f
end

describe("a bounded call", function()
  local function raised(...)
    local ok, what = core.bounded(...)
    assert.is_false(ok)
    return what
  end

  it("answers as pcall does", function()
    assert.same({ true, 1, nil, 3 }, { core.bounded({}, function(...)
      return ...
    end, 1, nil, 3) })
    local object = {}
    assert.equal(object, raised({}, function()
      error(object)
    end))
    assert.same({ true }, { core.bounded({}, function() end) })
  end)

  it("ends after so many steps, after so long, with so much more memory", function()
    local endless = counted(function()
      while true do end
    end)
    assert.matches("bounded_spec.lua:%d+: too many steps$", raised({ steps = 1000 }, endless))
    local before = core.now()
    assert.matches("too much time$", raised({ steps = 2 ^ 50, seconds = 0.05 }, endless))
    assert.is_true(core.now() - before < 5)
    local grown = 0
    assert.matches("not enough memory$", raised({ bytes = 1000000 }, counted(function()
      local t = {}
      while true do
        t[#t + 1] = ("x"):rep(1000) .. #t
        grown = #t
      end
    end)))
    assert.is_true(grown > 200 and grown < 1100)
  end)

  it("takes the bounds off again, and counts anew in the next", function()
    local work_hard = counted(function()
      local t = {}
      for i = 1, 100000 do
        t[i] = {}
      end
      return #t
    end)
    assert.is_false((core.bounded({ steps = 1000 }, work_hard)))
    assert.is_false((core.bounded({ bytes = 10000 }, work_hard)))
    assert.equal(100000, work_hard())
    assert.same({ true, 100000 }, { core.bounded({ steps = 2000000 }, work_hard) })
    local hook = { debug.gethook() }
    core.bounded({}, work_hard)
    assert.same(hook, { debug.gethook() })
  end)

  it("holds for a call inside of a call, the outer bounds too", function()
    local endless = counted(function()
      while true do end
    end)
    local ok, inner, what = core.bounded({ steps = 1000000 }, function()
      return core.bounded({ steps = 1000 }, endless)
    end)
    assert.same({ true, false }, { ok, inner })
    assert.matches("too many steps", what)
    ok, inner, what = core.bounded({ bytes = 1000000 }, function()
      return core.bounded({ bytes = 2 ^ 40 }, function()
        return ("x"):rep(10000000)
      end)
    end)
    assert.same({ true, false }, { ok, inner })
    assert.matches("not enough memory", what)
  end)

  it("raises for what is no call", function()
    assert.has_error(function()
      core.bounded({ step = 1 }, print)
    end)
    assert.has_error(function()
      core.bounded({}, "print")
    end)
    assert.has_error(function()
      core.bounded(nil, print)
    end)
  end)
end)

describe("a trusted file", function()
  it("is one that nobody else may write, of at most so many bytes", function()
    work.in_directory(function(dir)
      local path = dir .. "/file"
      work.write_file(path, "12345")
      os.execute("chmod 600 " .. path)
      assert.equal("12345", core.read_trusted(path, 5))
      assert.equal("too_large", select(3, core.read_trusted(path, 4)))
      for mode, code in pairs { ["620"] = "denied", ["602"] = "denied", ["644"] = "12345", ["400"] = "12345" } do
        os.execute(("chmod %s %s"):format(mode, path))
        local bytes, _, refused = core.read_trusted(path, 5)
        assert.equal(code, bytes or refused, mode)
      end
      work.write_file(dir .. "/empty", "")
      os.execute("chmod 600 " .. dir .. "/empty; mkfifo -m 600 " .. dir .. "/fifo")
      assert.equal("", core.read_trusted(dir .. "/empty", 5))
      assert.equal("invalid", select(3, core.read_trusted(dir .. "/fifo", 5)))
      assert.equal("invalid", select(3, core.read_trusted(dir, 5)))
      assert.equal("not_found", select(3, core.read_trusted(dir .. "/none", 5)))
    end)
  end)

  it("belongs to this user or to root", function()
    if work.output("id -u") ~= "0" then
      return pending("only root can give files away")
    end
    work.in_directory(function(dir)
      work.write_file(dir .. "/file", "x")
      os.execute("chmod 600 " .. dir .. "/file; chown 12345 " .. dir .. "/file")
      local bytes, message, code = core.read_trusted(dir .. "/file", 5)
      assert.is_nil(bytes)
      assert.equal("denied", code)
      assert.matches("belongs to another user", message)
    end)
  end)

  it("raises for a maximum that is none", function()
    for _, max in ipairs { 0, -1, 2 ^ 21, "x" } do
      assert.has_error(function()
        core.read_trusted("/etc/passwd", max)
      end)
    end
  end)
end)
