--- Files on their way into a directory store: spooled, collected in a session, made a blob. In
-- worker threads only: everything here waits for the disk.
local core = require "epoch.core"
local errors = require "epoch.errors"
local random = require "epoch.random"

local M = {}

--- The permissions of a store's directories.
M.DIR_MODE = tonumber("755", 8)

local function failed(message, code)
  return errors.fail(code, message)
end

-- The first line of one of the kernel's files that matches, or nil.
local function ask_kernel(path, pattern)
  local file = io.open(path, "rb")
  local text = file and file:read(64 * 1024)
  if file then
    file:close()
  end
  return text and text:match(pattern)
end

--- What is different after the machine has been started again: then data that was never waited for
--- may be lost. Nil where nobody knows.
---@return string?
function M.boot_id()
  return ask_kernel("/proc/sys/kernel/random/boot_id", "^[%x-]+")
end

-- The permissions of a blob, of which nginx spools with 0600: the owner may write, and those whom the
-- umask does not keep from it may read.
local function file_mode()
  local umask = tonumber(ask_kernel("/proc/self/status", "\nUmask:%s*(%d+)") or "022", 8)
  local mode = tonumber("600", 8)
  for _, bit in ipairs { tonumber("40", 8), tonumber("4", 8) } do
    if math.floor(umask / bit) % 2 == 0 then
      mode = mode + bit
    end
  end
  return mode
end

--- Removes a directory and the files in it; what has gone already is fine.
---@param dir string
---@return true?
---@return epoch.Error?
function M.remove_directory(dir)
  local names, message, code = core.list(dir)
  for _, name in ipairs(names or {}) do
    core.unlink(dir .. "/" .. name) -- one that stays keeps the directory
  end
  if not names and code ~= "not_found" then
    return failed(message, code)
  end
  local ok, why, number = os.remove(dir)
  if not ok and number ~= 2 then -- ENOENT
    return failed(("removing %s: %s"):format(dir, tostring(why)), "io")
  end
  return true
end

-- One more name of a file, or a copy where it cannot have one.
local function name_or_copy(path, to)
  core.unlink(to)
  if core.link(path, to) then
    return true
  end
  local n, message, code = core.append(path, to)
  if not n then
    core.unlink(to)
    return failed(message, code)
  end
  return true
end

-- A file is still what was hashed.
local function check_size(path, size)
  local stat, message, code = core.stat(path)
  if not stat then
    return failed(message, code == "not_found" and "io" or code)
  elseif stat.size ~= size then
    return failed(("%s has %.0f bytes, %.0f were received"):format(path, stat.size, size), "io")
  end
  return true
end

--- Makes a spooled file of `size` bytes what `data` has after its first `offset` bytes. When it
--- fails, these are still there. Kind "lost": they were not.
---@return true?
---@return epoch.Error?
function M.add(path, size, data, offset)
  local ok, err = check_size(path, size)
  if ok and offset == 0 then
    return name_or_copy(path, data)
  elseif ok then
    ok, err = M.cut(data, offset)
  end
  if not ok then
    return nil, err
  end
  local message, code
  ok, message, code = core.append(path, data)
  if not ok then
    return failed(message, code)
  end
  return true
end

--- Takes away what `data` has beyond `size`. Kind "lost": it has less.
---@return true?
---@return epoch.Error?
function M.cut(data, size)
  local ok, message, code = core.truncate(data, size)
  if not ok then
    return failed(message, (code == "size_mismatch" or code == "not_found") and "lost" or code)
  end
  return true
end

--- Reads a file again: does it hash to this digest?
---@return true?
---@return epoch.Error?
function M.verify(path, digest)
  local hasher = core.hasher(digest:match("^[^:]+"))
  local n, message, code = true, nil, nil
  if path then
    n, message, code = hasher:file(path)
  end
  local is = hasher:digest()
  hasher:close()
  if not n then
    return failed(message, code)
  elseif is ~= digest then
    return errors.fail("digest_mismatch", ("what was uploaded as %s has the digest %s; send it again"):format(
      digest, is))
  end
  return true
end

-- Makes a directory of the store. That it is there is on disk before anything in it is.
local function make_directory(dir)
  if core.stat(dir) then
    return true
  end
  local ok, message, code = core.mkdir(dir, M.DIR_MODE)
  if ok then
    ok, message, code = core.sync_parent(dir)
  end
  if not ok then
    return failed(message, code)
  end
  return true
end

local function path_of(store, digest)
  return store.root .. "/blobs/" .. digest:gsub(":", "/")
end

--- Is there a blob of that size?
---@return boolean
function M.has_blob(store, digest, size)
  local stat = core.stat((path_of(store, digest)))
  return stat ~= nil and stat.type == "file" and stat.size == size
end

-- The file is what it shall be, and on disk.
local function settle_file(path, size)
  local ok, err = check_size(path, size)
  if not ok then
    return nil, err
  end
  local message, code
  ok, message, code = core.chmod(path, file_mode())
  if ok then
    ok, message, code = core.sync(path)
  end
  if not ok then
    return failed(message, code)
  end
  return true
end

--- Moves a file of the store's own, of `size` bytes that hash to `digest`, to the place of that blob:
--- afterwards nobody has another name for it that he could write to.
---@return true?
---@return epoch.Error?
function M.move_to_blob(store, digest, path, size)
  local blob = path_of(store, digest)
  local ok, err = settle_file(path, size)
  if ok then
    ok, err = make_directory(store.root .. "/blobs")
  end
  if ok then
    ok, err = make_directory(blob:match("^(.+)/"))
  end
  if not ok then
    return nil, err
  end
  local message, code
  ok, message, code = core.rename(path, blob)
  if ok then
    ok, message, code = core.sync_parent(blob)
  end
  if not ok then
    return failed(message, code)
  end
  return true
end

--- The same for a file that somebody else removes: it keeps its own name.
---@return true?
---@return epoch.Error?
function M.add_blob(store, digest, path, size)
  local spool = store.root .. "/.spool"
  local ok, err = make_directory(spool)
  local name
  if ok then
    name, err = random.hex(16)
  end
  if not name then
    return nil, err
  end
  local own = spool .. "/blob-" .. name
  ok, err = name_or_copy(path, own)
  if ok then
    ok, err = M.move_to_blob(store, digest, own, size)
    if not ok then
      core.unlink(own)
    end
  end
  return ok, err
end

--- The blob that has no bytes.
---@return true?
---@return epoch.Error?
function M.add_empty_blob(store, digest)
  local etag, err = store:put("blobs/" .. digest:gsub(":", "/"), 0, "", { digest = digest })
  return etag and true, err
end

--- Removes the files in a directory that were written before that time.
---@param dir string
---@param before integer seconds since 1970
function M.sweep(dir, before)
  for _, name in ipairs(core.list(dir) or {}) do
    local stat = core.stat(dir .. "/" .. name)
    if stat and stat.type == "file" and stat.mtime < before then
      core.unlink(dir .. "/" .. name)
    end
  end
end

return M
