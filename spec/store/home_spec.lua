local core = require "epoch.core"
local homes = require "epoch.home"
local support = require "spec.support.store"

describe("a home", function()
  it("is opened by what people write", function()
    support.with_task(function(task, dir)
      for _, name in ipairs { "file://" .. dir .. "/a", "oci:" .. dir .. "/b" } do
        local home = assert(homes.open(task, name))
        assert.equal(name, home:describe())
        local manifest, digest = support.put_artifact(home, "demo", "v1", { "one" })
        assert.equal(manifest, home:get_manifest("demo", digest).bytes)
        home:close()
      end
      assert.equal("file", core.stat(dir .. "/a/catalog.json").type)
      assert.equal("file", core.stat(dir .. "/b/index.json").type)
    end)
  end)

  it("is refused when it is none", function()
    support.with_task(function(task)
      for _, name in ipairs { "", "file:", "file://", "file://host/dir", "file:dir", "oci:", "oci:a\nb", "file:///a\0",
                              "gopher://x", "a b", "host:x/y", "../x", "a//b://c", "s3:", "s3:b", "s3://", "s3:///x",
                              "s3://ab", "s3://user@bucket", "s3://bucket//x", "s3://bucket/../x", "s3://bucket/a b",
                              "S3://bucket" } do
        local home, err = homes.open(task, name)
        assert.is_nil(home)
        assert.equal("usage", err.kind)
        assert.matches("^the home \".*\" cannot be used: ", err.message)
      end
      assert.error_matches(function() homes.open(task, nil) end, "a home must be a string")
    end)
  end)

  it("over HTTP is the client's, and loaded only then", function()
    support.with_task(function(task)
      local loaded = package.loaded["epoch.client"]
      package.loaded["epoch.client"] = {
        new = function(t, options)
          assert.equal(task, t)
          return options
        end,
      }
      local ok, err = pcall(function()
        for _, name in ipairs { "http://127.0.0.1:5000", "https://host.example/vms", "host.example", "box:50/x" } do
          local given = { retries = 1 }
          assert.same({ url = name, retries = 1 }, homes.open(task, name, given))
          assert.same({ retries = 1 }, given)
        end
      end)
      package.loaded["epoch.client"] = loaded
      assert(ok, err)
    end)
  end)

  it("in a bucket is below its own prefix, else below the one that is set", function()
    support.with_task(function(task)
      local options = { access_key = "a", secret_key = "s" }
      for name, wanted in pairs {
        ["s3://bucket"] = "s3://bucket/epoch", ["s3://bucket/"] = "s3://bucket/epoch",
        ["s3://bucket/vms"] = "s3://bucket/vms", ["s3://bucket/a/b/"] = "s3://bucket/a/b",
      } do
        assert.equal(wanted, assert(homes.open(task, name, options)):describe())
      end
      options.prefix = "mine/"
      assert.equal("s3://bucket/mine", assert(homes.open(task, "s3://bucket", options)):describe())
      assert.equal("s3://bucket/vms", assert(homes.open(task, "s3://bucket/vms", options)):describe())
      options.prefix = ""
      assert.equal("s3://bucket", assert(homes.open(task, "s3://bucket", options)):describe())
      for _, name in ipairs { "access_key", "secret_key" } do
        local _, err = homes.open(task, "s3://bucket", { [name] = "x" })
        assert.equal("config", err.kind)
        assert.matches(
          "^s3%.%w+_key is not set, nor EPOCH_S3_%w+_KEY; a script gives %w+_key as an option,", err.message)
      end
      assert.error_matches(function() homes.open(task, "s3://bucket", { acces_key = "x" }) end, "access_key")
    end)
  end)

  it("of another scheme is that of whoever added it", function()
    support.with_task(function(task)
      local own = {}
      homes.schemes.own = function(t, home, options)
        return t == task and home == "own:x" and options.y and own
      end
      local ok, home = pcall(homes.open, task, "own:x", { y = true })
      homes.schemes.own = nil
      assert.is_true(ok)
      assert.equal(own, home)
    end)
  end)
end)
