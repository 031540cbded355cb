-- copy as a person types it, between homes of every kind.
local core = require "epoch.core"
local homes = require "epoch.home"
local json = require "epoch.json"
local program = require "spec.support.program"
local registry = require "spec.support.registry"
local store = require "spec.support.store"
local work = require "spec.support.work"

local remote
setup(function()
  remote = not registry.missing() and registry.start {} or nil
end)

teardown(function()
  if remote then
    remote:stop()
  end
end)

-- A directory, and `file://` of it in which vms/demo has two tags; `epoch` runs the program.
local function with_store(use)
  store.with_task(function(task, dir)
    local home = assert(homes.open(task, "file://" .. dir .. "/store"))
    local digests = {}
    for _, tag in ipairs { "v1", "v2" } do
      local _, digest = store.put_artifact(home, "vms/demo", tag, { tag, "shared" })
      digests[tag] = digest
    end
    home:close()
    use(dir, digests, function(words, env)
      env = env or {}
      env.EPOCH_SERVER, env.XDG_DATA_HOME = "file://" .. dir .. "/store", dir .. "/data"
      return program.run(words, env)
    end)
  end)
end

local function ok(result)
  assert.equal(0, result.code, result.err)
  return result
end

describe("copy", function()
  it("brings the same bytes to any home, and nothing a second time", function()
    with_store(function(dir, digests, epoch)
      local places = { "oci:" .. dir .. "/layout", "file://" .. dir .. "/other", remote and remote.url .. "/path" }
      for _, place in ipairs(places) do
        local first = json.decode(ok(epoch { "copy", "vms/demo:v1", "--to", place, "--json" }).out)
        assert.same({ "vms/demo", "v1", digests.v1, "unknown", 8 },
          { first.name, first.tag, first.digest, first.kind, first.transferred })
        local again = json.decode(ok(epoch { "copy", "vms/demo:v1", "--to", place, "--json" }).out)
        assert.equal(0, again.transferred)
        assert.is_false(again.layers[1].transferred)
        local raw = ok(epoch { "inspect", "vms/demo:v1", "--raw", "--registry", place }).out
        assert.equal(digests.v1, core.digest(raw))
        ok(epoch { "copy", "vms/demo:v1", "back/demo:v3", "--from", place, "--to", "oci:" .. dir .. "/back" })
      end
    end)
  end)

  it("takes all tags, and names those that it could not", function()
    with_store(function(dir, digests, epoch)
      local to = "oci:" .. dir .. "/layout"
      local all = json.decode(ok(epoch { "copy", "vms/demo", "--all-tags", "--to", to, "--json" }).out)
      assert.same({ "v1", "v2" }, { all[1].tag, all[2].tag })
      assert.same({ digests.v1, digests.v2 }, { all[1].digest, all[2].digest })
      assert(core.unlink(dir .. "/store/blobs/sha256/" .. core.digest("v1"):match(":(.*)$")))
      local result = epoch { "copy", "vms/demo", "other/demo", "--all-tags", "--to", "file://" .. dir .. "/third" }
      assert.equal(2, result.code)
      assert.matches("^epoch: copy vms/demo: 1 of 2 tags were not copied %(v1%)", result.last)
      assert.is_string(work.read_file(dir .. "/third/manifests/other/demo/v2.json"))
    end)
  end)

  it("goes from host to host, and mounts inside one registry", function()
    if registry.missing() then
      return pending(registry.missing())
    end
    with_store(function(_, digests, epoch)
      local there = remote.host .. "/mounts/"
      ok(epoch { "copy", "vms/demo:v2", there .. "a:v2" })
      local mounted = json.decode(ok(epoch { "copy", there .. "a:v2", there .. "b", "--json" }).out)
      assert.same({ "mounts/b", "latest", digests.v2, 0 },
        { mounted.name, mounted.tag, mounted.digest, mounted.transferred })
      local byte_for_byte = ok(epoch { "inspect", there .. "b@" .. digests.v2, "--raw" }).out
      assert.equal(digests.v2, core.digest(byte_for_byte))
    end)
  end)

  it("refuses what makes no sense", function()
    with_store(function(dir, digests, epoch)
      local cases = {
        { "onto itself", "vms/demo:v1" },
        { "onto itself", "vms/demo:v1", "--to", "file://" .. dir .. "/store" },
        { "without a tag", "vms/demo:v1", "--all-tags", "--to", "oci:" .. dir .. "/x" },
        { "without a tag", "vms/demo", "vms/other:v1", "--all-tags", "--to", "oci:" .. dir .. "/x" },
        { "has the digest", "vms/demo:v1", "x@" .. digests.v2, "--to", "oci:" .. dir .. "/x" },
      }
      for _, case in ipairs(cases) do
        local result = epoch { "copy", (table.unpack or unpack)(case, 2) } -- luacheck: ignore 113 143
        assert.equal(64, result.code, result.err)
        assert.matches(case[1], result.last, 1, true)
      end
      assert.equal(2, epoch({ "copy", "vms/demo:none", "--to", "oci:" .. dir .. "/x" }).code)
    end)
  end)
end)
