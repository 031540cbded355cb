local artifacts = require "spec.support.artifacts"
local children = require "spec.support.children"
local cocoon = require "epoch.cocoon"
local core = require "epoch.core"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local function with(more, use)
  work.in_directory(function(dir)
    local task = assert(tasks.new { threads = 0 })
    local binary = artifacts.program(dir, more)
    local ok, err = pcall(use, assert(cocoon.exec_cocoon { binary = binary, stderr = "null" }), task,
                          dir)
    task:close()
    if not ok then
      error(err, 0)
    end
  end)
end

--- Waits until the stand-in reads its input, deaf to signals.
local function reads(dir)
  assert(children.eventually(function()
    return work.read_file(dir .. "/part")
  end))
end

local function argv(dir)
  return work.read_file(dir .. "/argv")
end

describe("the cocoon program", function()
  it("is the one that the environment names, trimmed, else the one in PATH", function()
    work.in_directory(function(dir)
      local path = artifacts.program(dir)
      assert.equal(path, cocoon.resolve_cocoon_binary("  " .. path .. "\n"))
      assert.equal("/bin/sh", (cocoon.resolve_cocoon_binary("sh"):gsub("^/usr", "")))
    end)
    assert.equal("EPOCH_COCOON_BINARY", cocoon.cocoon_binary_env)
  end)

  it("that is not there is an error that says what was looked for", function()
    for _, name in ipairs { "/nowhere/cocoon", "./cocoon", "no-such-cocoon", "/etc", "/etc/passwd" } do
      local path, err = cocoon.resolve_cocoon_binary(name)
      assert.is_nil(path)
      assert.truthy(tostring(err):find(name, 1, true))
      assert.matches("EPOCH_COCOON_BINARY", tostring(err))
      assert.is_nil((cocoon.exec_cocoon { binary = name }))
    end
    assert.has_error(function() cocoon.exec_cocoon { binray = "x" } end)
    assert.has_error(function() cocoon.exec_cocoon { stderr = "nul" } end)
  end)

  it("exports with arguments that no name can bend", function()
    with(nil, function(runner, task, dir)
      work.write_file(dir .. "/export", "bytes")
      local source, wait = runner:export(task, "vm1")
      local sink = core.collect(100)
      assert(task:flow { source = source, sink = sink })
      assert.is_true(wait())
      assert.is_true(wait())
      assert.equal("bytes", sink:bytes())
      assert.equal("snapshot|export|-o|-|--|vm1|", argv(dir))
    end)
  end)

  it("imports what is finished", function()
    with(nil, function(runner, task, dir)
      local archive = artifacts.export { { "a", "x" } }
      local sink, wait = runner:import(task, { name = "vm2", description = "--help $(id)\n" })
      assert(task:flow { source = core.bytes(archive), sink = sink })
      assert.is_true(wait())
      assert.equal(archive, work.read_file(dir .. "/committed"))
      assert.equal("snapshot|import|--name=vm2|--description=--help $(id)\n|", argv(dir))

      sink, wait = runner:image_import(task, "win/win11")
      assert(task:flow { source = core.bytes("disk"), sink = sink })
      assert.is_true(wait())
      assert.equal("disk", work.read_file(dir .. "/committed"))
      assert.equal("image|import|--|win/win11|", argv(dir))
    end)
  end)

  it("is not started for names that are none", function()
    with(nil, function(runner, task, dir)
      for _, name in ipairs { "", "--help", "-o", "a b", "A", "../x", "a\0b", "a\n" } do
        for _, err in ipairs { select(2, runner:export(task, name)),
                               select(2, runner:import(task, { name = name })),
                               select(2, runner:image_import(task, name)) } do
          assert.equal("invalid", err.kind)
        end
      end
      assert.is_nil((runner:import(task, { name = "a", description = "a\0b" })))
      assert.has_error(function() runner:import(task, { name = "a", descripton = "b" }) end)
      assert.is_nil(argv(dir))
    end)
  end)

  it("does not see our secrets, and all the rest", function()
    with(nil, function(runner, task, dir)
      local keep = core.environ
      core.environ = function() -- luacheck: ignore 122
        return { "EPOCH_REGISTRY_TOKEN=s1", "EPOCH_MY_TOKEN_X=s2", "EPOCH_S3_SECRET_KEY=s3",
                 "AWS_SECRET_ACCESS_KEY=s4", "COCOON_ROOT_DIR=/x", "EPOCH_SERVER=y",
                 "PATH=" .. os.getenv("PATH"), "NOT_AWS_X=z", "TOKEN=t" }
      end
      local source, wait = runner:export(task, "vm1")
      core.environ = keep -- luacheck: ignore 122
      source:close()
      assert.is_nil((wait()))
      local env = "\n" .. work.read_file(dir .. "/env")
      for _, there in ipairs { "COCOON_ROOT_DIR=/x", "EPOCH_SERVER=y", "NOT_AWS_X=z", "TOKEN=t" } do
        assert.truthy(env:find("\n" .. there .. "\n", 1, true), there)
      end
      assert.is_nil(env:find("=s%d\n"))
    end)
  end)

  it("works on the root that is named, and on no other", function()
    with(nil, function(_, task, dir)
      local runner = assert(cocoon.exec_cocoon { binary = dir .. "/cocoon", stderr = "null", root_dir = "/srv/x" })
      local source, wait = runner:export(task, "vm1")
      source:close()
      assert.is_nil((wait()))
      local _, n = work.read_file(dir .. "/env"):gsub("COCOON_ROOT_DIR=/srv/x\n", "")
      assert.equal(1, n)
      assert.equal(1, select(2, work.read_file(dir .. "/env"):gsub("COCOON_ROOT_DIR=", "")))
    end)
  end)

  it("that fails says how, and what it said last", function()
    with("echo 'Error: name already in use' >&2; exit 5", function(runner, task)
      local _, wait = runner:import(task, { name = "vm" })
      local ok, err = wait()
      assert.is_nil(ok)
      assert.equal("process", err.kind)
      assert.equal("cocoon snapshot import vm failed, exit code 5: Error: name already in use",
                   tostring(err))
    end)
    with("echo 'Error: export: snapshot not found' >&2; exit 1", function(runner, task)
      local source, wait = runner:export(task, "vm")
      local _, err = wait()
      source:close()
      assert.equal("not_found", err.kind)
    end)
    with("kill -KILL $$", function(runner, task)
      local source, wait = runner:export(task, "vm")
      assert.matches("ended by SIGKILL", tostring(select(2, wait())))
      source:close()
    end)
  end)

  it("says what it says where that is wanted", function()
    work.in_directory(function(dir)
      local program = artifacts.program(dir, "echo 'some words' >&2; exit 5")
      local function said(stderr)
        os.execute(([[%s -e 'require "spec.support.paths"
          local task = require("epoch.task").new { threads = 0 }
          local runner = require("epoch.cocoon").exec_cocoon { binary = "%s", stderr = %s }
          local _, wait = runner:export(task, "vm")
          print(select(2, wait()))
          task:close()' >%s/out 2>%s/err]]):format(children.lua, program, stderr, dir, dir))
        return { work.read_file(dir .. "/out"), work.read_file(dir .. "/err") }
      end
      local failure = "cocoon snapshot export vm failed, exit code 5: some words\n"
      assert.same({ failure, "some words\n" }, said "nil")
      assert.same({ failure, "some words\n" }, said '"inherit"')
      assert.same({ failure, "" }, said '"null"')
      assert.same({ "some words\n" .. failure, "" }, said "1")
    end)
  end)

  it("never takes a failed stream for a good one", function()
    with(nil, function(runner, task, dir)
      local archive = artifacts.export { { "a", ("x"):rep(512) } }
      local sink, wait, fail = runner:import(task, { name = "vm" })
      assert(task:flow { source = core.bytes(archive:sub(1, 1024)), sink = sink, more = true })
      reads(dir)
      local err = fail(("\1"):rep(512))
      assert.matches("failed, exit code 1: invalid tar", tostring(err))
      assert.equal(err, fail())
      assert.equal(err, select(2, wait()))
      os.remove(dir .. "/part")
      sink, wait, fail = runner:image_import(task, "win11")
      assert(task:flow { source = core.bytes("half"), sink = sink, more = true })
      reads(dir)
      assert.matches("ended by SIGKILL; what it has left under cloudimg/temp", tostring(fail()))
      assert.is_nil(work.read_file(dir .. "/committed"))
      assert.is_nil((wait()))
    end)
  end)

  it("that ends by itself is left to say why", function()
    with("read x; sleep 0.2; echo busy >&2; exit 3", function(runner, task)
      local sink, _, fail = runner:image_import(task, "win11")
      assert(task:flow { source = core.bytes("half\n"), sink = sink, more = true })
      assert.matches("exit code 3: busy", tostring(fail(nil, true)))
    end)
  end)
end)
