--- Blobs that no manifest needs: found and, when that is wanted, removed, also while others push
-- (epoch.registry.removal says why that is safe).
--
--     local found = assert(gc(task, home, { delete = true }))
--     found.blobs, found.size   --> { { digest = "sha256:…", size = 1288490188, … }, … }, 1288490188
--
-- Every manifest counts, with a tag or without: one that nothing shall need any more is removed by
-- its digest first (`epoch rm NAME@DIGEST`). Whatever looks like a digest in a manifest is taken for
-- one that is needed, wherever it stands: what is not understood is kept. And where anything among
-- the manifests cannot be read or is not what it was, nothing at all is removed.
--
-- Uploads in parts that nobody has finished are found, too, where the store has such things.
--
-- The grace is for pushes that have sent blobs, or parts of one, and not yet their manifest: without
-- it they would have to be done again.
local blobs = require "epoch.objectstore.blobs"
local errors = require "epoch.errors"
local json = require "epoch.json"
local listeners = require "epoch.listeners"
local options = require "epoch.options"
local reference = require "epoch.reference"
local removal = require "epoch.registry.removal"
local uploads = require "epoch.gc.uploads"

local M = {}

local DAY = 24 * 3600
local HEX = { [64] = "sha256", [128] = "sha512" }

local GC = {
  delete = { type = "boolean", default = false },
  grace = { type = "integer", min = 0, default = DAY },
  concurrency = { type = "integer", min = 1, max = 64, default = 4 },
  on_event = { type = "function" },
}

---@class epoch.gc.Blob
---@field digest epoch.digest
---@field size integer
---@field modified integer seconds since 1970
---@field removed boolean

---@class epoch.gc.Found
---@field blobs epoch.gc.Blob[] that nothing needs, and that are older than the grace
---@field uploads epoch.gc.Upload[] that nobody has finished, and that are older than the grace
---@field size integer their bytes
---@field young integer how many more blobs are younger
---@field removed integer how many of the blobs were removed
---@field freed integer the bytes of these
---@field doubts epoch.Error[] because of which nothing would be removed

-- Notes every digest that a text names.
local function note(needed, text)
  for hex in text:lower():gmatch("%x+") do
    local algorithm = HEX[#hex]
    if algorithm then
      needed[algorithm .. ":" .. hex] = true
    end
  end
end

-- The same for all texts in a decoded value.
local function note_all(needed, value)
  if type(value) == "string" then
    note(needed, value)
  elseif type(value) == "table" then
    for key, inner in pairs(value) do
      note_all(needed, key)
      note_all(needed, inner)
    end
  end
end

-- Reads what is new among the manifests. True when all of them are understood.
local function read_manifests(state)
  state.doubts = {}
  return state.home:each_manifest({ concurrency = state.concurrency, seen = state.seen }, function(one)
    state.manifests = state.manifests + 1
    if one.bytes then
      note(state.needed, one.bytes)
      if one.bytes:find("\\", 1, true) then -- digits can be written as escapes, too
        note_all(state.needed, one.members or (json.decode(one.bytes)))
      end
    end
    if one.err and (one.name or one.is_other or not one.bytes) then
      table.insert(state.doubts, one.err)
    end
  end)
end

-- A catalog that has names, or cannot be read, beside a store that has no manifest: a part of it is
-- not there.
local function check_catalog(state)
  if state.manifests > 0 then
    return true
  end
  local listed, unread = state.home:get_catalog()
  local name = listed and next(listed.repositories)
  if unread then
    table.insert(state.doubts, unread)
  end
  if not name then
    return true
  end
  local ok, err = read_manifests(state) -- the first one may have come between the two
  if ok and state.manifests == 0 then
    table.insert(state.doubts, errors.new("invalid", ("there is no manifest in %s, but its catalog has %s: is a "
      .. "part of it not mounted? If not, remove catalog.json"):format(state.home:describe(), name)))
  end
  return ok, err
end

-- Sorts the blobs of a page of keys: needed, young, or to be removed.
local function sort_page(state, found, keys)
  for _, one in ipairs(keys) do
    local digest = one.key:gsub("^blobs/([^/]+)/([^/]+)$", "%1:%2")
    local is_needless = reference.check_digest(digest) and not state.needed[digest] -- other keys are not ours
    if is_needless and one.modified > state.oldest then
      found.young = found.young + 1
    elseif is_needless then
      found.size = found.size + one.size
      table.insert(found.blobs, { digest = digest, size = one.size, modified = one.modified, removed = false })
    end
  end
end

-- The blobs that nothing needs.
local function find_blobs(state)
  local found = { blobs = {}, size = 0, young = 0, removed = 0, freed = 0, doubts = state.doubts }
  local after
  repeat
    local page, err = state.home.store:list("blobs/", { after = after })
    local ok = page
    if ok then
      ok, err = state.task:sleep(0) -- where nothing else waits, a signal is seen here
    end
    if not ok then
      return nil, err
    end
    sort_page(state, found, page.keys)
    after = page.more and page.last
  until not after
  return found
end

-- Removes a blob of a batch that has been announced, unless it is needed by now, or new.
local function remove(state, found, blob)
  if state.needed[blob.digest] then
    return true
  end
  local key = blobs.key(blob.digest)
  local info, err = state.home.store:head(key)
  local ok = info
  if info and info.modified <= state.oldest then
    state.listeners:tell("start", blob, 0)
    ok, err = state.home.store:delete(key)
    if ok then
      blob.removed, found.removed, found.freed = true, found.removed + 1, found.freed + info.size
      state.listeners:tell("done", blob, blob.size)
    end
  elseif not info and err.kind == "not_found" then
    ok = true
  end
  return ok and true, err
end

local function doubtful(state)
  local first = state.doubts[1]
  return errors.fail(first.kind, ("nothing is removed while it is not known what all manifests need (%d of them; "
    .. "epoch fsck shows more): %s"):format(#state.doubts, tostring(first)), { cause = first })
end

-- Removes what has been announced. Answers those for which there was no time, too.
local function remove_announced(state, found, batch, until_time)
  local left = {}
  local ok, err = read_manifests(state)
  if ok and state.doubts[1] then
    ok, err = doubtful(state)
  end
  if ok then
    ok, err = state.task:each(batch, state.concurrency, function(blob)
      if os.time() >= until_time then
        left[#left + 1] = blob
        return true
      end
      return remove(state, found, blob)
    end)
  end
  if ok and #left == #batch then
    return errors.fail("timeout", ("reading the manifests in %s takes more than %d minutes: gc cannot remove "
      .. "anything there"):format(state.home:describe(), removal.LIMIT / 60))
  end
  return ok and left, err
end

local function remove_batch(state, found, batch)
  local digests = {}
  for i, blob in ipairs(batch) do
    digests[i] = blob.digest
  end
  local until_time, err = state.home:announce_removal(digests)
  if not until_time then
    return nil, err
  end
  local left
  left, err = remove_announced(state, found, batch, until_time)
  local ended, why = state.home:end_removal(until_time)
  if left and not ended then
    return nil, why
  end
  return left, err
end

local function remove_all(state, found)
  local at, batch = 0, {}
  while at < #found.blobs or #batch > 0 do
    while at < #found.blobs and #batch < removal.BATCH do
      at = at + 1
      batch[#batch + 1] = found.blobs[at]
    end
    local left, err = remove_batch(state, found, batch)
    if not left then
      return nil, errors.wrap(err, ("after %d of %d blobs"):format(found.removed, #found.blobs))
    end
    batch = left
  end
  return found
end

local function unsupported(home)
  return errors.fail("unsupported", ("what is needed in %s is not ours to say: a registry removes blobs by itself, "
    .. "an image layout has what other programs put there. Looked at are directories (file:///DIR) and stores")
    :format(home:describe()))
end

--- Finds the blobs that nothing needs; with `delete` they are removed.
---@param task epoch.task that of the home
---@param home table
---@param given { delete: boolean?, grace: integer?, concurrency: integer?, on_event: fun(event: table)? }?
---@return epoch.gc.Found?
---@return epoch.Error?
function M.run(task, home, given)
  local opts = options.check("gc", GC, given)
  if not home.announce_removal then
    return unsupported(home)
  end
  local state = {
    task = task, home = home, concurrency = opts.concurrency,
    oldest = opts.grace > 0 and os.time() - opts.grace or math.huge, -- without a grace no clock matters
    needed = {}, seen = {}, manifests = 0, doubts = {}, listeners = listeners.new("gc", opts),
  }
  local found
  local ok, err = read_manifests(state)
  if ok then
    ok, err = check_catalog(state)
  end
  if ok then
    found, err = find_blobs(state)
  end
  if found then
    found, err = uploads.find(state, found)
  end
  if not found or not opts.delete or #found.blobs + #found.uploads == 0 then
    return found, err
  elseif state.doubts[1] then
    return doubtful(state)
  end
  state.listeners:plan(found.blobs)
  ok, err = uploads.abandon(state, found)
  if not ok then
    return nil, err
  end
  return remove_all(state, found)
end

return setmetatable(M, {
  --- `gc(task, home, options)`: gc.run.
  __call = function(_, ...)
    return M.run(...)
  end,
})
