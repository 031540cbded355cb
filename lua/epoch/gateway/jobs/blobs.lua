--- What the gateway does with blobs besides moving them. For epoch.gateway.thread.
local core = require "epoch.core"
local errors = require "epoch.errors"
local objectstore = require "epoch.objectstore"

local M = {}

local CONCURRENCY = 4 -- manifests that are read at once
local PATIENCE = 10 -- seconds for others who remove something

--- Is it there?
---@return boolean?
---@return epoch.Error?
function M.exists(home, name, digest)
  return home:blob_exists(name, digest)
end

--- How many bytes has it?
---@return integer?
---@return epoch.Error?
function M.size(home, name, digest)
  return home:blob_size(name, digest)
end

-- Does a manifest of another repository name it?
local function is_needed_elsewhere(home, name, digest)
  local hex, needed = digest:match(":(%x+)$"), false
  local ok, err = home:each_manifest({ concurrency = CONCURRENCY }, function(one)
    needed = needed or one.name ~= name and one.bytes ~= nil and one.bytes:lower():find(hex, 1, true) ~= nil
  end)
  return ok and needed, err
end

-- Tells those who push that the blob is about to go: they wait, or the manifest they have put is seen here
-- (epoch.registry.removal). Others who remove something are waited for.
local function announce(home, digest)
  local deadline, try = core.now() + PATIENCE, 0
  while true do
    local until_time, err = home:announce_removal { digest }
    if until_time or err.kind ~= "busy" or core.now() > deadline then
      return until_time, err
    end
    try = try + 1
    local slept, why = home.task:sleep(objectstore.backoff(try))
    if not slept then
      return nil, why
    end
  end
end

-- Removes what has been announced, unless others need it.
local function remove(home, name, digest, until_time)
  local needed, err = is_needed_elsewhere(home, name, digest)
  if err then
    return nil, err
  elseif needed then
    return errors.fail("unsupported", ("manifests of other repositories need blob %s: it stays"):format(digest),
      { status = 405 })
  elseif os.time() >= until_time then
    return errors.fail("timeout", ("reading all manifests took too long to remove blob %s safely; epoch gc does that "
      .. "for many blobs at once"):format(digest))
  end
  return home:delete_blob(name, digest)
end

--- True when it was there, false when not. All repositories share the blobs, and the right to delete is
--- one to a single repository: what others need is not theirs to remove who may only delete here.
---@return boolean?
---@return epoch.Error?
function M.delete(home, name, digest)
  local there, err = home:blob_exists(name, digest)
  if not there then
    return there, err
  end
  local until_time
  until_time, err = announce(home, digest)
  if not until_time then
    return nil, err
  end
  local removed, ended, why
  removed, err = remove(home, name, digest, until_time)
  ended, why = home:end_removal(until_time)
  if removed == nil then
    return nil, err
  elseif not ended then
    return nil, why
  end
  return removed
end

return M
