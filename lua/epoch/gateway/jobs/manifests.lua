--- Manifests of the registry that is served. For epoch.gateway.thread.
local errors = require "epoch.errors"
local manifest = require "epoch.manifest"
local manifests = require "epoch.objectstore.manifests"
local reference = require "epoch.reference"
local referrers = require "epoch.registry.referrers"

local M = {}

function M.get(home, name, given)
  return home:get_manifest(name, given)
end

-- Every tag is right before the first of them is put.
local function check_tags(tags)
  for _, tag in ipairs(tags) do
    local ok, err = reference.check_tag(tag)
    if not ok then
      return nil, err
    end
  end
  return true
end

-- What people call it, and how large it is altogether.
local function describe(bytes, media_type)
  local m = manifest.parse(bytes, media_type)
  return m and manifest.classify(m) or "unknown", m and manifest.total_size(m) or nil
end

--- Puts a manifest and its further tags: { digest, subject, tags, kind, size }.
---@param home table
---@param name string
---@param given string tag or digest
---@param bytes string
---@param options { media_type: string?, tags: string[], sparse: boolean? }
function M.put(home, name, given, bytes, options)
  local ok, err = check_tags(options.tags)
  local digest
  if ok then
    digest, err = home:put_manifest(name, given, bytes, options.media_type,
      { sparse = options.sparse, children = true })
    ok = digest
  end
  if ok and #options.tags > 0 then
    ok, err = home:tag_manifest(name, digest, options.tags)
  end
  if not ok then
    return nil, err
  end
  local kind, size = describe(bytes, options.media_type)
  local subject = referrers.subject((manifests.read(bytes)))
  return { digest = digest, subject = subject, tags = options.tags, kind = kind, size = size }
end

--- True when it was there.
function M.delete(home, name, given)
  local key, err = home:manifest_key(name, given)
  local info
  if key then
    info, err = home.store:head(key)
  end
  if not info then
    return nil, err
  end
  local ok
  ok, err = home:delete_manifest(name, given)
  if not ok then
    return nil, errors.wrap(err, "delete " .. name)
  end
  return true
end

return M
