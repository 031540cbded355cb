--- epoch inspect REF [--raw]
local inspect = require "epoch.inspect"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local output = require "epoch.cli.output"
local slices = require "epoch.json_slices"
local tables = require "epoch.cli.table"

local M = {}

-- So many plain members of a config are shown to people.
local MEMBERS = 40

local function list_of(layers)
  local list = {}
  for i, layer in ipairs(layers) do
    list[i] = json.object {
      { "title", layer.title or json.null }, { "mediaType", layer.media_type },
      { "digest", layer.digest }, { "size", layer.size },
    }
  end
  return json.array(list)
end

local function as_json(found)
  local bases = found.base_images or {}
  return json.object {
    { "name", found.name },
    { "tag", found.tag or json.null },
    { "digest", found.digest },
    { "mediaType", found.media_type },
    { "artifactType", found.artifact_type or json.null },
    { "kind", found.kind },
    { "size", found.size },
    { "created", found.created or json.null },
    { "annotations", found.annotations },
    { "layers", list_of(found.layers) },
    { "baseImages", #bases > 0 and list_of(bases) or nil }, -- generation 1 has them beside the layers
    { "config", json.raw(found.config) },
  }
end

local function size_with_bytes(size)
  return size < 1024 and ("%.0fB"):format(size) or ("%s (%.0f bytes)"):format(manifest.human_size(size), size)
end

local function head(found)
  return tables.format(2, {
    { "name", found.name }, { "tag", found.tag }, { "digest", found.digest }, { "kind", found.kind },
    { "media type", found.media_type }, { "artifact type", found.artifact_type },
    { "size", size_with_bytes(found.size) }, { "created", found.created },
  })
end

local function section(title, n, rows)
  return #rows > 0 and "\n" .. title .. "\n" .. tables.format(n, rows, "  ") or ""
end

local function annotations(found)
  local rows = {}
  for key, value in pairs(found.annotations) do
    rows[#rows + 1] = { key, value }
  end
  table.sort(rows, function(a, b) return a[1] < b[1] end)
  return section("annotations", 2, rows)
end

local function descriptors(title, list, name_of)
  local rows = {}
  for i, d in ipairs(list or {}) do
    rows[i] = { name_of(d), manifest.human_size(d.size), d.media_type, d.digest }
  end
  return section(title, 4, rows)
end

-- What the config says in one word each; its lists and objects are for --json.
local function config(found)
  local rows = {}
  for _, member in ipairs(slices.members(found.config)) do
    if #rows < MEMBERS and not member[2]:find("^[{[]") then
      local is_text = member[2]:find('^"')
      rows[#rows + 1] = { member[1], is_text and json.decode("[" .. member[2] .. "]", #member[2] + 2)[1] or member[2] }
    end
  end
  return section("config", 2, rows)
end

local function title_of(d)
  return d.title
end

local function as_text(found)
  return head(found) .. annotations(found) .. descriptors("layers", found.layers, title_of)
    .. descriptors("base images", found.base_images, title_of)
    .. descriptors("manifests", found.manifests, manifest.platform_name) .. config(found)
end

local function show(job, args)
  local home, ref = job:find(args.ref)
  if not home then
    return nil, ref
  end
  if args.raw then
    local stored, err = home:get_manifest(ref.name, ref.digest or ref.tag)
    return stored and output.write(stored.bytes), err
  end
  local found, err = inspect(job.task, home, ref.name, ref.digest or ref.tag)
  if not found then
    return nil, err
  end
  found.tag = ref.tag
  if args.json then
    return output.write_json(as_json(found))
  end
  return output.write(as_text(found))
end

function M.run(_, args)
  return jobs.run("inspect", args.ref, args, function(job)
    return show(job, args)
  end)
end

return M
