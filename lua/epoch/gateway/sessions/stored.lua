--- The record of an upload session in a bucket: uploads/ID/state.json.
--
-- It names the pieces in their order, "SIZE NAME" each, and is only ever put in the place of the one
-- that was read.
local errors = require "epoch.errors"
local json = require "epoch.json"
local random = require "epoch.random"
local records = require "epoch.gateway.sessions.record"

local M = {}

local STATE = "state.json"

--- The key of what a session has.
---@param id string
---@param name string
---@return string
function M.key(id, name)
  return "uploads/" .. id .. "/" .. name
end

--- Differs each time: for names of pieces, and for records, whose ETags must differ even where nothing
--- else does.
---@return string?
---@return epoch.Error?
function M.nonce()
  return random.hex(8)
end

-- The pieces as a record has them, as { name, key, size } each; nil when they are none.
local function pieces_of(id, lines, offset)
  local list, sum = {}, 0
  for i, line in ipairs(lines or {}) do
    local size, name = tostring(line):match("^(%d+) (%d+%-%x+)$")
    if not size then
      return nil
    end
    list[i] = { name = name, key = M.key(id, name), size = tonumber(size) }
    sum = sum + list[i].size
  end
  return sum == offset and list or nil
end

--- The record of a session, its pieces, and the ETag it has in the store.
---@return table? record
---@return { name: string, key: string, size: integer }[]|epoch.Error pieces
---@return string? etag
function M.read(home, id)
  local bytes, info = home.store:read(M.key(id, STATE), records.MAX)
  if not bytes then
    return nil, info
  end
  local record, err = records.decode(bytes)
  if not record then
    return nil, err
  end
  local list = pieces_of(id, record.pieces, record.offset)
  if not list then
    return errors.fail("not_found", "the record of an upload session is damaged")
  end
  return record, list, info.etag
end

--- The same, where the session is this repository's.
function M.read_own(home, id, name)
  local record, list, etag = M.read(home, id)
  if record and record.repository ~= name then
    return errors.fail("not_found", ("the upload %s is not of %s"):format(id, name))
  end
  return record, list, etag
end

--- The same, where it stands at what the chunk follows.
---@param chunk { from: integer }?
function M.read_at(home, id, name, chunk)
  local record, list, etag = M.read_own(home, id, name)
  if record and chunk and chunk.from ~= record.offset then
    return errors.fail("conflict", ("the upload %s stands at %.0f, not at %.0f"):format(id, record.offset, chunk.from))
  end
  return record, list, etag
end

--- Puts a record, with these pieces, in the place of the one with this ETag; nil: it is the first one.
---@return true?
---@return epoch.Error?
function M.write(home, id, record, list, etag)
  local turn, err = M.nonce()
  if not turn then
    return nil, err
  end
  local lines = {}
  for i, piece in ipairs(list) do
    lines[i] = ("%.0f %s"):format(piece.size, piece.name)
  end
  record.turn, record.pieces = turn, json.array(lines)
  local bytes, key = records.encode(record), M.key(id, STATE)
  local put
  put, err = home.store:put(key, #bytes, bytes, { if_match = etag })
  if not put and etag and err.kind == "unsupported" then
    put, err = home.store:put(key, #bytes, bytes)
  end
  return put and true, err
end

--- Was a record put whose answer said otherwise? One that names this piece can only be ours, or what
--- has come after ours.
---@param new { name: string }?
---@return boolean
function M.landed(home, id, new)
  local record, list = M.read(home, id)
  for _, piece in ipairs(record and list or {}) do
    if new and piece.name == new.name then
      return true
    end
  end
  return false
end

return M
