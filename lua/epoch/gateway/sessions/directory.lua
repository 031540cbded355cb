--- Upload sessions in a directory store (epoch.gateway.sessions says what they have to do):
--
--     uploads/ID/state.json   the record
--     uploads/ID/data         the bytes, at least as many as the record says; what is more was
--                             written by somebody who died before the record was, and is cut off
--     uploads/ID/.lock        held by who changes any of these; goes with the process
--     uploads/.gone-ID        a session that is being removed
--
-- What nginx has spooled becomes a session's data, or a blob, as one more name of the same file:
-- nothing is copied, and nginx, which removes its own name, never removes one that another nginx on
-- the same spool has taken meanwhile. Only where there are no such names, and for second chunks, is
-- anything copied. A session's data is moved to the blob, so that nothing that is a blob is appended to.
--
-- The hash of a record counts as long as the machine runs that has written the data. After that
-- the data is hashed again before it becomes a blob: only then is it certain to be what was hashed.
local core = require "epoch.core"
local errors = require "epoch.errors"
local files = require "epoch.gateway.sessions.files"
local locks = require "epoch.lock"
local records = require "epoch.gateway.sessions.record"

local M = {}

local LOCK_WAIT = 10 -- seconds: who holds it copies a chunk, or waits for the disk
local GONE = ".gone-"
local RECORD_MODE = tonumber("600", 8)

local function root_of(home)
  return home.store.root
end

local function uploads_of(home)
  return root_of(home) .. "/uploads/"
end

local function paths(home, id)
  local dir = uploads_of(home) .. id
  return { dir = dir, data = dir .. "/data", state = dir .. "/state.json", lock = dir .. "/.lock" }
end

local function read_record(home, at)
  local source, message, code = core.file(at.state)
  if not source then
    return errors.fail(code, message)
  end
  local sink = core.collect(records.MAX)
  local moved, err = home.task:flow { source = source, sink = sink, limit = records.MAX, what = at.state }
  local bytes = moved and sink:bytes()
  sink:close()
  if not bytes then
    return nil, err
  end
  return records.decode(bytes)
end

-- What is stored here replaces a record as a whole. It waits for no disk: `boot`, the run of the machine
-- in which bytes came last, says why.
local function write_record(home, at, record)
  local bytes = records.encode(record)
  local sink, message, code = core.create(at.state, { mode = RECORD_MODE, sync = false })
  if not sink then
    return errors.fail(code, message)
  end
  local moved, err = home.task:flow { source = core.bytes(bytes), sink = sink, what = at.state }
  sink:close()
  return moved and true, err
end

function M.start(home, id, record)
  local at = paths(home, id)
  local ok, message, code = core.mkdir(at.dir, files.DIR_MODE)
  if not ok then
    return errors.fail(code, message)
  end
  local written, err = write_record(home, at, record)
  if not written then
    os.remove(at.dir)
    return nil, err
  end
  return true
end

function M.load(home, id)
  return read_record(home, paths(home, id))
end

-- Takes the whole session away, in one step for everybody else. Those who wait for its lock find
-- no record then.
local function remove(home, id)
  local at, gone = paths(home, id), uploads_of(home) .. GONE .. id
  local ok, message, code = core.rename(at.dir, gone)
  if not ok and code ~= "not_found" then
    return errors.fail(code, message)
  end
  return files.remove_directory(gone)
end

-- Runs `change(at, record)` with the session locked. A session whose bytes are lost is none.
local function locked(home, id, name, change)
  local at = paths(home, id)
  local lock, err = locks.take(home.task, at.lock, LOCK_WAIT)
  if not lock then
    return nil, err
  end
  local record, result
  record, err = read_record(home, at)
  if record and record.repository ~= name then
    record, err = errors.fail("not_found", "it is the session of another repository")
  end
  if record then
    result, err = change(at, record)
  end
  if err and err.kind == "lost" then
    remove(home, id)
    err = errors.new("not_found", err.message, { cause = err })
  end
  lock:close()
  return result, err
end

-- Has the machine run ever since the record was written?
local function same_boot(record)
  local boot = files.boot_id()
  return boot ~= nil and record.boot == boot
end

-- Adds a chunk to the data and to the record, which is not stored yet: what the data has more than
-- the stored record says is none of the session's.
local function extend(at, record, chunk)
  if chunk.from ~= record.offset then
    return errors.fail("conflict", ("the upload has %.0f bytes; what came goes on after %.0f"):format(
      record.offset, chunk.from))
  end
  if chunk.size > 0 then
    local ok, err = files.add(chunk.path, chunk.size, at.data, record.offset)
    if not ok then
      return nil, err
    end
  end
  record.doubtful = record.offset > 0 and (record.doubtful or not same_boot(record))
  record.offset, record.hash, record.boot = record.offset + chunk.size, chunk.hash, files.boot_id()
  return true
end

function M.append(home, id, name, chunk)
  return locked(home, id, name, function(at, record)
    local ok, err = extend(at, record, chunk)
    if ok then
      ok, err = write_record(home, at, record)
    end
    return ok and record.offset, err
  end)
end

-- Makes the data the blob, if it hashes to that digest. A blob that is there, perhaps from this very
-- session by somebody who died then, needs no data.
local function become_blob(home, at, record, digest)
  local size, store = record.offset, home.store
  local same, err = records.verify(record, digest)
  local there = files.has_blob(store, digest, size)
  if same == nil or same and there then
    return same, err
  end
  local ok = true
  if size > 0 then
    ok, err = files.cut(at.data, size)
  end
  if ok and not (same and not record.doubtful and same_boot(record)) then
    ok, err = files.verify(size > 0 and at.data or nil, digest)
  end
  if not ok or there then
    return ok, err
  elseif size == 0 then
    return files.add_empty_blob(store, digest)
  end
  return files.move_to_blob(store, digest, at.data, size)
end

function M.finish(home, id, name, digest, chunk)
  return locked(home, id, name, function(at, record)
    local ok, err = true, nil
    if chunk then
      ok, err = extend(at, record, chunk)
    end
    if ok then
      ok, err = become_blob(home, at, record, digest)
    end
    if ok or err.kind == "digest_mismatch" then
      remove(home, id) -- what stays in spite of that is swept
    end
    return ok and record.offset, err
  end)
end

function M.touch(home, id, name)
  return locked(home, id, name, function(at, record)
    return write_record(home, at, record)
  end)
end

function M.cancel(home, id, name)
  return locked(home, id, name, function()
    return remove(home, id)
  end)
end

function M.put(home, digest, path, size)
  if files.has_blob(home.store, digest, size) then
    return true
  elseif size == 0 then
    return files.add_empty_blob(home.store, digest)
  end
  return files.add_blob(home.store, digest, path, size)
end

-- Removes a session that nobody has used since `before`: 1, or 0. `made`: when its directory was
-- changed, which is all there is of one that never got a record, or has lost it.
local function expire(home, id, made, before)
  local at = paths(home, id)
  local lock = core.lock(at.lock)
  if not lock then
    return 0 -- somebody is at it, or it has gone
  end
  local record, err = read_record(home, at)
  local used = record and record.active
  if not used and err.kind == "not_found" then
    used = made
  end
  local removed = used and used < before and remove(home, id)
  lock:close()
  return removed and 1 or 0
end

function M.sweep(home, before)
  local dir = uploads_of(home)
  local names, message, code = core.list(dir)
  if not names and code ~= "not_found" then
    return errors.fail(code, message)
  end
  local removed = 0
  for _, name in ipairs(names or {}) do
    local stat = core.stat(dir .. name)
    if name:sub(1, #GONE) == GONE then
      files.remove_directory(dir .. name)
    elseif stat and stat.type == "directory" then
      removed = removed + expire(home, name, stat.mtime, before)
    end
  end
  files.sweep(root_of(home) .. "/.spool", before)
  return removed
end

return M
