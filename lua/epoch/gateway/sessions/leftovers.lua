--- What upload sessions leave in a bucket: removed with the session, or when nobody has done anything
-- there for a while.
local objectstore = require "epoch.objectstore"
local parts = require "epoch.s3.parts"
local unfinished = require "epoch.s3.unfinished"

local M = {}

local ROOT = "uploads/"

-- Calls `use` for each until it fails.
local function each(list, use)
  for _, one in ipairs(list) do
    local ok, err = use(one)
    if not ok then
      return nil, err
    end
  end
  return true
end

local function abort_all(store, prefix)
  local list, err = parts.uploads(store, prefix)
  if not list then
    return nil, err
  end
  return each(list, function(upload)
    return parts.abort(store, upload)
  end)
end

--- Removes a session, its record first: what follows is of no session any more then.
---@param store table
---@param id string
---@return true?
---@return epoch.Error?
function M.remove(store, id)
  local prefix = ROOT .. id .. "/"
  local ok, err = store:delete(prefix .. "state.json")
  if not ok then
    return nil, err
  end
  ok, err = abort_all(store, prefix)
  local page
  if ok then
    page, err = objectstore.list_all(store, prefix)
  end
  if not page then
    return nil, err
  end
  return each(page.keys, function(one)
    return store:delete(one.key)
  end)
end

-- When anything was stored under a prefix for the last time: a chunk that takes long has no record yet.
local function latest_under(store, prefix)
  local page, err = objectstore.list_all(store, prefix)
  local list
  if page then
    list, err = parts.uploads(store, prefix)
  end
  if not list then
    return nil, err
  end
  local latest = 0
  for _, one in ipairs(page.keys) do
    latest = math.max(latest, one.modified)
  end
  local ok, why = each(list, function(upload)
    local found, failed = unfinished.look(store, upload)
    latest = math.max(latest, found and found.modified or 0)
    return found ~= nil, failed
  end)
  return ok and latest, why
end

-- The ids under which there is anything.
local function ids(store)
  local page, err = objectstore.list_all(store, ROOT, "/")
  local begun
  if page then
    begun, err = parts.uploads(store, ROOT)
  end
  if not begun then
    return nil, err
  end
  local seen, list = {}, {}
  local function add(key)
    local id = key:match("^uploads/([%x-]+)/")
    if id and not seen[id] then
      seen[id] = true
      list[#list + 1] = id
    end
  end
  for _, prefix in ipairs(page.prefixes) do
    add(prefix)
  end
  for _, upload in ipairs(begun) do
    add(upload.key)
  end
  return list
end

-- Is everything of the session older than that?
local function is_dead(store, id, before, active)
  local at, err = active(id)
  if at and at < before then
    at, err = latest_under(store, ROOT .. id .. "/")
  end
  if not at then
    return nil, err
  end
  return at < before
end

local function sweep_begun(store, before)
  local list, err = unfinished.find(store, before - 1)
  if not list then
    return nil, err
  end
  return each(list, function(upload)
    return parts.abort(store, upload)
  end)
end

--- Removes sessions, and what belongs to none, where the last activity was before that time.
---@param store table
---@param before integer seconds since 1970
---@param active fun(id: string): integer?, epoch.Error? the activity that a session's record tells, 0 for none
---@return integer? how many sessions
---@return epoch.Error?
function M.sweep(store, before, active)
  local list, err = ids(store)
  if not list then
    return nil, err
  end
  local count = 0
  local ok
  ok, err = each(list, function(id)
    local dead, why = is_dead(store, id, before, active)
    if not dead then
      return dead == false, why
    end
    count = count + 1
    return M.remove(store, id)
  end)
  if ok then
    ok, err = sweep_begun(store, before)
  end
  return ok and count, err
end

return M
