--- Blobs of a registry in an object store, out of files and into files. For epoch.registry, which
-- takes its methods from here.
local core = require "epoch.core"
local errors = require "epoch.errors"
local text = require "epoch.text"

local M = {}

-- Size and digest of a file.
local function hash(task, path)
  local source, message, code = core.file(path)
  if not source then
    return errors.fail(code, message)
  end
  return task:flow { source = source, hash = true, what = path }
end

--- Stores a file as a blob: its digest and its size. It is read twice, for its key is needed
--- before its first byte is stored; one that changes meanwhile is refused.
---@param name string
---@param path string
---@param on_progress fun(bytes: integer)? of the bytes that are stored
---@return epoch.digest?
---@return integer|epoch.Error size
function M:push_blob(name, path, on_progress)
  local hashed, err = hash(self.task, path)
  local ok
  if hashed then
    ok, err = self:put_blob(name, hashed.digest, hashed.size, function()
      return core.file(path)
    end, on_progress)
  end
  if not ok then
    return nil, errors.wrap(err, "store " .. text.quote(path))
  end
  return hashed.digest, hashed.size
end

--- Writes a blob to a file, which appears, or replaces what is there, when every byte has come and
--- the digest is right: the blob's size.
---@param name string
---@param digest epoch.digest
---@param path string
---@param on_progress fun(bytes: integer)?
---@return integer?
---@return epoch.Error?
function M:pull_blob(name, digest, path, on_progress)
  local source, size = self:get_blob(name, digest)
  if not source then
    return nil, size
  end
  local sink, message, code = core.create(path)
  if not sink then
    source:close()
    return errors.fail(code, message)
  end
  local moved, err = self.task:flow({
    source = source, sink = sink, size = size, digest = digest,
    what = ("blob %s in %s"):format(digest, self:describe()),
  }, on_progress)
  sink:close()
  return moved and size, err
end

return M
