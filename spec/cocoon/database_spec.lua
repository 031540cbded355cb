local database = require "epoch.cocoon.database"
local golden = require "spec.support.golden"
local json = require "epoch.json"

local ID = "W2JU6RNPEHO2QGIGBWCR34YDIT"
local T = "2026-11-21T05:16:18.457904159Z"

local function refused(kind, words, bytes)
  local db, err = database.parse(bytes)
  assert.is_nil(db)
  assert.equal(kind, err.kind)
  assert.matches(words, tostring(err))
end

describe("cocoon's database", function()
  it("is read", function()
    local db = assert(database.parse(golden.read("gen1/snapshots.json")))
    assert.same({ ["g-small"] = ID }, db.names)
    assert.same({
      id = ID, name = "g-small", description = "made for tests", image = "ubuntu:24.04",
      image_blob_ids = { [("cd"):rep(32)] = true }, cpu = 2, memory = 536870912,
      storage = 10737418240, nics = 1, created_at = T,
      data_dir = "/var/lib/cocoon/snapshot/localfile/" .. ID,
    }, db.snapshots[ID])
  end)

  it("is written as it was, when nothing in it was changed", function()
    local bytes = golden.read("gen1/snapshots.json")
    assert.equal(bytes, database.encode(assert(database.parse(bytes))))
    local odd = '{"zzz":[1.50,{"a":12345678901234567890}],"names":{"b":"2","a":"1"},"snapshots":{'
      .. '"2":{"later":{"x":-0.0},"id":"2","cpu":0,"pending":false,"name":"b","nics":null},'
      .. '"1":{"name":"a"}},"version":2}\n'
    assert.equal(odd, database.encode(assert(database.parse(odd))))
  end)

  it("keeps what is not known of a record that is changed", function()
    local db = assert(database.parse('{"snapshots":{"1":{"id":"1","queue_size":256,"cpu":2,"name":"a",'
      .. '"memory":5,"image_blob_ids":{"x":{}},"pending":true,"big":123456789012345678901}},"names":{"a":"1"}}'))
    local record = db.snapshots["1"]
    record.cpu, record.pending, record.description, record.created_at = 4, nil, "new", T
    record.image_blob_ids.y, record.name, record.memory = true, "", 0
    db.names.b = "1"
    assert.equal('{"snapshots":{"1":{"id":"1","queue_size":256,"cpu":4,"name":"",'
      .. '"image_blob_ids":{"x":{},"y":{}},"big":123456789012345678901,"description":"new",'
      .. '"created_at":"' .. T .. '"}},"names":{"a":"1","b":"1"}}\n', database.encode(db))
  end)

  it("gets new records behind the old ones, and loses those that were taken out", function()
    local db = assert(database.parse('{"snapshots":{"z":{"id":"z"},"y":{"id":"y"}},"names":{"n":"z"}}'))
    db.snapshots.z, db.names.n = nil, nil
    db.snapshots.b = { id = "b", created_at = T, nics = 1, image_blob_ids = {}, data_dir = "/d" }
    db.snapshots.a = { id = "a", name = "x", created_at = T, pending = true, image_blob_ids = { h = true } }
    db.names.x = "a"
    assert.equal('{"snapshots":{"y":{"id":"y"},'
      .. '"a":{"id":"a","name":"x","image_blob_ids":{"h":{}},"created_at":"' .. T .. '","pending":true},'
      .. '"b":{"id":"b","name":"","nics":1,"created_at":"' .. T .. '","data_dir":"/d"}},'
      .. '"names":{"x":"a"}}\n', database.encode(db))
  end)

  it("is empty where nothing is", function()
    assert.equal('{"snapshots":{},"names":{}}\n', database.encode(database.empty()))
    for _, bytes in ipairs { "{}", '{"names":null}', '{"snapshots":null,"names":{}}',
                             '{"snapshots":{"x":null}}' } do
      local db = assert(database.parse(bytes))
      assert.same({ {}, {} }, { db.snapshots, db.names })
    end
    assert.equal('{"names":{},"snapshots":{}}\n', database.encode(assert(database.parse('{"names":null}'))))
  end)

  it("that is none is refused", function()
    for _, bytes in ipairs { "", "[]", "7", "null", '{"snapshots":{}', '{"snapshots":{},"snapshots":{}}',
                             '{"snapshots":[1]}', '{"snapshots":7}', '{"names":["x"]}', '{"names":{"a":7}}',
                             '{"names":{"a":null}}', '{"snapshots":{"x":7}}', '{"snapshots":{"x":["id"]}}' } do
      refused("invalid", "^snapshots.json", bytes)
    end
    for member, words in pairs {
      ['"cpu":"2"'] = "snapshots.x.cpu must be a whole number", ['"cpu":1.5'] = "whole number",
      ['"memory":9007199254740993'] = "whole number", ['"id":7'] = "x.id must be a text",
      ['"pending":1'] = "true or false", ['"image_blob_ids":["x"]'] = "must be an object",
    } do
      refused("invalid", words, ('{"snapshots":{"x":{%s}}}'):format(member))
    end
    refused("too_large", "67108864", (" "):rep(database.MAX) .. "{}")
  end)

  it("takes no record that cocoon could not read", function()
    for _, record in ipairs {
      { name = "x", created_at = T }, { id = "x" }, { id = "", created_at = T },
      { id = "x", created_at = T, cpu = "2" }, { id = "x", created_at = T, queue_size = 256 },
      { id = "x", created_at = T, image_blob_ids = { "h" } },
      { id = "x", created_at = T, image_blob_ids = { h = {} } },
      { id = "x", created_at = "" }, { id = "x", created_at = "yesterday" },
      { id = "x", created_at = "2026-02-30T00:00:00Z" },
    } do
      local db = database.empty()
      db.snapshots.x = record
      assert.has_error(function() database.encode(db) end)
    end
  end)

  it("gets no time that cocoon could not read, and keeps what it had for one", function()
    local bytes = '{"snapshots":{"x":{"id":"x","created_at":""}},"names":{}}'
    local db = assert(database.parse(bytes))
    db.snapshots.x.cpu = 1
    assert.equal('{"snapshots":{"x":{"id":"x","created_at":"","cpu":1}},"names":{}}\n', database.encode(db))
    for _, wrong in ipairs { "T", "2026-11-21", false } do
      db.snapshots.x.created_at = wrong or nil
      assert.error_matches(function() database.encode(db) end, "created_at")
    end
    db.snapshots.x.created_at = T
    assert.truthy(database.encode(db):find(T, 1, true))
  end)

  it("has text in it that is JSON for others, too", function()
    local db = database.empty()
    db.snapshots.x = { id = "x", created_at = T, description = 'a "b"\n\\ é\0' }
    local decoded = assert(json.decode(database.encode(db)))
    assert.equal('a "b"\n\\ é\0', decoded.snapshots.x.description)
  end)
end)
