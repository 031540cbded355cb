--- What a download will be, byte for byte, before any blob is read: segments of blobs, and between
-- them bytes of its own (headers of an archive, snapshot.json, padding).
--
--     { digest = "sha256:…", at = 0, length = 4096 }    bytes of a blob
--     { at = 1536, length = 512 }                       of its own, which are told once, in order
--
-- The same artifact under the same name gives the same bytes: those of `epoch get`. Only the holes
-- of files of generation 1, which were stored as zeros, are sent as zeros here: finding them takes
-- reading every byte, and the length of the archive is said before its first one.
local core = require "epoch.core"
local errors = require "epoch.errors"
local stream = require "epoch.snapshot.stream"
local whole = require "epoch.whole"

local M = {}

---@class epoch.gateway.segment
---@field digest epoch.digest? the blob's; nil: bytes of its own
---@field at integer where they begin, in the blob or among its own
---@field length integer

---@class epoch.gateway.layout
---@field size integer of all segments
---@field own integer bytes of its own
---@field segments epoch.gateway.segment[]

local Layout = {}
Layout.__index = Layout

local function new(write)
  return setmetatable({ size = 0, own = 0, segments = {}, write = write }, Layout)
end

function Layout:add_own(bytes)
  if bytes == "" then
    return
  end
  local last = self.segments[#self.segments]
  if not last or last.digest then
    last = { at = self.own, length = 0 }
    self.segments[#self.segments + 1] = last
  end
  last.length = last.length + #bytes
  self.size, self.own = self.size + #bytes, self.own + #bytes
  self.write(bytes)
end

function Layout:add_blob(descriptor)
  self.segments[#self.segments + 1] = { digest = descriptor.digest, at = 0, length = descriptor.size }
  self.size = self.size + descriptor.size
end

-- As plain values; a sum that numbers cannot hold exactly is no size.
function Layout:result()
  if self.size >= whole.MAX then
    return errors.fail("too_large", "the artifact is larger than 2^53 bytes")
  end
  return { size = self.size, own = self.own, segments = self.segments }
end

--- The disk that the layers make up.
---@param layers epoch.Descriptor[] as cloudimg.disk_layers has them
---@return epoch.gateway.layout?
---@return epoch.Error?
function M.disk(layers)
  local layout = new()
  for _, layer in ipairs(layers) do
    layout:add_blob(layer)
  end
  return layout:result()
end

-- The header of an entry, then `data`, then what pads it.
local function add_entry(layout, writer, entry, data)
  local head, padding, code = writer:head(entry)
  if not head then
    return errors.fail(code, padding)
  end
  layout:add_own(head)
  data()
  layout:add_own(("\0"):rep(padding))
  return true
end

local function add_entries(layout, writer, plan)
  local ok, err = add_entry(layout, writer, plan.envelope_entry, function()
    plan.envelope(function(piece)
      layout:add_own(piece)
    end)
  end)
  for _, one in ipairs(plan.entries) do
    if not ok then
      break
    end
    ok, err = add_entry(layout, writer, one.entry, function()
      layout:add_blob(one.layer)
    end)
  end
  return ok, err
end

local TRAILER = 1024

--- The archive of a snapshot. `write` is told its own bytes.
---@param plan table of stream.plan
---@param write fun(bytes: string)
---@return epoch.gateway.layout?
---@return epoch.Error?
function M.archive(plan, write)
  local layout, trailer = new(write), core.collect(TRAILER)
  local writer, message, code = core.tar_writer(trailer, { sparse = stream.SPARSE })
  if not writer then
    return errors.fail(code, message)
  end
  local ok, err = add_entries(layout, writer, plan)
  if ok then
    ok, message, code = writer:finish()
    err = not ok and errors.new(code, message) or nil
  end
  writer:close()
  if ok then
    layout:add_own(trailer:bytes())
  end
  trailer:close()
  if not ok then
    return nil, err
  end
  return layout:result()
end

--- What of the segments stands from byte `first` to byte `last` of them all.
---@param segments epoch.gateway.segment[]
---@param first integer
---@param last integer
---@return epoch.gateway.segment[]
function M.cut(segments, first, last)
  local out, at = {}, 0
  for _, one in ipairs(segments) do
    local from, to = math.max(first - at, 0), math.min(last + 1 - at, one.length)
    if from < to then
      out[#out + 1] = { digest = one.digest, at = one.at + from, length = to - from }
    end
    at = at + one.length
  end
  return out
end

return M
