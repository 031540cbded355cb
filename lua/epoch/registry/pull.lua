--- A snapshot of generation 1 into cocoon's own directories: its files, its base images, and then
-- the record, so that what is cut short has no record, and can be done again.
--
--     local m = assert(epoch.registry.pull(task, home, epoch.cocoon.paths.new {}, { name = "demo", tag = "v1" }))
--
-- A file that is there is used only when its size and digest are right.
local calendar = require "epoch.calendar"
local core = require "epoch.core"
local errors = require "epoch.errors"
local listeners = require "epoch.listeners"
local manifest = require "epoch.manifest"
local old = require "epoch.snapshot.old"
local options = require "epoch.options"
local ports = require "epoch.ports"
local stream = require "epoch.snapshot.stream"
local text = require "epoch.text"

local M = {}

local DIR_MODE = tonumber("750", 8)
local FILE_MODE, BASE_MODE = tonumber("644", 8), tonumber("444", 8)
local SEVERAL = 3 -- files at once

local PULL = {
  name = { type = "string", required = true }, -- in the store, and then cocoon's
  tag = { type = "string", default = "latest" },
  progress = { type = "function" }, -- (line), for people
  on_event = { type = "function" }, -- (event), for programs: see epoch.listeners
}

-- Where each of a manifest's files goes; or what is wrong with one of them.
local function files_of(here, m, data_dir)
  local files, seen = {}, {}
  for _, layer in ipairs(m.layers) do
    local ok, err = stream.entry { name = layer.title, size = layer.size }
    if not ok then
      return nil, err
    elseif seen[layer.title] then
      return errors.fail("invalid", ("two layers are called %s"):format(text.quote(layer.title)))
    end
    seen[layer.title] = true
    files[#files + 1] = { layer = layer, path = data_dir .. "/" .. layer.title, mode = FILE_MODE }
  end
  for _, layer in ipairs(m.base_images) do
    local id = old.base_id(layer.title)
    if not id or seen[id] then
      return errors.fail("invalid", ("the base image %s is %s"):format(text.quote(layer.title),
        id and "there twice" or "not called HEX.qcow2, HEX.raw or HEX"))
    end
    seen[id] = true
    files[#files + 1] = { layer = layer, path = here:cloudimg_blob_dir() .. "/" .. layer.title, mode = BASE_MODE }
  end
  return files
end

-- Is the file there as it has to be? nil and the error: it is, and cannot be read.
local function is_there(task, file)
  local stat = core.stat(file.path)
  if not stat or stat.type ~= "file" or stat.size ~= file.layer.size then
    return false
  end
  local source, message, code = core.file(file.path)
  if not source then
    return errors.fail(code, message)
  end
  local hashed, err = task:flow { source = source, hash = "sha256" }
  return hashed and hashed.digest == file.layer.digest, err
end

local function fetch(task, home, name, file, heard)
  local layer = file.layer
  local there, err = is_there(task, file)
  if there then
    heard:mention(layer, "is there already")
    heard:tell("done", layer, layer.size, { transferred = false })
    return true
  elseif there == nil then
    return nil, err
  end
  local blob
  blob, err = home:get_blob(name, layer.digest)
  if not blob then
    return nil, err
  end
  local sink, message, code = core.create(file.path, { mode = file.mode })
  if not sink then
    blob:close()
    return errors.fail(code, message)
  end
  heard:mention(layer)
  heard:tell("start", layer, 0)
  local moved
  moved, err = ports.flow(task, blob, {
    sink = sink, size = layer.size, digest = layer.digest, what = text.quote(layer.title),
  }, heard:progress_of(layer))
  if moved then
    heard:tell("done", layer, layer.size, { transferred = true })
  end
  return moved, err
end

-- May cocoon have this snapshot under this name? true, or nil and the error.
local function check_free(db, id, name)
  local record, other = db.snapshots[id], db.names[name]
  if other and other ~= id and db.snapshots[other] then
    return errors.fail("conflict", ("cocoon has another snapshot called %s, %s; remove or rename it "
      .. "first"):format(name, text.quote(other)))
  elseif record and (record.name or "") ~= name then
    return errors.fail("conflict", ("cocoon has the snapshot %s already, as %s"):format(id,
      text.quote(record.name or "")))
  end
  return true
end

-- What the manifest says of a snapshot, in cocoon's record; what it does not say stays.
local function record_of(m, name, data_dir, known)
  local record = known or { id = m.snapshot_id }
  record.name, record.image, record.image_blob_ids = name, m.image, old.base_ids(m)
  record.cpu, record.memory, record.storage, record.nics = m.cpu, m.memory, m.storage, m.nics
  record.created_at, record.data_dir, record.pending = m.created_at, data_dir, nil
  return record
end

-- The manifest, when all of it can be used, and where its files go.
local function plan(home, here, opts)
  local m, err = ports.fetch_manifest(ports.downloader(home), opts.name, opts.tag)
  local what = ports.asked(opts)
  if m and manifest.classify(m) ~= "snapshot" then
    return nil, manifest.wrong_kind(m, what, "snapshot")
  elseif m and m.generation ~= 1 then
    return errors.fail("unsupported", ("manifest %s is not of generation 1; cocoon imports it"):format(what))
  elseif m and not calendar.is_strict(m.created_at or "") then
    return errors.fail("invalid", ("manifest %s: createdAt is %s, which is no time that cocoon can read"):format(what,
      text.value(m.created_at)))
  end
  local data_dir, files
  if m then
    data_dir, err = here:snapshot_data_dir(m.snapshot_id)
  end
  if data_dir then
    files, err = files_of(here, m, data_dir)
  end
  return files and { m = m, files = files, data_dir = data_dir }, err and errors.wrap(err, "manifest " .. what)
end

local function place(task, home, here, opts, planned, heard)
  local branches, layers = {}, {}
  for i, file in ipairs(planned.files) do
    layers[i] = file.layer
    branches[i] = function()
      local ok, err = fetch(task, home, opts.name, file, heard)
      return ok and true, err and errors.wrap(err, "pull " .. text.quote(file.layer.title))
    end
  end
  heard:plan(layers)
  for _, dir in ipairs { planned.data_dir, here:cloudimg_blob_dir() } do
    local ok, message, code = core.mkdir(dir, DIR_MODE)
    if not ok then
      return errors.fail(code, message)
    end
  end
  return task:all(branches, SEVERAL)
end

--- Pulls a snapshot; answers its manifest.
---@param task epoch.task
---@param home table
---@param here epoch.cocoon.paths
---@param given { name: string, tag: string?, progress: function?, on_event: function? }
---@return epoch.manifest.v1?
---@return epoch.Error?
function M.pull(task, home, here, given)
  local opts = options.check("registry.pull", PULL, given)
  local planned, err = plan(home, here, opts)
  local id = planned and planned.m.snapshot_id
  local db, ok
  if planned then
    db, err = here:read_snapshot_db()
  end
  if db then
    ok, err = check_free(db, id, opts.name)
  end
  if ok then
    local heard = listeners.new("pull", opts)
    ok, err = place(task, home, here, opts, planned, heard)
    heard:finish()
  end
  if ok then
    ok, err = here:update_snapshot_db(function(now)
      local free, why = check_free(now, id, opts.name)
      if free then
        now.snapshots[id] = record_of(planned.m, opts.name, planned.data_dir, now.snapshots[id])
        now.names[opts.name] = id
      end
      return free, why
    end)
  end
  return ok and planned.m, err
end

return M
