--- Upload sessions in a bucket, as epoch.gateway.sessions says. In worker threads only.
--
--     uploads/ID/state.json         the record, with `pieces`: "SIZE NAME" each, in their order
--     uploads/ID/OFFSET-NONCE       a piece: what one chunk brought, from that offset on
--
-- Whoever adds a chunk puts a piece under a name of its own, then the record that names it, in the
-- place of the record that was read (If-Match): so of two writers one wins, no lock is left behind by
-- one that was killed, and what it had sent is in no record. In the end the pieces are copied to the
-- blob inside the store. A piece of less than 5 MiB becomes the beginning of the next one, as only
-- the last may be that small.
--
-- A store that knows no If-Match (501) has no winner there: it is for one gateway at a time.
local blobs = require "epoch.objectstore.blobs"
local copies = require "epoch.s3.copy"
local core = require "epoch.core"
local errors = require "epoch.errors"
local leftovers = require "epoch.gateway.sessions.leftovers"
local pieces = require "epoch.gateway.sessions.pieces"
local records = require "epoch.gateway.sessions.record"
local stored = require "epoch.gateway.sessions.stored"

local M = {}

--- A PATCH with fewer bytes is read and sent again with the next one.
M.MIN_CHUNK = copies.LEAST

function M.start(home, id, record)
  return stored.write(home, id, record, {})
end

function M.load(home, id, name)
  local record, err = stored.read_own(home, id, name)
  return record, not record and err or nil
end

function M.touch(home, id, name)
  local record, list, etag = stored.read_own(home, id, name)
  if not record then
    return nil, list
  end
  local ok, err = stored.write(home, id, record, list, etag)
  return ok or err.kind == "conflict" or nil, err -- somebody else is active there
end

-- The piece that is too small to be followed by another one.
local function tail_of(list)
  local last = list[#list]
  return last and last.size < copies.LEAST and last or nil
end

-- Where the next chunk goes to.
local function place_of(id, record, list)
  local name, err = stored.nonce()
  local tail = tail_of(list)
  return name and {
    key = stored.key(id, ("%.0f-%s"):format(record.offset - (tail and tail.size or 0), name)), tail = tail,
  }, err
end

-- The same for a chunk of which something was sent ahead; nil and "conflict" where that followed
-- something else.
local function place_of_sent(id, list, sent)
  local tail = tail_of(list)
  if sent.tail ~= (tail and tail.key) or not sent.key:find(stored.key(id, ""), 1, true) then
    return errors.fail("conflict", ("the upload %s does not stand where it did"):format(id))
  end
  return { key = sent.key, tail = tail }
end

-- Stores a chunk: the pieces with it, and the one that is new.
local function add(home, id, record, list, chunk)
  if chunk.size == 0 then
    return list
  end
  local place, err
  if chunk.sent then
    place, err = place_of_sent(id, list, chunk.sent)
  else
    place, err = place_of(id, record, list)
  end
  local ok
  if place then
    ok, err = pieces.put(home.store, place, chunk)
  end
  if not ok then
    return nil, err
  end
  local tail, all = place.tail, {}
  for i = 1, #list - (tail and 1 or 0) do
    all[i] = list[i]
  end
  local new = { key = place.key, name = place.key:match("[^/]*$"), size = chunk.size + (tail and tail.size or 0) }
  all[#all + 1] = new
  return all, new
end

-- What is not needed is swept some day where it cannot be deleted now.
local function forget(home, object)
  if object then
    home.store:delete(object.key)
  end
end

function M.append(home, id, name, chunk)
  local record, list, etag = stored.read_at(home, id, name, chunk)
  if not record then
    return nil, list
  end
  local all, new = add(home, id, record, list, chunk)
  if not all then
    return nil, new
  end
  record.offset, record.hash = record.offset + chunk.size, chunk.hash
  local ok, err = stored.write(home, id, record, all, etag)
  if ok or err.kind == "conflict" and stored.landed(home, id, new) then
    forget(home, new and tail_of(list))
    return record.offset
  elseif err.kind == "conflict" then
    forget(home, new)
    return errors.fail("conflict", ("the upload %s was continued by another"):format(id))
  end
  return nil, err -- whether it has it is not known: so the piece stays
end

-- Hashes all of it with the algorithm of the digest: true, or nil and the error.
local function verify_again(home, list, chunk, digest)
  local algorithm = digest:match("^[^:]+")
  local tap = core.tap(nil, { hash = algorithm })
  local function pass(source, message, code)
    if not source then
      return nil, code and errors.from_core(message, code) or message
    end
    return home.task:flow { source = source, sink = tap, more = true }
  end
  local ok, err = true, nil
  for _, piece in ipairs(list) do
    if ok then
      local source, why = home.store:get(piece.key)
      ok, err = pass(source, why)
    end
  end
  if ok and chunk.size > 0 then
    ok, err = pass(core.file(chunk.path))
  end
  if ok then
    ok, err = home.task:await(tap, "finish")
  end
  local is = ok and tap:digest(algorithm)
  tap:close()
  if ok and is ~= digest then
    return errors.fail("digest_mismatch", ("what was uploaded as %s has the digest %s; send it again"):format(
      digest, is))
  end
  return ok and true, err
end

local function verify(home, list, chunk, digest)
  local same, err = records.verify(chunk, digest)
  if same == false then
    return verify_again(home, list, chunk, digest)
  end
  return same, err
end

-- Is it there, with that size?
local function is_there(home, key, size)
  local info, err = home.store:head(key)
  if not info and err.kind ~= "not_found" then
    return nil, err
  end
  return info ~= nil and info.size == size
end

-- Makes the pieces, and the chunk behind them, the object `key`.
local function assemble(home, id, record, list, chunk, key, digest)
  if not list[1] and (not chunk.sent or chunk.sent.key == key) then
    return M.put(home, digest, chunk.path, chunk.size, chunk.sent)
  end
  local all, new = add(home, id, record, list, chunk)
  if not all then
    return nil, new
  end
  local keys = {}
  for i, piece in ipairs(all) do
    keys[i] = piece.key
  end
  local etag, err = home.store:copy(keys[2] and keys or keys[1], key)
  if not etag then
    forget(home, new)
  end
  return etag and true, err
end

function M.finish(home, id, name, digest, chunk)
  local record, list = stored.read_at(home, id, name, chunk)
  if not record then
    return nil, list
  end
  chunk = chunk or { size = 0, hash = record.hash }
  local key, size = blobs.key(digest), record.offset + chunk.size
  local ok, err = verify(home, list, chunk, digest)
  if not ok and err.kind == "digest_mismatch" then
    leftovers.remove(home.store, id)
  end
  if not ok then
    return nil, err
  end
  ok, err = is_there(home, key, size)
  if ok == false then
    ok, err = assemble(home, id, record, list, chunk, key, digest)
  end
  if not ok then
    return nil, err
  end
  leftovers.remove(home.store, id)
  return size
end

function M.cancel(home, id, name)
  local record, err = stored.read_own(home, id, name)
  if not record then
    return nil, err
  end
  return leftovers.remove(home.store, id)
end

function M.put(home, digest, path, size, sent)
  local key = blobs.key(digest)
  local there, err = is_there(home, key, size)
  if there == nil then
    return nil, err
  elseif there then
    return sent == nil or pieces.drop(home.store, sent)
  elseif size == 0 then
    local etag
    etag, err = home.store:put(key, 0, "", { digest = digest })
    return etag and true, err
  end
  return pieces.put(home.store, { key = key }, { path = path, size = size, sent = sent }, digest)
end

-- Where a file that still grows goes to: the blob, where its digest is told and nothing comes before
-- it, as nothing has that key until the digest agreed; else the next piece.
local function place_ahead(home, to, from)
  if not to.id then
    return { key = blobs.key(to.digest) }
  end
  local record, list = stored.read_at(home, to.id, to.name, { from = from })
  if not record then
    return nil, list
  elseif to.digest and record.offset == 0 then
    return { key = blobs.key(to.digest) }
  end
  return place_of(to.id, record, list)
end

function M.ahead(home, to, sent, file)
  if not pieces.is_long(home.store, file.size) then
    return nil
  end
  local place, err = sent, nil
  if not sent then
    place, err = place_ahead(home, to, file.from)
  end
  if not place then
    return nil, err
  end
  return pieces.ahead(home.store, place, sent, file.path, file.size)
end

function M.drop(home, sent)
  return pieces.drop(home.store, sent)
end

function M.sweep(home, before)
  return leftovers.sweep(home.store, before, function(id)
    local record, err = stored.read(home, id)
    if record then
      return record.active
    end
    return err.kind == "not_found" and 0 or nil, err
  end)
end

return M
