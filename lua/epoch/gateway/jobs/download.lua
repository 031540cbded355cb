--- What a download needs of threads: its layout, the digests of what it sends, and, where nginx
-- gives it nothing any more, the bytes. For epoch.gateway.thread.
local cloudimg = require "epoch.cloudimg"
local core = require "epoch.core"
local errors = require "epoch.errors"
local layouts = require "epoch.gateway.download.layout"
local manifest = require "epoch.manifest"
local ports = require "epoch.ports"
local stream = require "epoch.snapshot.stream"

local M = {}

--- So many bytes of its own are given back with the layout; more are written to a file.
M.SMALL = 64 * 1024

local ASKED = 8 -- blobs that are asked for at once

-- The artifact itself is not what it says: no fault of who asks for it.
local function broken(what, err)
  return nil, errors.new("broken", ("%s cannot be sent: %s"):format(what, tostring(err)))
end

-- What the client can do something about.
local function is_told(err)
  return err.kind == "unsupported" or errors.retryable(err.kind)
end

-- The manifest; of an index, that of its child for a machine.
local function find(downloader, name, tag, what)
  local m, err = ports.fetch_manifest(downloader, name, tag)
  if m then
    return m
  elseif err.kind == "not_found" and downloader:get_manifest(name, tag) then
    return errors.fail("unsupported", ("manifest %s is an index, and no child for a machine is here"):format(what))
  elseif err.kind == "not_found" or is_told(err) then
    return nil, err
  end
  return broken(what, err)
end

-- How the file is called that a disk would be.
local function format_of(disk)
  local title = disk.title or ""
  local raw = disk.media_type:find("disk%.raw") or title:find("%.raw$") or title:find("%.raw%.part%.")
  return raw and "raw" or "qcow2"
end

local LAYOUTS = {}

LAYOUTS["cloud-image"] = function(_, m, _, given)
  local layers, err = cloudimg.disk_layers(m, ports.asked(given))
  if not layers then
    return nil, err
  end
  local layout
  layout, err = layouts.disk(layers)
  return layout, err, {
    media_type = "application/octet-stream", extension = format_of(layers[1]), form = "disk=1",
  }
end

LAYOUTS["snapshot"] = function(task, m, downloader, given, write)
  local plan, err = stream.plan(task, m, downloader, given)
  if not plan then
    return nil, err
  end
  local layout
  layout, err = layouts.archive(plan, write)
  return layout, err, { media_type = "application/x-tar", extension = "tar", form = "tar=1" }
end

-- The layout of what stands under a tag; `write` is told its own bytes.
local function lay_out(home, ref, write)
  local shown = ref.shown or ref.name
  local downloader, given = ports.downloader(home), { name = ref.name, tag = ref.tag, local_name = shown }
  local what = ports.asked { name = shown, tag = ref.tag }
  local m, err = find(downloader, ref.name, ref.tag, what)
  if not m then
    return nil, err
  end
  local lay = LAYOUTS[manifest.classify(m)]
  if not lay then
    return nil, manifest.wrong_kind(m, what)
  end
  local layout, why, file = lay(home.task, m, downloader, given, write)
  if not layout and is_told(why) then
    return nil, why
  elseif not layout then
    return broken(what, why)
  end
  layout.digest, layout.media_type = m.digest, file.media_type
  layout.etag = ('"%s;%s"'):format(m.digest, file.form)
  layout.file = ("%s-%s.%s"):format(shown:gsub("/", "-"), ref.tag, file.extension)
  return layout
end

-- Are the blobs there, as long as the manifest says?
local function check_blobs(home, name, segments)
  return home.task:each(segments, ASKED, function(segment)
    if not segment.digest then
      return true
    end
    local size, err = home:blob_size(name, segment.digest)
    if size == segment.length then
      return true
    elseif not size and err.kind ~= "not_found" then
      return nil, err
    end
    return broken(name, size and ("blob %s has %.0f bytes, its manifest says %.0f"):format(segment.digest, size,
      segment.length) or err)
  end)
end

---@class epoch.gateway.download.plan: epoch.gateway.layout
---@field digest epoch.digest of the manifest
---@field etag string
---@field media_type string
---@field file string a name for it
---@field bytes string? its own, where they are few

---@class epoch.gateway.download.ref
---@field name string
---@field tag string
---@field shown string? what the client calls the repository, and a snapshot is called in its archive

--- What will be sent for a tag. Nothing of a blob but a snapshot's config has been read then; with
--- `check` they have all been looked at.
---@param home table
---@param ref epoch.gateway.download.ref
---@param check boolean
---@return epoch.gateway.download.plan?
---@return epoch.Error?
function M.plan(home, ref, check)
  local own, size = {}, 0
  local layout, err = lay_out(home, ref, function(bytes)
    size = size + #bytes
    own[#own + 1] = size <= M.SMALL and bytes or nil
  end)
  local ok = layout
  if ok and check then
    ok, err = check_blobs(home, ref.name, layout.segments)
  end
  if not ok then
    return nil, err
  end
  if size > M.SMALL then
    collectgarbage() -- what was made of a large config is given back at once
    return layout
  end
  layout.bytes = table.concat(own)
  return layout
end

--- Writes a download's own bytes to a file, of a layout that was made before. The file is there: where
--- it is gone, so is who wanted it, and nobody would remove another one.
---@param home table
---@param ref epoch.gateway.download.ref
---@param digest epoch.digest the manifest's, then
---@param path string
---@return true?
---@return epoch.Error?
function M.keep(home, ref, digest, path)
  local file, why = io.open(path, "r+b")
  if not file then
    return errors.fail("io", "keep what belongs to a download: " .. tostring(why))
  end
  local written = true
  local layout, err = lay_out(home, ref, function(bytes)
    if written then
      written, why = file:write(bytes)
    end
  end)
  local closed, at_end = file:close()
  collectgarbage()
  if not layout then
    return nil, err
  elseif layout.digest ~= digest then
    return errors.fail("busy", ("%s:%s was replaced at this moment; try again"):format(ref.name, ref.tag))
  elseif not written or not closed then
    return errors.fail("no_space", "keep what belongs to a download: " .. tostring(why or at_end))
  end
  return true
end

-- Hashes a piece: blocks, or that part of a file.
local function add(hasher, piece)
  for _, block in ipairs(piece.blocks or {}) do
    hasher:update(block)
  end
  if piece.blocks then
    return true
  end
  local n, message, code = hasher:file(piece.path, piece.at, piece.length)
  if n == piece.length then
    return true
  end
  return errors.fail(code or "truncated", message or piece.path .. " has become shorter")
end

--- Goes on with a digest over a piece of a blob: the state behind it, or with `last` the digest.
---@param _ table
---@param algorithm epoch.algorithm
---@param state string? where it has got to
---@param piece { blocks: string[]?, path: string?, at: integer, length: integer }
---@param last boolean
---@return string?
---@return epoch.Error?
function M.hash(_, algorithm, state, piece, last)
  local hasher = state and assert(core.hasher_from(state)) or core.hasher(algorithm)
  local ok, err = add(hasher, piece)
  local result = ok and (last and hasher:digest() or hasher:state())
  hasher:close()
  return result or nil, err
end

--- Some bytes of a blob, a few.
---@param home table
---@param name string
---@param digest epoch.digest
---@param at integer
---@param length integer
---@return string?
---@return epoch.Error?
function M.read(home, name, digest, at, length)
  local source, err = home:get_blob(name, digest, { offset = at, length = length })
  if not source then
    return nil, err
  end
  local sink = core.collect(length)
  local moved
  moved, err = home.task:flow { source = source, sink = sink, size = length, what = digest }
  local bytes = moved and sink:bytes()
  sink:close()
  return bytes or nil, err
end

return M
