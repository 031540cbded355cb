local catalog = require "epoch.catalog"
local golden = require "spec.support.golden"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local work = require "spec.support.work"

local v1 = manifest.v1

local HEX = ("a"):rep(64)

local function layer(over)
  local l = { digest = HEX, size = 5, filename = "config.json", mediaType = v1.CONFIG }
  for k, v in pairs(over or {}) do
    l[k] = v ~= "none" and v or nil
  end
  return l
end

local function text(over)
  local m = { schemaVersion = 1, name = "demo", tag = "v1", snapshotId = "ID", totalSize = 5,
              layers = json.array { layer() }, createdAt = "T", pushedAt = "U" }
  for k, v in pairs(over or {}) do
    m[k] = v ~= "none" and v or nil
  end
  return assert(json.encode(m))
end

local function refused(kind, words, s, content_type)
  for _, parse in ipairs { manifest.parse, v1.parse } do
    local m, err = parse(s, content_type)
    assert.is_nil(m, s)
    assert.equal(kind, err.kind)
    assert.matches(words, tostring(err))
  end
end

local function files(...)
  local list = {}
  for i, name in ipairs { ... } do
    list[i] = layer { filename = name, mediaType = "none" }
  end
  return json.array(list)
end

-- What build takes of what parse answers.
local function parts(m)
  local function layers(list)
    local out = {}
    for i, one in ipairs(list) do
      out[i] = { title = one.title, digest = one.digest, size = one.size, media_type = one.media_type }
    end
    return out
  end
  return {
    name = m.name, tag = m.tag, snapshot_id = m.snapshot_id, image = m.image,
    image_blob_ids = m.image_blob_ids, cpu = m.cpu, memory = m.memory, storage = m.storage,
    nics = m.nics, layers = layers(m.layers), base_images = layers(m.base_images),
    created_at = m.created_at, pushed_at = m.pushed_at,
  }
end

describe("a manifest of generation 1", function()
  it("is read, in the form of the other", function()
    local bytes = golden.read("gen1/manifest.json")
    local m = assert(manifest.parse(bytes))
    assert.same(m, v1.parse(bytes))
    assert.equal(1, m.generation)
    assert.equal(bytes, m.bytes)
    assert.equal("snapshot", manifest.classify(m))
    assert.same({ "g-small", "v1", "W2JU6RNPEHO2QGIGBWCR34YDIT", "ubuntu:24.04" },
                { m.name, m.tag, m.snapshot_id, m.image })
    assert.same({ 2, 536870912, 10737418240, 1 }, { m.cpu, m.memory, m.storage, m.nics })
    assert.equal("536870912", tostring(m.memory))
    assert.same({ "2026-11-21T05:16:18.457904159Z", "2026-11-21T05:18:10.843597284Z" },
                { m.created_at, m.pushed_at })
    assert.equal(6, #m.layers)
    assert.same({
      digest = "sha256:20fb49505c634165f9e9d3bca901bac61887044875d1b87cd3b39b4198bb1671",
      size = 1024, title = "cidata.img", media_type = v1.CIDATA, annotations = {},
    }, m.layers[1])
    assert.equal(1, #m.base_images)
    assert.equal(("cd"):rep(32) .. ".qcow2", m.base_images[1].title)
    assert.equal(2167544, m.total_size)
    assert.equal(m.total_size, manifest.total_size(m))
    assert.same({}, m.image_blob_ids)
  end)

  it("is written as the reference writes it, byte for byte", function()
    local bytes = golden.read("gen1/manifest.json")
    work.assert_same_bytes(bytes, assert(v1.build(parts(assert(v1.parse(bytes))))))
  end)

  it("says which key a base image has, where it says that", function()
    local m = assert(v1.parse(text { imageBlobIDs = { [HEX] = "blobs/sha256/" .. HEX } }))
    assert.same({ [HEX] = "blobs/sha256/" .. HEX }, m.image_blob_ids)
    assert.same(m.image_blob_ids, assert(v1.parse(assert(v1.build(parts(m))))).image_blob_ids)
  end)

  it("has media types by the names of files", function()
    local ours = "application/vnd.cocoon."
    for name, expected in pairs {
      ["config.json"] = ours .. "config+json", ["state.json"] = ours .. "state+json",
      ["memory-ranges"] = ours .. "memory", ["cidata.img"] = ours .. "cidata",
      ["overlay.qcow2"] = ours .. "disk.qcow2", ["x.qcow2"] = ours .. "disk.qcow2",
      ["cow.raw"] = ours .. "disk.raw", ["data-extra.raw"] = "application/octet-stream",
      ["disk.qcow2.part.001"] = "application/octet-stream",
    } do
      assert.equal(expected, v1.media_type_for_file(name))
      assert.equal(expected, v1.parse(text { layers = files(name) }).layers[1].media_type)
    end
    assert.same({ ours .. "disk.qcow2", ours .. "disk.raw", ours .. "memory", ours .. "cidata",
                  ours .. "config+json", ours .. "state+json", "application/octet-stream" },
                { v1.DISK_QCOW2, v1.DISK_RAW, v1.MEMORY, v1.CIDATA, v1.CONFIG, v1.STATE, v1.GENERIC })
    for _, layer_read in ipairs(assert(v1.parse(golden.read("gen1/manifest.json"))).layers) do
      assert.equal(layer_read.media_type, v1.media_type_for_file(layer_read.title))
    end
  end)

  it("is known without a version, as the first programs wrote it", function()
    local first = { schemaVersion = "none", snapshotId = "none", snapshotID = "ID1", pushedAt = "none",
                    layers = files("config.json", "overlay.qcow2") }
    for _, version in ipairs { "none", 0, json.null } do
      first.schemaVersion = version
      for _, parse in ipairs { manifest.parse, v1.parse } do
        local m = assert(parse(text(first)))
        assert.same({ 1, "ID1", "overlay.qcow2", "sha256:" .. HEX, v1.CONFIG, "T" }, {
          m.generation, m.snapshot_id, m.layers[2].title, m.layers[2].digest, m.layers[1].media_type, m.created_at })
        assert.equal("snapshot", manifest.classify(m))
      end
    end
    first.snapshotId = "ID2"
    assert.equal("ID2", assert(v1.parse(text(first))).snapshot_id)
    for _, over in ipairs { { layers = "none" }, { layers = json.array {} }, { layers = json.array { 7 } },
                            { layers = json.array { { digest = HEX } } } } do
      over.schemaVersion = "none"
      refused("unsupported", "", text(over))
    end
  end)

  it("is an image where there are disks and nothing else", function()
    local function kind(over)
      return manifest.classify(assert(manifest.parse(text(over))))
    end
    assert.equal("cloud-image", kind { layers = files("win11.qcow2") })
    assert.equal("cloud-image", kind { layers = files("win11.qcow2.part.aa", "win11.qcow2.part.ab") })
    assert.equal("cloud-image", kind { layers = files("disk.raw", "disk.raw.part.0") })
    assert.equal("snapshot", kind { layers = files("overlay.qcow2", "config.json") })
    assert.equal("snapshot", kind { layers = files("overlay.qcow2"), baseImages = files("base.qcow2") })
    assert.equal("snapshot", kind { layers = files("overlay.qcow2"), imageBlobIDs = { [HEX] = HEX } })
    assert.equal("snapshot", kind { layers = files("disk.qcow2.part.") })
    assert.equal("unknown", kind { layers = json.array {} })
    assert.equal("unknown", kind { layers = json.null })
    local m = assert(manifest.parse(text { layers = files("a.qcow2.part.0", "b.raw", "config.json") }))
    assert.same({ true, true, false }, { manifest.is_disk(m, m.layers[1]), manifest.is_disk(m, m.layers[2]),
                                         manifest.is_disk(m, m.layers[3]) })
  end)

  it("that is two things at once is ambiguous", function()
    refused("invalid", "ambiguous", text { mediaType = "application/vnd.oci.image.manifest.v1+json" })
    refused("invalid", "ambiguous", text { artifactType = "application/x" })
    refused("invalid", "ambiguous", text { config = layer() })
    refused("invalid", "ambiguous", text { manifests = json.array {}, layers = "none" })
    refused("invalid", "ambiguous", text { subject = layer() })
    refused("invalid", "there twice", (text():gsub("^{", '{"layers":[],')))
    assert.is_nil(manifest.parse(text(), "application/vnd.oci.image.index.v1+json"))
    assert(manifest.parse(text(), "application/vnd.oci.image.manifest.v1+json"))
  end)

  it("with a size or a count that is no whole number is refused", function()
    for _, size in ipairs { "-1", "1.5", '"5"', "9007199254740992", "1e300", "null", "true", "[]" } do
      refused("invalid", "layers%[0%]: size must be a whole number", (text():gsub('"size":5', '"size":' .. size)))
    end
    for _, name in ipairs { "cpu", "memory", "storage", "nics", "totalSize" } do
      for _, value in ipairs { -1, 1.5, "5", true } do
        refused("invalid", name .. " must be a whole number", text { [name] = value })
      end
      refused("invalid", name, (text { [name] = "X" }:gsub('"X"', "9007199254740993")))
    end
    refused("invalid", "JSON", (text():gsub('"size":5', '"size":nan')))
  end)

  it("with a digest that is none is refused", function()
    for _, digest in ipairs { "", ("A"):rep(64), ("a"):rep(63), ("a"):rep(65), HEX .. "\n",
                              "../../" .. ("a"):rep(58), "md5:" .. ("a"):rep(32), "sha256:" .. HEX .. "/x", 7 } do
      refused("invalid", "layers%[0%]", text { layers = json.array { layer { digest = digest } } })
      refused("invalid", "baseImages%[0%]", text { baseImages = json.array { layer { digest = digest } } })
    end
    assert.equal("sha256:" .. HEX,
      assert(v1.parse(text { layers = json.array { layer { digest = "sha256:" .. HEX } } })).layers[1].digest)
  end)

  it("with members of another kind is refused", function()
    refused("invalid", "filename is missing", text { layers = json.array { layer { filename = "none" } } })
    refused("invalid", "filename is not a text", text { layers = json.array { layer { filename = 7 } } })
    refused("invalid", "mediaType is not a text", text { layers = json.array { layer { mediaType = 7 } } })
    refused("invalid", "layers%[0%]: must be an object", text { layers = json.array { 7 } })
    refused("invalid", "layers: must be a list", text { layers = { a = layer() } })
    refused("invalid", "layers: must be a list", text { layers = 7 })
    refused("invalid", "baseImages: must be a list", text { baseImages = "x" })
    refused("invalid", "imageBlobIDs", text { imageBlobIDs = 7 })
    refused("invalid", "imageBlobIDs", text { imageBlobIDs = json.array { "x" } })
    refused("invalid", "imageBlobIDs", text { imageBlobIDs = { x = 7 } })
    for _, name in ipairs { "name", "tag", "snapshotId", "image", "createdAt", "pushedAt" } do
      refused("invalid", name .. " is not a text", text { [name] = 7 })
    end
  end)

  it("is no other", function()
    for _, s in ipairs { "[]", "{}", '{"schemaVersion":2}', '{"schemaVersion":"1"}', "7", "null",
                         text { fsLayers = json.array {} } } do
      local m, err = v1.parse(s)
      assert.is_nil(m)
      assert.equal("unsupported", err.kind)
    end
    local m, err = v1.parse("{")
    assert.is_nil(m)
    assert.equal("invalid", err.kind)
    m, err = v1.parse((" "):rep(json.MAX) .. text())
    assert.is_nil(m)
    assert.equal("too_large", err.kind)
  end)

  it("is not written with what it cannot say, nor larger than it can be read", function()
    local given = parts(assert(v1.parse(text())))
    given.layers[1].digest = "sha512:" .. ("a"):rep(128)
    assert.has_error(function() v1.build(given) end)
    given.layers[1].digest = HEX
    assert.has_error(function() v1.build(given) end)
    given.layers[1].digest, given.layers[1].size = "sha256:" .. HEX, -1
    assert.has_error(function() v1.build(given) end)
    given.layers[1].size, given.image = 5, ("x"):rep(json.MAX)
    local bytes, err = v1.build(given)
    assert.is_nil(bytes)
    assert.equal("too_large", err.kind)
  end)
end)

describe("the catalog of generation 1", function()
  it("is the one of the other", function()
    assert.equal(catalog, v1.catalog)
    local bytes = golden.read("gen1/catalog.json")
    local read = assert(v1.catalog.parse(bytes))
    assert.equal("2026-11-21T05:18:10.845964715Z", read.updated_at)
    assert.same({ ["g-small"] = { tags = { v1 = "manifests/g-small/v1.json" },
                                  updated_at = "2026-11-21T05:18:10.845964655Z" } }, read.repositories)
    work.assert_same_bytes(bytes, assert(v1.catalog.encode(read)))
  end)

  it("may have digests for keys", function()
    local read = assert(v1.catalog.parse(('{"repositories":{"demo":{"tags":{"v1":"%s"}}}}'):format(HEX)))
    assert.equal(HEX, read.repositories.demo.tags.v1)
  end)
end)
