--- Homes with what the real programs made: the golden artifacts, blob by blob.
local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local generation1 = require "spec.support.generation1"
local golden = require "spec.support.golden"
local media = require "epoch.media"
local ports = require "epoch.ports"
local snapshot = require "epoch.snapshot"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local M = {}

local function put_blob(home, name, bytes)
  assert(home:put_blob(name, core.digest(bytes), #bytes, bytes))
end

--- The snapshot of v1-small: its layers are the files of the export.
function M.put_snapshot(home, name, tag)
  local archive = golden.read("v1-small/export.tar")
  local reader = core.tar_reader(core.bytes(archive), { sparse = tar.SPARSE })
  local entry = reader:next()
  while entry do
    local at = reader:offset()
    put_blob(home, name, archive:sub(at + 1, at + entry.size))
    assert(tar.skip(reader))
    entry = reader:next()
  end
  reader:close()
  put_blob(home, name, golden.read("v1-small/config.json"))
  return assert(home:put_manifest(name, tag, golden.read("v1-small/manifest.json"), media.OCI_MANIFEST))
end

--- The cloud image, whose disk is cloudimg/disk.qcow2.
function M.put_image(home, name, tag)
  for _, blob in ipairs(golden.names "^cloudimg/blobs/") do
    put_blob(home, name, golden.read(blob))
  end
  return assert(home:put_manifest(name, tag, golden.read("cloudimg/manifest.json"), media.OCI_MANIFEST))
end

--- The export of v2-big, pushed as this project pushes it. `dir` is for the stand-in of cocoon.
function M.push_big(task, dir, home, name, tag)
  local runner = assert(snapshot.exec_cocoon { binary = artifacts.program(dir), stderr = "null" })
  work.write_file(dir .. "/export", golden.read("v2-big/export.tar"))
  return assert(snapshot.pusher { uploader = ports.uploader(home), cocoon = runner, task = task }:push {
    name = name, tag = tag, snapshot = "big",
  }).manifest_digest
end

--- A home that a program of generation 1 has filled, in a new directory: g-small:v1.
function M.unpack_generation1(dir)
  generation1.store(dir .. "/home")
  return "file://" .. dir .. "/home"
end

return M
