-- migrate, and pulls of what is not migrated, as a person types them.
local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local json = require "epoch.json"
local program = require "spec.support.program"
local registry = require "spec.support.registry"
local store = require "spec.support.store"
local work = require "spec.support.work"

-- The golden store as `dir`/old; `epoch` runs the program.
local function with_store(use)
  work.in_directory(function(dir)
    work.write_file(dir .. "/objects.tar", golden.read("gen1/objects.tar"))
    assert(core.mkdir(dir .. "/old"))
    os.execute(("tar -xf '%s/objects.tar' -C '%s/old'"):format(dir, dir))
    work.write_file(dir .. "/config.lua", "")
    local env = { EPOCH_CONFIG = dir .. "/config.lua", EPOCH_COCOON_BINARY = artifacts.program(dir) }
    use(dir, function(...)
      return program.run({ ... }, env)
    end, env)
  end)
end

local function ok(result)
  assert.equal(0, result.code, result.err)
  return result
end

describe("inspect", function()
  it("shows the base images that generation 1 stored with a snapshot", function()
    with_store(function(dir, epoch)
      local home, base = "file://" .. dir .. "/old", ("cd"):rep(32) .. ".qcow2"
      local row = "\nbase images\n  " .. base .. "  6%.8K  application/vnd%.cocoon%.disk%.qcow2  sha256:%x+\n"
      assert.matches(row, ok(epoch("inspect", "g-small:v1", "--registry", home)).out)
      local said = json.decode(ok(epoch("inspect", "g-small:v1", "--registry", home, "--json")).out)
      local size = 0
      for _, list in ipairs { said.layers, said.baseImages } do
        for _, layer in ipairs(list) do
          size = size + layer.size
        end
      end
      assert.equal(said.size, size)
      assert.same({ base, 7004 }, { said.baseImages[1].title, said.baseImages[1].size })
    end)
  end)
end)

describe("migrate", function()
  it("says what it would do, does it, and has nothing to do then", function()
    with_store(function(dir, epoch)
      local homes = { "--from", "file://" .. dir .. "/old", "--to", "file://" .. dir .. "/new" }
      local function migrate(...)
        return ok(epoch("migrate", homes[1], homes[2], homes[3], homes[4], ...))
      end
      local dry = migrate("--dry-run")
      assert.matches("\ng%-small:v1  snapshot  2%.1M  0B     would be migrated\n$", dry.out)
      assert.equal("", dry.err)
      assert.same({}, store.files(dir .. "/new"))
      assert.matches("\ng%-small:v1  snapshot  %S+  %S+  migrated\n$", migrate("g-small").out)
      assert.matches(" 0B +is there already\n$", migrate().out)
      local again = json.decode(migrate("--json").out)
      assert.same({ "g-small", "v1", "snapshot", 0 },
        { again[1].name, again[1].tag, again[1].kind, again[1].transferred })
      assert.is_nil(ok(epoch("pull", "g-small:v1", "--registry", homes[4])).err:find("base images", 1, true))
      local new = work.read_file(dir .. "/committed")
      local said = ("cocoon needs its base images, too, and a stream has none: %s.qcow2; epoch migrate makes cloud "
        .. "images of them\n"):format(("cd"):rep(32))
      assert.matches(said, ok(epoch("pull", "g-small:v1", "--registry", homes[2])).err, 1, true)
      work.assert_same_bytes(new, work.read_file(dir .. "/committed"))
      work.assert_same_bytes(new, ok(epoch("get", "--tar", "g-small:v1", "--registry", homes[2])).out)
    end)
  end)

  it("killed anywhere is completed by the next", function()
    with_store(function(dir, epoch, env)
      local from, to = "file://" .. dir .. "/old", "file://" .. dir .. "/new"
      ok(epoch("migrate", "--from", from, "--to", "file://" .. dir .. "/whole"))
      work.with_loop(nil, function(loop)
        for step = 0, 12 do
          local process = program.start(loop, { "migrate", "--from", from, "--to", to }, env, { stdout = "null" })
          local timer = loop:timer(0.01 * step)
          while not timer:wait() do
            loop:poll(1)
          end
          timer:close()
          process:kill("KILL")
          program.wait(loop, process)
          if core.stat(dir .. "/new/manifests/g-small/v1.json") then -- then nothing is missing
            ok(epoch("pull", "g-small:v1", "--registry", to))
          end
        end
      end)
      ok(epoch("migrate", "--from", from, "--to", to))
      ok(epoch("fsck", "--registry", to))
      for _, path in ipairs(store.files(dir .. "/whole")) do
        if path ~= "catalog.json" then
          assert.equal(work.read_file(dir .. "/whole/" .. path), work.read_file(dir .. "/new/" .. path), path)
        end
      end
    end)
  end)

  it("brings it to a registry", function()
    if registry.missing() then
      return pending(registry.missing())
    end
    local remote = registry.start {}
    local fine, why = pcall(with_store, function(dir, epoch)
      local words = { "migrate", "--from", "file://" .. dir .. "/old", "--to", remote.url }
      assert.matches(" migrated\n$", ok(epoch((table.unpack or unpack)(words))).out) -- luacheck: ignore 113 143
      assert.matches(" 0B +is there already\n$",
        ok(epoch((table.unpack or unpack)(words))).out) -- luacheck: ignore 113 143
      ok(epoch("pull", "g-small:v1", "--registry", remote.url))
      assert.truthy(core.stat(dir .. "/committed"))
      ok(epoch("get", "base-images:" .. ("cd"):rep(32), "-o", dir .. "/base", "--registry", remote.url))
      assert.equal(7004, core.stat(dir .. "/base").size)
    end)
    remote:stop()
    assert(fine, why)
  end)

  it("refuses what makes no sense", function()
    with_store(function(dir, epoch)
      assert.equal(64, epoch("migrate").code)
      assert.equal(64, epoch("migrate", "--from", "file://" .. dir .. "/old").code)
      local both = { "--from", "file://" .. dir .. "/old", "--to", "file://" .. dir .. "/new" }
      assert.equal(64, epoch("migrate", both[1], both[2], both[3], both[4], "g-small:v1").code)
      os.remove(dir .. "/old/blobs/sha256/24e75fa0aa688f6c44aa906b7e8a6aa09f6b05aba4929c4853bdcb6cd6f014ec")
      local result = epoch("migrate", both[1], both[2], both[3], both[4])
      assert.equal(2, result.code)
      assert.matches("1 of 1 tags were not migrated %(g%-small:v1%)", result.last)
    end)
  end)
end)
