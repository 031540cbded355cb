-- Which home a reference is in.
local locate = require "epoch.locate"
local reference = require "epoch.reference"

local function settings(registry)
  return { values = { registry = registry } }
end

describe("the home of a reference", function()
  it("is the host in it, else the registry that is configured", function()
    local ref = assert(reference.parse("registry.example:5000/vms/demo:v1"))
    assert.same({ "registry.example:5000", false }, { locate.home_of(ref, settings("oci:/srv/x")) })
    ref = assert(reference.parse("vms/demo"))
    assert.same({ "oci:/srv/x", false }, { locate.home_of(ref, settings("oci:/srv/x")) })
    assert.same({ "oci:/srv/x", false }, { locate.home_of(nil, settings("oci:/srv/x")) })
    local home, is_default = locate.home_of(ref, settings())
    assert.matches("^file:///", home)
    assert.is_true(is_default)
  end)

  it("is by default a directory of the user's, or of the machine's for root", function()
    local function default(env, root)
      return locate.default(function(name) return env[name] end, root)
    end
    assert.equal("file:///d/epoch", default({ XDG_DATA_HOME = "/d", HOME = "/h" }, false))
    assert.equal("file:///d/epoch", default({ XDG_DATA_HOME = "/d" }, true))
    assert.equal("file:///h/.local/share/epoch", default({ XDG_DATA_HOME = "relative", HOME = "/h" }, false))
    assert.equal("file:///var/lib/epoch", default({ HOME = "/root" }, true))
    local none, err = default({ HOME = "" }, false)
    assert.is_nil(none)
    assert.equal("usage", err.kind)
    assert.matches("%-%-registry", err.message)
  end)
end)
