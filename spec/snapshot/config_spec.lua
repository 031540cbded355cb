local config = require "epoch.snapshot.config"
local envelope = require "epoch.snapshot.envelope"
local golden = require "spec.support.golden"
local json = require "epoch.json"
local pieces = require "epoch.pieces"
local work = require "spec.support.work"

local CONFIG = golden.read "v1-small/config.json"

--- The snapshot.json of a golden archive: its first entry.
local function envelope_of(name)
  local archive = golden.read("v1-small/" .. name .. ".tar")
  local size = tonumber(archive:sub(125, 135), 8)
  return archive:sub(513, 512 + size)
end

local function files_of(conf)
  local files = {}
  for title, file in pairs(conf.files) do
    files[#files + 1] = { name = title, mode = file.mode,
                          sparse = file.sparse_map and { map = file.sparse_map,
                                                         size = file.sparse_size } }
  end
  return files
end

-- The blob as a string.
local function build(...)
  local blob, err = config.build(...)
  return blob and pieces.whole(blob), err
end

local function write(conf, local_name)
  return pieces.whole(envelope.write(conf, local_name))
end

--- What a pull gives for a config blob that push made of `s`.
local function round(s)
  local blob = assert(build(assert(envelope.read(s)), {}, "2026-01-01T00:00:00Z"))
  return write(assert(config.parse(blob)), "local"), blob
end

describe("a snapshot's config", function()
  it("is what the reference makes of the same export, byte for byte, and extra", function()
    local conf = assert(config.parse(CONFIG))
    local blob = assert(build(assert(envelope.read(envelope_of("export"))),
                              files_of(conf), conf.created_at))
    local extra = ',"extra":{"queue_size":256,"disk_queue_size":128,"no_direct_io":true}}'
    work.assert_same_bytes(CONFIG:sub(1, -2) .. extra, blob)
  end)

  it("gives the snapshot.json that the reference gives, byte for byte", function()
    work.assert_same_bytes(envelope_of("import"),
                           write(assert(config.parse(CONFIG)), "from-ref"))
  end)

  it("is read into plain values", function()
    local conf = assert(config.parse(CONFIG))
    assert.equal("W2JU6RNPEHO2QGIGBWCR34YDIT", conf.snapshot_id)
    assert.same({ 2, 536870912, 10737418240, 1 }, { conf.cpu, conf.memory, conf.storage, conf.nics })
    assert.same({ [("cd"):rep(32)] = true }, conf.image_blob_ids)
    assert.same({ mode = 416, sparse_map = '[{"o":524288,"l":4096}]', sparse_size = 1048576 },
                conf.files["data-extra.raw"])
    assert.is_nil(conf.windows)
  end)

  it("keeps to the digit what it has no member for", function()
    local extra = { '"big":123456789012345678901234567890', '"f":1.50', '"e":1E+2', '"neg":-0',
                    '"s":"\\u00e9\\/é"', '"list":[1,{"a":[]},{}]', '"none":null', '"o":{"name":"x"}' }
    local s = '{"version":1,"config":{"name":"a",' .. table.concat(extra, ",") .. "}}"
    local out, blob = round(s)
    for _, member in ipairs(extra) do
      assert.truthy(blob:find(member, 1, true), member)
      assert.truthy(out:find((member:gsub(":", ": ", 1)), 1, true), member)
    end
    assert(json.decode(out))
    assert.truthy(blob:find('"extra":{' .. table.concat(extra, ",") .. "}", 1, true))
    assert.equal(blob, select(2, round(out))) -- and once more
  end)

  it("keeps numbers that Lua would round", function()
    local out = round '{"version":1,"config":{"name":"a","storage":9223372036854775807}}'
    assert.truthy(out:find('"storage": 9223372036854775807\n', 1, true))
  end)

  it("leaves out what says nothing, and has an object where one belongs", function()
    local out, blob = round [[{ "config": { "id": "", "name": "a", "cpu": 0, "windows": false,
      "image_blob_ids": {}, "network": null } }]]
    assert.equal('{"schemaVersion":"v1","files":{},"createdAt":"2026-01-01T00:00:00Z"}', blob)
    assert.equal('{\n  "version": 1,\n  "config": {\n    "name": "local"\n  }\n}\n', out)
    assert.truthy((round '{"config":{"windows":true}}'):find('"windows": true', 1, true))
  end)

  it("of a snapshot.json that is none is an error that says why", function()
    for s, words in pairs {
      [""] = "JSON", ["[]"] = "no JSON object", ["{}"] = "no config object", ["null"] = "no JSON object",
      ['{"config":[]}'] = "no config object", ['{"version":2,"config":{}}'] = "version 2",
      ['{"config":{"id":7}}'] = "config.id: must be a text, not 7",
      ['{"config":{"cpu":"2"}}'] = "config.cpu: must be a whole number",
      ['{"config":{"cpu":1.5}}'] = "whole number", ['{"config":{"cpu":1e3}}'] = "whole number",
      ['{"config":{"windows":1}}'] = "true or false",
      ['{"config":{"image_blob_ids":[]}}'] = "an object",
      ['{"config":{"name":"a","name":"b"}}'] = "there twice",
      ['{"config":{"name":"\255"}}'] = "UTF%-8",
    } do
      local e, err = envelope.read(s)
      assert.is_nil(e, s)
      assert.matches(words, tostring(err))
    end
  end)

  it("that cannot be read is an error that says why", function()
    local function bent(members)
      return '{"schemaVersion":"v1",' .. members .. "}"
    end
    for s, words in pairs {
      [""] = "JSON", ["[1]"] = "no JSON object", ['{"schemaVersion":"v2"}'] = 'schemaVersion is "v2"',
      ["{}"] = "schemaVersion is missing", [bent '"files":[1]'] = "not a list",
      [bent '"files":7'] = "must be an object", [bent '"files":{"a":7}'] = '"a": must be an object',
      [bent '"files":{"a":{"mode":-1}}'] = "mode is not a whole",
      [bent '"files":{"a":{"mode":"420"}}'] = "mode is not a whole",
      [bent '"files":{"a":{"sparseSize":1.5}}'] = "sparseSize is not a whole",
      [bent '"files":{"a":{"sparseMap":[]}}'] = "sparseMap must be a text",
      [bent '"cpu":"2"'] = "cpu: must be a whole number",
      [bent '"extra":[]'] = "extra: must be an object",
      [bent '"extra":{"name":"other"}'] = '"name" has a place of its own',
      [bent '"extra":{"n\\u0061me":"other"}'] = '"name" has a place of its own',
      [bent '"extra":{"a":1,"a":2}'] = "there twice",
    } do
      local conf, err = config.parse(s)
      assert.is_nil(conf, s)
      assert.matches(words, tostring(err))
    end
  end)

  it("has 16 MiB, and not a byte more", function()
    local read = assert(envelope.read '{"config":{}}')
    local function sized(n)
      return build(read, { { name = "a", mode = 0, sparse = { map = ("x"):rep(n), size = 1 } } },
                          "t")
    end
    local rest = #assert(sized(0))
    local blob = assert(sized(config.MAX - rest))
    assert.equal(config.MAX, #blob)
    assert(config.parse(blob))
    local none, err = sized(config.MAX - rest + 1)
    assert.is_nil(none)
    assert.equal("too_large", err.kind)
    assert.matches("compact", tostring(err))
    assert.equal("too_large", select(2, config.parse(blob .. " ")).kind)
  end)
end)
