--- What specs of snapshots and cloud images need: ports over tables, a small program in place
-- of cocoon, and artifacts made by hand.

local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local media = require "epoch.media"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local M = {}

local Store = {}
Store.__index = Store

function Store:note(...)
  self.log[#self.log + 1] = table.concat({ ... }, " ")
end

function Store:add(bytes)
  local digest = core.digest(bytes)
  self.blobs[digest] = bytes
  return digest
end

function Store:blob_exists(name, digest)
  self:note("exists", name, digest)
  return self.blobs[digest] ~= nil
end

function Store:put_blob(name, digest, body, size)
  self:note("put", name, digest)
  local sink = core.collect(64 * 1024 * 1024)
  local moved, err = self.task:flow { source = assert(body()), sink = sink, size = size,
                                      digest = digest }
  if not moved then
    return nil, err
  end
  self.blobs[digest] = sink:bytes()
  return true
end

function Store:put_manifest(name, tag, bytes, media_type)
  self:note("manifest", name, tag)
  self.manifests[name .. ":" .. tag], self.types[name .. ":" .. tag] = bytes, media_type
  return true
end

function Store:get_manifest(name, tag)
  self:note("get manifest", name, tag)
  local bytes = self.manifests[name .. ":" .. tag]
  if not bytes then
    return errors.fail("not_found", "no manifest " .. name .. ":" .. tag)
  end
  return bytes, self.types[name .. ":" .. tag]
end

function Store:get_blob(name, digest)
  self:note("get", name, digest)
  if self.fault[digest] then
    return self.fault[digest](self.blobs[digest])
  elseif not self.blobs[digest] then
    return errors.fail("not_found", "no blob " .. digest)
  end
  return core.bytes(self.blobs[digest])
end

function Store:read_blob(digest)
  return self:get_blob("-", digest)
end

function Store:logged(word)
  for _, line in ipairs(self.log) do
    if line:find(word, 1, true) == 1 then
      return true
    end
  end
  return false
end

--- A store in tables that is an uploader and a downloader; `log` has what was asked of it.
-- `fault[digest]` is a function that answers instead of the blob's source.
function M.store(task)
  return setmetatable({ task = task, blobs = {}, manifests = {}, types = {}, log = {},
                        fault = {} }, Store)
end

--- A stand-in that takes the end of its input for success, as cocoon does, and waits for it
-- whatever signal comes. In `dir`: `export` is what it exports, `argv` and `env` how it was
-- started, `committed` what it has imported. `more` is shell that runs first.
function M.program(dir, more)
  local path = dir .. "/cocoon"
  work.write_file(path, ([[
#!/bin/sh
cd '%s' || exit 9
printf '%%s|' "$@" >argv
env >env
%s
case "$1 $2" in
'snapshot export') cat export || exit 7 ;;
'snapshot import')
  trap '' TERM
  cat >part
  if tar tf part >/dev/null 2>&1; then mv part committed; else echo 'invalid tar' >&2; exit 1; fi ;;
'image import')
  trap '' TERM
  cat >part && mv part committed ;;
esac
]]):format(dir, more or ""))
  os.execute("chmod +x " .. path)
  return path
end

--- Puts a snapshot into a store. `files`: { {title, bytes, more = members of its place in the
-- config} …}; `change(config, manifest)` may bend both before they are written.
function M.snapshot(store, name, files, change)
  local layers, of_config = {}, {}
  for i, file in ipairs(files) do
    layers[i] = { mediaType = file.media_type or media.for_file(file[1]),
                  digest = store:add(file[2]), size = file.size or #file[2],
                  annotations = file[1] and { [media.TITLE] = file[1] } }
    of_config[file[1] or "?"] = file.more or { mode = 416 }
  end
  local config = { schemaVersion = "v1", snapshotId = "ID", files = of_config,
                   createdAt = "2026-11-21T05:16:47Z" }
  local manifest = { schemaVersion = 2, mediaType = media.OCI_MANIFEST,
                     artifactType = media.SNAPSHOT }
  if change then
    change(config, manifest)
  end
  local blob = type(config) == "table" and assert(json.encode(config))
  manifest.config = manifest.config or { mediaType = media.SNAPSHOT_CONFIG,
                                         digest = store:add(blob), size = #blob }
  manifest.layers = json.array(layers)
  store.manifests[name] = assert(json.encode(manifest))
  store.types[name] = media.OCI_MANIFEST
  return store.manifests[name], layers
end

--- Puts a cloud image of `parts` ({title, bytes, media_type=} each) into a store.
function M.image(store, name, parts)
  local layers = {}
  for i, part in ipairs(parts) do
    layers[i] = { mediaType = part.media_type or media.DISK_QCOW2 .. ".part",
                  digest = store:add(part[2]), size = #part[2],
                  annotations = { [media.TITLE] = part[1] } }
  end
  store.manifests[name] = assert(json.encode {
    schemaVersion = 2, mediaType = media.OCI_MANIFEST, artifactType = media.OS_IMAGE,
    config = { mediaType = media.OCI_EMPTY, digest = store:add("{}"), size = 2 },
    layers = json.array(layers),
  })
  store.types[name] = media.OCI_MANIFEST
  return store.manifests[name], layers
end

--- An export: snapshot.json and files ({name, bytes} each, or raw tar text).
function M.export(files, envelope)
  local out = { envelope ~= false and tar.file("snapshot.json", envelope
    or '{"version":1,"config":{"id":"ID","name":"vm"}}') or "" }
  for _, file in ipairs(files) do
    out[#out + 1] = type(file) == "string" and file or tar.file(file[1], file[2])
  end
  return table.concat(out) .. tar.trailer
end

return M
