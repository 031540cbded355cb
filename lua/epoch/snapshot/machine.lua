--- What the files of a virtual machine say of it, config.json and state.json, for snapshots whose
-- manifest does not. Pure: texts come in.
--
-- cloud-hypervisor's configuration has processors, memory and network cards in places of their own,
-- as config.json itself, or somewhere in state.json with other things around it, or in a text that
-- is JSON once more. Disks are named by their paths; one below cocoon's blobs is a base image.
-- cocoon's own names are looked for at the top only.
local json = require "epoch.json"

local M = {}

--- The files, in the order in which they are believed.
M.FILES = { "config.json", "state.json" }
--- The largest that is read.
M.MAX = json.MAX

local MAX_DEPTH = 64 -- texts in texts included

-- cocoon's names, and those of a snapshot's config.
local TEXTS = {
  image = "image", image_digest = "imageDigest", image_type = "imageType", hypervisor = "hypervisor",
  network = "network", description = "description",
}
local COUNTS = { cpu = "cpu", memory = "memory", storage = "storage", nics = "nics" }
local FLAGS = { windows = "windows" }

-- cocoon's names that the config has no place for.
local EXTRA_COUNTS, EXTRA_FLAGS = { "queue_size", "disk_queue_size" }, { "no_direct_io" }

local PATHS = { path = true, disk_path = true }

local function is_count(value)
  return json.size(value) and value > 0
end

local function keep(values, name, value)
  if values[name] == nil then
    values[name] = value
  end
end

local function note_id(said, id)
  if type(id) == "string" and #id == 64 and id:find("^[0-9a-f]+$") then
    said.base_ids[id] = true
  end
end

-- The base image that a disk's path leads to.
local function note_path(said, path)
  note_id(said, path:match("/blobs/([0-9a-f]+)%.?%w*$"))
end

-- An object that may be the configuration of a machine.
local function note_machine(said, object, is_top)
  local function member(name)
    return type(object[name]) == "table" and object[name] or {}
  end
  local cpu, memory, nics = member("cpus").boot_vcpus, member("memory").size, #member("net")
  if not is_top and not is_count(cpu) then
    return -- others have a memory, too
  end
  keep(said.values, "cpu", is_count(cpu) and cpu or nil)
  keep(said.values, "memory", is_count(memory) and memory or nil)
  keep(said.values, "nics", is_count(nics) and nics or nil)
end

-- Members in an order that is always the same.
local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local function look(said, value, key, depth)
  if depth > MAX_DEPTH then
    return
  elseif type(value) == "string" and PATHS[key] then
    note_path(said, value)
  elseif type(value) == "string" and value:find("^%s*{") then
    look(said, (json.decode(value)), nil, depth + 1)
  elseif type(value) == "table" then
    note_machine(said, value, depth == 1)
    for _, inner in ipairs(sorted_keys(value)) do
      look(said, value[inner], inner, depth + 1)
    end
  end
end

local function note_top(said, object)
  for name, as in pairs(TEXTS) do
    local value = object[name]
    keep(said.values, as, type(value) == "string" and value ~= "" and value or nil)
  end
  for name, as in pairs(COUNTS) do
    keep(said.values, as, is_count(object[name]) and object[name] or nil)
  end
  for name, as in pairs(FLAGS) do
    keep(said.values, as, object[name] == true or nil)
  end
  for _, name in ipairs(EXTRA_COUNTS) do
    keep(said.extra, name, is_count(object[name]) and object[name] or nil)
  end
  for _, name in ipairs(EXTRA_FLAGS) do
    keep(said.extra, name, object[name] == true or nil)
  end
  for id in pairs(type(object.image_blob_ids) == "table" and object.image_blob_ids or {}) do
    note_id(said, id)
  end
end

---@class epoch.snapshot.machine.said
---@field values table<string, string|integer|boolean> by the names of a snapshot's config
---@field extra table<string, integer|boolean> what it has no place for, by cocoon's names
---@field base_ids table<string, true> cocoon's ids of base images

--- What these files say. One that is not JSON says nothing.
---@param texts string[] those believed first come first
---@return epoch.snapshot.machine.said
function M.of(texts)
  local said = { values = {}, extra = {}, base_ids = {} }
  for _, bytes in ipairs(texts) do
    local object = json.decode(bytes, M.MAX)
    if type(object) == "table" then
      note_top(said, object)
      look(said, object, nil, 1)
    end
  end
  return said
end

return M
