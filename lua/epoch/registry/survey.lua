--- What a snapshot in cocoon's own directories is made of at this moment: its record, its files and
-- its base images, each with a stamp that is another one when the file has changed.
local calendar = require "epoch.calendar"
local core = require "epoch.core"
local errors = require "epoch.errors"
local old = require "epoch.snapshot.old"
local stream = require "epoch.snapshot.stream"
local text = require "epoch.text"
local v1 = require "epoch.manifest.v1"

local M = {}

local FORMATS = { ".qcow2", ".raw", "" } -- of base images, as their names end

---@class epoch.registry.File
---@field path string
---@field stamp string
---@field layer { title: string, size: integer }

---@class epoch.registry.Survey
---@field id string
---@field record epoch.cocoon.record
---@field files epoch.registry.File[] the snapshot's own, by their names
---@field bases epoch.registry.File[] the base images that are here, by their ids
---@field missing string[] the ids of the others

--- What a file is now, and what stat says of it: as long as that stays the same, so do its bytes.
---@param path string
---@return string?
---@return epoch.stat|epoch.Error
function M.stamp(path)
  local stat, message, code = core.stat(path)
  if not stat then
    return errors.fail(code, message)
  end
  return ("%s %s %.0f %.0f.%09.0f"):format(stat.type, stat.id, stat.size, stat.mtime, stat.mtime_ns), stat
end

-- A file that is to be a layer.
local function file_of(path, title)
  local stamp, stat = M.stamp(path)
  if not stamp then
    return nil, stat
  elseif stat.type ~= "file" then
    return errors.fail("invalid", ("%s is no regular file, which is all that a snapshot can have; take it "
      .. "away or put the file itself in its place"):format(text.quote(path)))
  end
  local ok, err = stream.entry { name = title, size = stat.size }
  if not ok then
    return nil, errors.wrap(err, text.quote(path))
  end
  return { path = path, stamp = stamp, layer = { title = title, size = stat.size } }
end

-- Directories among them are not the snapshot's, to cocoon either.
local function own_files(dir)
  local names, message, code = core.list(dir)
  if not names then
    return errors.fail(code, message)
  end
  table.sort(names)
  local files = {}
  for _, name in ipairs(names) do
    local path = dir .. "/" .. name
    local stat = core.stat(path)
    if not (stat and stat.type == "directory") then
      local file, err = file_of(path, name)
      if not file then
        return nil, err
      end
      files[#files + 1] = file
    end
  end
  return files
end

-- The name of a base image's file; nil where there is none.
local function find_base(dir, id)
  for _, format in ipairs(FORMATS) do
    if core.stat(dir .. "/" .. id .. format) then
      return id .. format
    end
  end
end

-- The base images that are here, and the ids of the others.
local function base_files(dir, ids)
  local wanted, files, missing = {}, {}, {}
  for id in pairs(ids or {}) do
    wanted[#wanted + 1] = id
  end
  table.sort(wanted)
  for _, id in ipairs(wanted) do
    if old.base_id(id) ~= id then
      return errors.fail("invalid", ("in cocoon's list it needs the image %s, which is no id of one"):format(
        text.quote(id)))
    end
    local title = find_base(dir, id)
    if title then
      local file, err = file_of(dir .. "/" .. title, title)
      if not file then
        return nil, err
      end
      files[#files + 1] = file
    else
      missing[#missing + 1] = id
    end
  end
  return files, missing
end

-- The id and the record, when cocoon has made it.
local function find(here, wanted)
  local id, err = here:resolve_snapshot_id(wanted)
  local db
  if id then
    db, err = here:read_snapshot_db()
  end
  local record = db and db.snapshots[id]
  if not db then
    return nil, err
  elseif not record then -- it was there a moment ago
    return errors.fail("not_found", ("snapshot %s not found in cocoon DB"):format(text.quote(wanted)))
  elseif record.pending then
    return errors.fail("busy", ("cocoon is still making the snapshot %s; push it when that is done"):format(
      text.quote(wanted)))
  elseif not calendar.is_strict(record.created_at or "") then
    return errors.fail("invalid", ("in cocoon's list the snapshot %s was made at %s, which is no time"):format(
      text.quote(wanted), text.quote(record.created_at or "")))
  end
  return id, record
end

-- Would generation 1 take it for what it is?
local function check(wanted, files, bases)
  local disks = 0
  for _, file in ipairs(files) do
    disks = disks + (v1.is_disk(file.layer.title) and 1 or 0)
  end
  if #files == 0 then
    return errors.fail("invalid", ("the snapshot %s has no files: there is nothing to push"):format(text.quote(wanted)))
  elseif disks == #files and #bases == 0 then
    return errors.fail("invalid", ("the snapshot %s has disks and nothing else: generation 1 would take that for a "
      .. "cloud image"):format(text.quote(wanted)))
  end
  return true
end

--- Looks at a snapshot. Whatever could not be pulled again is refused.
---@param here epoch.cocoon.paths
---@param wanted string its name or id
---@return epoch.registry.Survey?
---@return epoch.Error?
function M.take(here, wanted)
  local id, record = find(here, wanted)
  if not id then
    return nil, record
  end
  local dir, err = here:snapshot_data_dir(id)
  local files, bases, missing, ok
  if dir then
    files, err = own_files(dir)
  end
  if files then
    bases, missing = base_files(here:cloudimg_blob_dir(), record.image_blob_ids)
    err = missing
  end
  if bases then
    ok, err = check(wanted, files, bases)
  end
  return ok and { id = id, record = record, files = files, bases = bases, missing = missing }, err
end

--- All files of a survey, as one list.
---@param found epoch.registry.Survey
---@return epoch.registry.File[]
function M.files(found)
  local all = {}
  for _, list in ipairs { found.files, found.bases } do
    for _, file in ipairs(list) do
      all[#all + 1] = file
    end
  end
  return all
end

--- Are the same files in both, unchanged?
---@param before epoch.registry.Survey
---@param after epoch.registry.Survey
---@return boolean
function M.is_same(before, after)
  local old_ones, new_ones = M.files(before), M.files(after)
  if before.id ~= after.id or #old_ones ~= #new_ones then
    return false
  end
  for i, file in ipairs(old_ones) do
    if new_ones[i].path ~= file.path or new_ones[i].stamp ~= file.stamp then
      return false
    end
  end
  return true
end

return M
