-- gc and fsck as a person types them.
local core = require "epoch.core"
local homes = require "epoch.home"
local json = require "epoch.json"
local program = require "spec.support.program"
local store = require "spec.support.store"
local work = require "spec.support.work"

-- `use(c)`: a directory with the home in it, what the module sees of it, and the program that is
-- told of it.
local function with_home(scheme, use)
  store.with_task(function(task, dir)
    local name = scheme .. dir .. "/store"
    local home = assert(homes.open(task, name))
    work.write_file(dir .. "/config.lua", "")
    local env = { EPOCH_CONFIG = dir .. "/config.lua" }
    local ok, err = pcall(use, {
      dir = dir .. "/store", name = name, home = home, task = task, env = env,
      epoch = function(...)
        return program.run({ "--registry", name, ... }, env)
      end,
    })
    home:close()
    if not ok then
      error(err, 0)
    end
  end)
end

local function put(c, bytes)
  local digest = core.digest(bytes)
  assert(c.home:put_blob("any", digest, #bytes, bytes))
  return digest
end

local function path_of(c, digest)
  return c.dir .. "/blobs/" .. digest:gsub(":", "/")
end

local function decoded(result)
  return assert(json.decode(result.out))
end

describe("gc", function()
  it("lists what can be removed, and removes it when it is told to", function()
    with_home("file://", function(c)
      store.put_artifact(c.home, "demo", "v1", { "one" })
      local gone = put(c, "gone")
      local result = c.epoch("gc")
      assert.same({ 0, "" }, { result.code, result.out })
      assert.equal("epoch: gc: no blobs (0B) can be removed from " .. c.name .. "; 1 more is too young\n", result.err)
      os.execute(("touch -d '-90 minutes' '%s'"):format(path_of(c, gone)))
      for grace, found in pairs { ["1h"] = 1, ["89m"] = 1, ["91m"] = 0, ["2h"] = 0, ["7d"] = 0, ["3600"] = 1,
                                  ["0"] = 1, ["5390s"] = 1, ["36500d"] = 0 } do
        assert.equal(found, #decoded(c.epoch("gc", "--grace", grace, "--json")).blobs, grace)
      end
      result = c.epoch("gc", "--grace=1h")
      assert.matches("^DIGEST +SIZE  MODIFIED\n" .. gone .. "  4B    %d+%-%d%d%-%d%dT%d%d:%d%d:%d%dZ\n$", result.out)
      assert.equal(("epoch: gc: 1 blob (4B) can be removed from %s (--delete does that)\n"):format(c.name), result.err)
      assert.equal("", c.epoch("gc", "-q").err)
      assert.is_true(c.home:blob_exists("demo", gone))

      result = c.epoch("gc", "--grace", "1h", "--delete", "--json", "--progress", "json")
      local value = decoded(result)
      assert.matches('{"event":"done","op":"gc","title":null,"digest":"' .. gone .. '","bytes":4,"total":4}',
        result.err, 1, true)
      assert.matches("%d%d%d%d%-%d%d%-%d%dT", value.blobs[1].modified)
      value.blobs[1].modified = nil
      assert.same({ home = c.name, size = 4, young = 0, removed = 1, freed = 4, uploads = {},
                    blobs = { { digest = gone, size = 4, removed = true } } }, value)
      assert.is_false(c.home:blob_exists("demo", gone))
      assert.is_true(c.home:blob_exists("demo", core.digest("one")))
      assert.matches('"blobs": [],', c.epoch("gc", "--delete", "--json").out, 1, true)
    end)
  end)

  it("takes a time and nothing else for the grace", function()
    with_home("file://", function(c)
      for _, grace in ipairs { "", "h", "1.5h", "-1h", "1w", "0x10", "1 h", "99999999999999999999d" } do
        local result = c.epoch("gc", "--grace=" .. grace)
        assert.equal(64, result.code, grace)
        assert.matches('--grace "', result.last, 1, true)
      end
      assert.equal(64, c.epoch("gc", "demo").code)
    end)
  end)

  it("removes nothing where it does not understand everything, and says what", function()
    with_home("file://", function(c)
      store.put_artifact(c.home, "demo", "v1", { "one" })
      local gone = put(c, "gone")
      work.write_file(c.dir .. "/manifests/demo/v1.json", "{")
      local result = c.epoch("gc", "--grace", "0")
      assert.equal(0, result.code)
      assert.matches("epoch: gc: read [^\n]*manifests/demo/v1.json: [^\n]*\n"
        .. "epoch: gc: nothing would be removed because of this", result.err)
      result = c.epoch("gc", "--grace", "0", "--delete")
      assert.equal(4, result.code)
      assert.matches("nothing is removed while it is not known", result.last, 1, true)
      assert.is_true(c.home:blob_exists("demo", gone))
    end)
  end)

  it("is for stores", function()
    with_home("oci:", function(c)
      local result = c.epoch("gc", "--json")
      assert.equal(1, result.code)
      assert.equal("unsupported", decoded(result).error.kind)
    end)
  end)
end)

for _, scheme in ipairs { "file://", "oci:" } do
  describe("fsck of " .. scheme, function()
    it("is content with what is whole", function()
      with_home(scheme, function(c)
        store.put_artifact(c.home, "demo", "v1", { "one" })
        local result = c.epoch("fsck")
        assert.same({ 0, "" }, { result.code, result.out })
        assert.matches("checked " .. c.name:gsub("%p", "%%%0") .. ", %d blobs, %d+B in [%d.]+ s", result.last)
        local value = decoded(c.epoch("fsck", "--json"))
        assert.same({ c.name, {} }, { value.home, value.broken })
      end)
    end)

    it("says what is broken and which tags that breaks, and fails", function()
      with_home(scheme, function(c)
        store.put_artifact(c.home, "demo", "v1", { "one", "two" })
        store.put_artifact(c.home, "demo", "v2", { "one" })
        store.put_artifact(c.home, "demo", "v3", { "two" })
        local one = core.digest("one")
        work.write_file(path_of(c, one), "eno")
        local result = c.epoch("fsck")
        assert.equal(4, result.code)
        assert.matches("^BROKEN +BREAKS +BECAUSE\nblob " .. one .. "  demo:v1, demo:v2  [^\n]*not the promised " .. one
          .. "\n$", result.out)
        assert.matches("^epoch: fsck: 1 of %d+ manifests and blobs in [^\n]* is broken; demo:v1, demo:v2 cannot be had",
          result.last)
        result = c.epoch("fsck", "--json", "--progress", "json")
        assert.equal(4, result.code)
        local value = decoded(result) -- one value, and no error beside it
        assert.same({ what = "blob " .. one, digest = one, kind = "digest_mismatch", breaks = { "demo:v1", "demo:v2" },
                      message = value.broken[1].message }, value.broken[1])
        assert.matches('"event":"error"', result.err, 1, true)
      end)
    end)
  end)
end

describe("fsck", function()
  it("leads to a store that is whole", function()
    with_home("file://", function(c)
      local _, digest = store.put_artifact(c.home, "demo", "v1", { "one" })
      work.write_file(path_of(c, core.digest("one")), "eno")
      assert.equal(4, c.epoch("fsck").code)
      assert.equal(0, c.epoch("rm", "demo@" .. digest).code)
      assert.equal(0, c.epoch("gc", "--delete", "--grace", "0").code)
      store.put_artifact(c.home, "demo", "v1", { "one" })
      assert.equal(0, c.epoch("fsck").code)
    end)
  end)

  it("shows only some of many tags, and nothing that a terminal would obey", function()
    with_home("file://", function(c)
      for i = 1, 10 do
        store.put_artifact(c.home, "demo", "v" .. i, { "one" })
      end
      assert(core.unlink(path_of(c, core.digest("one"))))
      work.write_file(c.dir .. "/manifests/demo/\27[2J", "")
      local result = c.epoch("fsck")
      assert.matches("demo:v6, demo:v7 and 2 more  it is not in " .. c.name, result.out, 1, true)
      assert.is_nil((result.out .. result.err):find("\27", 1, true))
      assert.equal(10, #decoded(c.epoch("fsck", "--json")).broken[1].breaks)
    end)
  end)

  it("can be interrupted", function()
    with_home("file://", function(c)
      put(c, "x")
      os.execute(("truncate -s 64G '%s'"):format(path_of(c, core.digest("x"))))
      local process = program.start(c.task.loop, { "--registry", c.name, "--progress", "json", "fsck" }, c.env)
      local out = process:stdout()
      local began = core.now()
      assert(c.task:sleep(0.5))
      assert(process:kill("INT"))
      local result = program.wait(c.task.loop, process)
      out:close()
      assert.equal(130, result.code)
      assert.matches('"event":"progress"', result.stderr, 1, true)
      assert.matches("\nepoch: fsck: interrupted\n$", result.stderr)
      assert.is_true(core.now() - began < 5)
    end)
  end)

  it("looks at nothing that is not there, or not ours", function()
    with_home("oci:", function(c)
      assert.equal(2, c.epoch("fsck").code)
      local result = program.run({ "--registry", "http://127.0.0.1:1", "fsck" }, c.env)
      assert.equal(1, result.code)
      assert.matches("is a registry, which looks after its own blobs", result.last, 1, true)
    end)
    with_home("file://", function(c)
      local result = c.epoch("fsck")
      assert.same({ 0, "" }, { result.code, result.out })
    end)
  end)
end)
