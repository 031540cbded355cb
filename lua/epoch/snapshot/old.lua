--- A snapshot of generation 1 in the terms of generation 2: its config, of what its manifest says
-- and what its own config.json and state.json say besides, and its files with their holes, which
-- were stored as zeros.
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local machine = require "epoch.snapshot.machine"
local ports = require "epoch.ports"
local text = require "epoch.text"

local M = {}

-- As many pieces as a sparse map of 1 MiB has room for, with offsets and lengths of 13 digits.
local PIECES = 26000

--- cocoon's id of a base image, by the name of its file; nil when it is none.
---@param title string
---@return string?
function M.base_id(title)
  local id = title:gsub("%.qcow2$", ""):gsub("%.raw$", "")
  return #id == 64 and id:find("^[0-9a-f]+$") and id or nil
end

--- cocoon's ids of the base images that a snapshot needs, as a set.
---@param m epoch.manifest.v1
---@return table<string, true>
function M.base_ids(m)
  local ids = {}
  for id in pairs(m.image_blob_ids) do
    ids[id] = true
  end
  for _, layer in ipairs(m.base_images) do
    local id = M.base_id(layer.title)
    if id then
      ids[id] = true
    end
  end
  return ids
end

-- The bytes of a small layer.
local function fetch(task, downloader, name, layer)
  local blob, err = downloader:get_blob(name, layer.digest)
  if not blob then
    return nil, errors.wrap(err, "fetch " .. layer.title)
  end
  local sink = core.collect(machine.MAX)
  local moved
  moved, err = ports.flow(task, blob, { sink = sink, size = layer.size, digest = layer.digest,
                                        what = layer.title })
  local bytes = moved and sink:bytes()
  sink:close()
  return bytes or nil, err
end

-- What the machine's own files say.
local function fetch_machine(task, m, downloader, name)
  local texts = {}
  for _, title in ipairs(machine.FILES) do
    for _, layer in ipairs(m.layers) do
      if layer.title == title and layer.size <= machine.MAX then
        local bytes, err = fetch(task, downloader, name, layer)
        if not bytes then
          return nil, err
        end
        texts[#texts + 1] = bytes
      end
    end
  end
  return machine.of(texts)
end

-- A set as epoch.snapshot.fields has it.
local function set_of(ids)
  local set = { names = {}, texts = {} }
  for id in pairs(ids) do
    set.names[#set.names + 1], set.texts[id] = id, "{}"
  end
  table.sort(set.names)
  return #set.names > 0 and set or nil
end

--- The config that a snapshot would have in generation 2. What nobody wrote down is left out.
---@param task epoch.task
---@param m epoch.manifest.v1
---@param downloader table
---@param name string
---@return epoch.snapshot.config?
---@return epoch.Error?
function M.config(task, m, downloader, name)
  local said, err = fetch_machine(task, m, downloader, name)
  if not said then
    return nil, err
  end
  local ids = M.base_ids(m)
  for id in pairs(said.base_ids) do
    ids[id] = true
  end
  local values = { imageBlobIds = set_of(ids) }
  for member, value in pairs(said.values) do
    values[member] = json.encode(value)
  end
  for member, value in pairs {
    snapshotId = m.snapshot_id or "", image = m.image or "", storage = m.storage, cpu = m.cpu, memory = m.memory,
    nics = m.nics,
  } do
    if value ~= "" and value ~= 0 then
      values[member] = json.encode(value)
    end
  end
  local extra = next(said.extra) and json.encode(said.extra)
  return { values = values, bytes = extra or "", extra = extra and 1 or false, files = {}, created_at = m.created_at }
end

-- Where the data of a file is, as cocoon writes it down.
local function map_of(extents)
  local out = {}
  for i, one in ipairs(extents) do
    out[i] = ('{"o":%.0f,"l":%.0f}'):format(one.offset, one.length)
  end
  return "[" .. table.concat(out, ",") .. "]"
end

--- Brings a layer here and finds its holes: a spool of its data, which the caller closes, and its
-- sparse map where it has holes.
---@param task epoch.task
---@param blob any
---@param layer epoch.Descriptor
---@param opts { spool_dir: string?, on_progress: fun(bytes: integer)? }
---@return epoch.spool?
---@return epoch.Error|{ map: string, size: integer }|nil
function M.find_holes(task, blob, layer, opts)
  local spool, message, code = core.spool { dir = opts.spool_dir }
  if not spool then
    blob:close()
    return errors.fail(code, message)
  end
  local sink = core.dense(spool:sink(), { pieces = PIECES })
  local moved, err = ports.flow(task, blob, {
    sink = sink, size = layer.size, digest = layer.digest, what = "layer " .. text.quote(layer.title),
  }, opts.on_progress)
  local extents = moved and sink:extents()
  sink:close()
  if not moved then
    spool:close()
    return nil, err
  end
  return spool, spool:size() < layer.size and { map = map_of(extents), size = layer.size } or nil
end

return M
