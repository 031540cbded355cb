-- Copies to and from what skopeo reads and writes: images for several machines, by way of a
-- layout and of a registry.
local copy = require "epoch.copy"
local core = require "epoch.core"
local homes = require "epoch.home"
local json = require "epoch.json"
local media = require "epoch.media"
local registry = require "spec.support.registry"
local support = require "spec.support.store"
local work = require "spec.support.work"

local skopeo = core.which("skopeo")
local missing = not skopeo and "skopeo is not here: apt-get install skopeo" or registry.missing()

local function run(...)
  local words = { skopeo, "--insecure-policy" }
  for _, word in ipairs { ... } do
    words[#words + 1] = "'" .. word .. "'"
  end
  local p = assert(io.popen(table.concat(words, " ") .. " 2>&1; echo \"exit $?\""))
  local text, code = p:read("*a"):match("^(.-)exit (%d+)\n$")
  p:close()
  assert.equal("0", code, text)
  return text
end

local function store(home, bytes)
  assert(home:put_blob("demo", core.digest(bytes), #bytes, function() return core.bytes(bytes) end))
end

-- An image of two layers for one machine; they share the first.
local function put_image(home, architecture)
  local layers, ids = {}, {}
  for i, bytes in ipairs { work.noise(300000), architecture .. work.noise(1000) } do
    store(home, bytes)
    ids[i] = core.digest(bytes)
    layers[i] = { mediaType = "application/vnd.oci.image.layer.v1.tar", digest = ids[i], size = #bytes }
  end
  local config = assert(json.encode { architecture = architecture, os = "linux",
                                      rootfs = { type = "layers", diff_ids = json.array(ids) } })
  store(home, config)
  local manifest = assert(json.encode {
    schemaVersion = 2, mediaType = media.OCI_MANIFEST, layers = json.array(layers),
    config = { mediaType = media.OCI_CONFIG, digest = core.digest(config), size = #config } })
  assert(home:put_manifest("demo", core.digest(manifest), manifest, media.OCI_MANIFEST))
  return { mediaType = media.OCI_MANIFEST, digest = core.digest(manifest), size = #manifest,
           platform = { architecture = architecture, os = "linux" } }
end

describe("copies and skopeo's", function()
  it("are good for each other", function()
    if missing then
      return pending(missing)
    end
    local server = registry.start()
    local ok, err = pcall(support.with_task, function(task, dir)
      local function open(home)
        return assert(homes.open(task, home, { docker_config = false, proxy = "" }))
      end
      local function copied(from, to, name, reference, to_name)
        local result, why = copy.copy(task, { from = open(from), to = open(to), name = name, reference = reference,
                                              to_name = to_name })
        assert(result, tostring(why))
        return result
      end
      local home = open("file://" .. dir .. "/a")
      local children = json.array { put_image(home, "amd64"), put_image(home, "arm64") }
      local index = assert(json.encode { schemaVersion = 2, mediaType = media.OCI_INDEX, manifests = children })
      local digest = assert(home:put_manifest("demo", "v1", index, media.OCI_INDEX))

      -- ours, a layout; skopeo's, another one and a registry; ours again, from both
      copied("file://" .. dir .. "/a", "oci:" .. dir .. "/b", "demo", "v1")
      run("copy", "-q", "--all", "--preserve-digests", "oci:" .. dir .. "/b:v1", "oci:" .. dir .. "/c:v2")
      run("copy", "-q", "--all", "--preserve-digests", "--dest-tls-verify=false", "oci:" .. dir .. "/b:v1",
        "docker://" .. server.host .. "/theirs:v2")
      assert.equal(digest, copied("oci:" .. dir .. "/c", server.url, "ours", "v2").digest)
      assert.equal(digest, copied(server.url, "file://" .. dir .. "/d", "theirs", "v2", "back").digest)

      -- what came of it is whole to both
      assert.equal(index, run("inspect", "--raw", "--tls-verify=false", "docker://" .. server.host .. "/ours:v2"))
      run("copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false",
        "docker://" .. server.host .. "/ours:v2", "dir:" .. dir .. "/e")
      local again = copied("file://" .. dir .. "/d", "file://" .. dir .. "/a", "back", "v2", "demo")
      assert.same({ digest, 0, 4 }, { again.digest, again.transferred, #again.layers })
    end)
    server:stop()
    assert(ok, err)
  end)
end)
