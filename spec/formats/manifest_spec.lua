local golden = require "spec.support.golden"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local work = require "spec.support.work"

local D1 = "sha256:" .. ("a"):rep(64)

local function descriptor(over)
  local d = { mediaType = "text/plain", digest = D1, size = 5 }
  for k, v in pairs(over or {}) do
    d[k] = v
  end
  return d
end

local function text(over)
  local m = { schemaVersion = 2, mediaType = media.OCI_MANIFEST,
              config = descriptor(), layers = json.array { descriptor() } }
  for k, v in pairs(over or {}) do
    m[k] = v ~= "none" and v or nil
  end
  return assert(json.encode(m))
end

local function refused(kind, words, s, content_type)
  local m, err = manifest.parse(s, content_type)
  assert.is_nil(m, s)
  assert.equal(kind, err.kind)
  assert.matches(words, tostring(err))
end

describe("a manifest", function()
  it("is read, and keeps the bytes it came in", function()
    local bytes = golden.read("v1-small/manifest.json")
    local m = assert(manifest.parse(bytes, "application/vnd.oci.image.manifest.v1+json; x=y"))
    assert.equal(bytes, m.bytes)
    assert.equal("sha256:f343b6faf969f3fc3d88ec7182638bf8515200af00148c76e74bc75ebb03f8a9", m.digest)
    assert.equal("snapshot", manifest.classify(m))
    assert.equal(media.SNAPSHOT_CONFIG, m.config.media_type)
    assert.equal(6, #m.layers)
    assert.same({ "cidata.img", 1024, media.VM_CIDATA },
                { m.layers[1].title, m.layers[1].size, m.layers[1].media_type })
    assert.equal("registry.example/ubuntu:24.04", m.annotations["cocoonstack.snapshot.baseimage"])
    assert.equal(150554, manifest.total_size(m))
  end)

  it("is written as the reference writes it, byte for byte", function()
    local bytes = golden.read("v1-small/manifest.json")
    local m = assert(manifest.parse(bytes))
    work.assert_same_bytes(bytes, assert(manifest.build(m)))
  end)

  it("that is two things at once is ambiguous", function()
    local list = json.array { descriptor() }
    refused("invalid", "ambiguous", text { manifests = list })
    refused("invalid", "ambiguous", text { manifests = list, layers = "none", mediaType = "none" })
    refused("invalid", "ambiguous", text { manifests = list, config = "none", mediaType = "none" })
    refused("invalid", "ambiguous", text { manifests = list, config = "none", layers = "none" })
    refused("invalid", "ambiguous", text { mediaType = media.OCI_INDEX })
    refused("invalid", "ambiguous", text { mediaType = "none" }, media.DOCKER_LIST)
    refused("invalid", "ambiguous", text(), media.OCI_INDEX)
    refused("invalid", "ambiguous", text(), "application/json")
    refused("invalid", "there twice", (text():gsub("^{", '{"layers":[],')))
    refused("invalid", "there twice", (text():gsub("^{", '{"l\\u0061yers":[],')))
    assert(manifest.parse(text { mediaType = "none" }, media.OCI_MANIFEST))
    assert(manifest.parse(text { mediaType = "none" }))
  end)

  it("with a size that is no whole number of bytes is refused", function()
    for _, size in ipairs { "-1", "1.5", '"5"', "9007199254740992", "9007199254740993", "1e300",
                            "9223372036854775808", "null", "true", "[]", "{}" } do
      refused("invalid", "size must be a whole number", (text():gsub('"size":5', '"size":' .. size)))
    end
    for _, size in ipairs { "nan", "NaN", "Infinity", "0x10", "01", "1.", "1e999" } do
      refused("invalid", "JSON", (text():gsub('"size":5', '"size":' .. size)))
    end
    local m = manifest.parse((text():gsub('"size":5', '"size":1024')))
    assert.equal("1024", tostring(m.layers[1].size))
  end)

  it("with a digest, a type or an annotation that is none is refused", function()
    for _, digest in ipairs { "", "sha256:abc", "sha256:" .. ("A"):rep(64), "md5:" .. ("a"):rep(32),
                              D1 .. "/../x", D1 .. "\n" } do
      refused("invalid", "layers%[0%]", text { layers = json.array { descriptor { digest = digest } } })
      refused("invalid", "config", text { config = descriptor { digest = digest } })
    end
    refused("invalid", "mediaType is missing", (text():gsub('"mediaType":"text/plain",', "")))
    refused("invalid", "mediaType is not a text", (text():gsub('"text/plain"', "7")))
    refused("invalid", "artifactType is not a text", text { artifactType = 7 })
    refused("invalid", "annotation", text { annotations = { a = 7 } })
    refused("invalid", "annotations", text { annotations = json.array { "x" } })
    refused("invalid", "layers: must be a list", (text():gsub('"layers":%[', '"layers":{"a":'):gsub("%]", "}")))
    refused("invalid", "layers", text { layers = 7 })
  end)

  it("that is no manifest at all is refused", function()
    for _, s in ipairs { "", "null", "[]", "7", "false", '"x"', "{", text() .. "x", "[" .. text() .. "]" } do
      refused("invalid", "manifest: ", s)
    end
    refused("unsupported", "schemaVersion is 3", text { schemaVersion = 3 })
    refused("unsupported", "docker image of schema 1", text { schemaVersion = 1, fsLayers = {} })
    refused("unsupported", "schemaVersion is missing", "{}")
    refused("unsupported", 'schemaVersion is "2"', '{"schemaVersion":"2"}')
    refused("too_large", "4194304", text() .. (" "):rep(manifest.MAX))
    assert(manifest.parse(text() .. (" "):rep(manifest.MAX - #text())))
  end)

  it("is of the first kind that fits", function()
    local function kind(over)
      return manifest.classify(assert(manifest.parse(text(over))))
    end
    local container = descriptor { mediaType = media.OCI_CONFIG }
    assert.equal("snapshot", kind { artifactType = media.SNAPSHOT, config = container })
    assert.equal("cloud-image", kind { artifactType = media.OS_IMAGE, config = container })
    assert.equal("cloud-image", kind { artifactType = media.WINDOWS_IMAGE })
    assert.equal("container-image", kind { config = container, artifactType = "application/x" })
    assert.equal("container-image", kind { config = descriptor { mediaType = media.DOCKER_CONFIG } })
    assert.equal("unknown", kind { artifactType = "application/vnd.cocoonstack.snapshot.v9+json" })
    for _, list in ipairs { media.OCI_INDEX, media.DOCKER_LIST } do
      assert.equal("image-index", kind { mediaType = list, config = "none", layers = "none",
                                         manifests = json.array {} })
    end
    assert.equal("snapshot", kind { artifactType = media.SNAPSHOT, mediaType = media.OCI_INDEX,
                                    config = "none", layers = "none", manifests = json.array {} })
    assert.equal("unknown", kind { config = "none", layers = "none" })
  end)

  it("of a container image says what to use, others what they are", function()
    local function message(over, wanted)
      return tostring(manifest.wrong_kind(manifest.parse(text(over)), "win:v1", wanted))
    end
    assert.equal("manifest win:v1 is a container image; pull with oras/crane/docker, then cocoon "
      .. "image pull", message { config = descriptor { mediaType = media.OCI_CONFIG } })
    assert.equal("manifest win:v1 is a cloud image, not a snapshot",
                 message({ artifactType = media.OS_IMAGE }, "snapshot"))
    assert.matches("unknown kind %(artifactType \"x\\x1b\"%)", message { artifactType = "x\27" })
  end)
end)

describe("an index", function()
  local function child(...)
    local list = {}
    for i, platform in ipairs { ... } do
      local os, arch = platform:match("^(.-)/(.*)$")
      list[i] = descriptor { size = i, platform = arch and { os = os, architecture = arch } }
    end
    local m = assert(manifest.parse(text { mediaType = media.OCI_INDEX, config = "none",
                                           layers = "none", manifests = json.array(list) }))
    local d, which = manifest.platform_child(m)
    return d and d.size, which
  end

  it("is followed to linux/amd64, else to the first for a machine, and says which", function()
    assert.same({ 3, "linux/amd64" }, { child("unknown/unknown", "linux/arm64", "linux/amd64") })
    assert.same({ 2, "linux/arm64" }, { child("unknown/unknown", "linux/arm64", "windows/amd64") })
    assert.same({ 1, "windows/amd64" }, { child("windows/amd64", "linux/arm64") })
    assert.same({ 1, "unknown/unknown" }, { child "none" })
    local none, err = child("unknown/unknown", "linux/unknown")
    assert.is_nil(none)
    assert.equal("not_found", err.kind)
    assert.equal("not_found", select(2, child()).kind)
  end)
end)

describe("sizes for people", function()
  it("have one decimal and powers of 1024", function()
    for bytes, expected in pairs {
      [0] = "0B", [17] = "17B", [1023] = "1023B", [1024] = "1.0K", [5734] = "5.6K",
      [3565158] = "3.4M", [1288490189] = "1.2G", [5 * 1024 ^ 4] = "5120.0G",
    } do
      assert.equal(expected, manifest.human_size(bytes))
    end
  end)

  it("above 4 MiB no manifest is written", function()
    local config = { media_type = "a/b", digest = D1, size = 1 }
    local bytes, err = manifest.build { config = config, layers = {},
                                        annotations = { a = ("x"):rep(manifest.MAX) } }
    assert.is_nil(bytes)
    assert.equal("too_large", err.kind)
    assert.matches("annotations", tostring(err))
    assert.equal("[]", manifest.build({ config = config, layers = {} }):match('"layers": (%S+)'))
  end)
end)
