--- Upload sessions: blobs that arrive in pieces, kept in the store itself, so that any worker of
-- any gateway on that store goes on with them. In worker threads only: everything here may wait.
--
-- A session belongs to one repository and knows how many bytes it has (`offset`) and the state of
-- a hasher that has seen exactly these. A chunk is a file that nginx has spooled and a thread has
-- hashed while it grew:
--
--     { path = nil when there is no byte, size =, from = the offset that it follows,
--       hash = the state (hasher:state()) of session and chunk together }
--
-- Whoever made the chunk read the session's offset and hash before, without a lock: that it still
-- stands there is found out when the chunk is added, so of two writers one wins.
--
-- The two kinds of stores are epoch.gateway.sessions.directory and .s3. Each offers these, and is
-- called from here only, with names, ids and digests that have been checked:
--
--     start(home, id, record)                   -> true | nil, err
--     load(home, id, name)                      -> record | nil, err ("not_found")
--     append(home, id, name, chunk)             -> offset | nil, err
--     finish(home, id, name, digest, chunk?)    -> size | nil, err
--     touch(home, id, name)                     -> true | nil, err
--     cancel(home, id, name)                    -> true | nil, err ("not_found")
--     sweep(home, before)                       -> how many were removed | nil, err
--     put(home, digest, path?, size, sent?)     -> true | nil, err
--     ahead(home, to, sent?, file)              -> sent | nil, err; optional
--     drop(home, sent)                          -> true | nil, err; with `ahead`
--     MIN_CHUNK                                 bytes, or nil: what PATCHes should have at least
--
-- start    makes a session with that record (epoch.gateway.sessions.record); the store may add
--          fields of its own.
-- append   adds a chunk and stores the record with the new offset and hash. Kind "conflict": the
--          session does not stand at `chunk.from`. When it fails the session is as it was.
-- finish   adds the last chunk, if there is one, and makes all of it the blob `digest`: what it
--          hashes to is made sure of first (record.verify; read again where another algorithm was
--          hashed). Kind "digest_mismatch": the session is gone, as nothing can mend it. Other
--          failures leave it.
-- touch    is activity: bytes are arriving for it.
-- cancel   removes the session.
-- sweep    removes the sessions whose last activity was before that time, seconds since 1970, and
--          whatever else a dead gateway has left behind.
-- put      makes a file that has been hashed the blob `digest`.
-- ahead    sends what has come of a chunk, { path, size, from }, that still grows, so that little is
--          left to be done after its last byte. `to` is { id, name, digest? } or { digest }. What it
--          answers goes into the next call, which makes sense when the file has `sent.wants` bytes,
--          and into `chunk.sent`; nil without an error while nothing is worth it. Nobody sees any
--          of that, and what fails is taken back.
-- drop     takes back what was sent ahead, when no chunk comes of it.
--
-- A blob of the right size that is there already is kept; one of another size is replaced. What is
-- killed anywhere leaves whole blobs, and sessions as their record says. All that take `id` and
-- `name` answer "not_found" where the session is another repository's.
local errors = require "epoch.errors"
local random = require "epoch.random"
local records = require "epoch.gateway.sessions.record"

local M = {}

local BACKENDS = {
  ["epoch.objectstore.directory"] = "epoch.gateway.sessions.directory",
  ["epoch.objectstore.s3"] = "epoch.gateway.sessions.s3",
}

-- Loaded when it is needed: a thread serves one kind of store.
local function backend(home)
  return require(BACKENDS[getmetatable(home.store).__name])
end

-- An id is a random UUID in lower case: nothing else becomes a part of a path or key.
local ID = "^" .. ("x"):rep(8) .. "%-xxxx%-4xxx%-[89ab]xxx%-" .. ("x"):rep(12) .. "$"
ID = ID:gsub("x", "[0-9a-f]")

--- Can it be the id of a session?
---@param id any
---@return boolean
function M.is_id(id)
  return type(id) == "string" and id:find(ID) ~= nil
end

local function unknown(name, id)
  return errors.fail("not_found", ("there is no upload %s in %s: it was finished, cancelled or has expired; "
    .. "start a new one"):format(tostring(id), name))
end

-- A random UUID (version 4): who does not know it cannot find the session.
local function new_id()
  local hex, err = random.hex(16)
  if not hex then
    return nil, err
  end
  local variant = ("89ab"):sub(tonumber(hex:sub(17, 17), 16) % 4 + 1):sub(1, 1)
  return table.concat({ hex:sub(1, 8), hex:sub(9, 12), "4" .. hex:sub(14, 16), variant .. hex:sub(18, 20),
    hex:sub(21) }, "-")
end

-- Asks the store about a session: `method(home, id, name, …)`.
local function ask(method, home, name, id, ...)
  if not M.is_id(id) then
    return unknown(name, id)
  end
  local answer, err = backend(home)[method](home, id, name, ...)
  if answer == nil and err.kind == "not_found" then
    return unknown(name, id)
  end
  return answer, err
end

--- Starts a session for a blob that will have a digest of this algorithm.
---@param name string
---@param algorithm epoch.algorithm
---@return { id: string, offset: integer, hash: string, min_chunk: integer? }?
---@return epoch.Error?
function M.start(home, name, algorithm)
  local id, err = new_id()
  if not id then
    return nil, err
  end
  local record, store = records.new(name, algorithm), backend(home)
  local ok
  ok, err = store.start(home, id, record)
  return ok and { id = id, offset = 0, hash = record.hash, min_chunk = store.MIN_CHUNK }, err
end

--- Where a session stands.
---@return { offset: integer, hash: string }?
---@return epoch.Error?
function M.state(home, name, id)
  local record, err = ask("load", home, name, id)
  if record and record.repository ~= name then
    return unknown(name, id)
  end
  return record and { offset = record.offset, hash = record.hash }, err
end

-- What was sent ahead of a chunk that nothing came of is taken back.
local function settled(home, chunk, ok, err)
  if ok == nil and chunk and chunk.sent then
    M.drop(home, chunk.sent)
  end
  return ok, err
end

--- Adds a chunk: the new offset.
function M.append(home, name, id, chunk)
  return settled(home, chunk, ask("append", home, name, id, chunk))
end

--- Makes the session, and the last chunk if there is one, a blob: its size.
function M.finish(home, name, id, digest, chunk)
  return settled(home, chunk, ask("finish", home, name, id, digest, chunk))
end

--- Bytes are arriving for it: it does not expire meanwhile.
function M.touch(home, name, id)
  return ask("touch", home, name, id)
end

function M.cancel(home, name, id)
  return ask("cancel", home, name, id)
end

--- Removes what has had no activity for `ttl` seconds.
function M.sweep(home, ttl)
  return backend(home).sweep(home, os.time() - ttl)
end

--- Stores a blob that came as one chunk.
---@param digest epoch.digest
---@param chunk { path: string?, size: integer, hash: string }
---@return true?
---@return epoch.Error?
function M.put(home, digest, chunk)
  local ok, err = records.verify(chunk, digest)
  if ok then
    ok, err = backend(home).put(home, digest, chunk.path, chunk.size, chunk.sent)
  end
  return settled(home, chunk, ok, err)
end

--- Sends what can be sent of a chunk that still grows, where the store has use for that.
---@param to { id: string?, name: string?, digest: epoch.digest? }
---@param sent table? what was answered before
---@param file { path: string, size: integer, from: integer }
---@return table? sent
---@return epoch.Error?
function M.ahead(home, to, sent, file)
  local store = backend(home)
  if store.ahead then
    return store.ahead(home, to, sent, file)
  end
end

--- Takes back what was sent ahead of a chunk that does not come.
---@param sent table
function M.drop(home, sent)
  return backend(home).drop(home, sent)
end

return M
