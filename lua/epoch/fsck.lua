--- Is everything in a store what it was when it was stored? Every byte is hashed again.
--
--     local report = assert(fsck(task, home))
--     for _, one in ipairs(report.broken) do
--       print(one.what, one.err, table.concat(one.breaks, ", "))  --> blob sha256:… … demo:v1, demo:v2
--     end
--
-- What is broken breaks whatever needs it: a blob its manifests, a manifest the indexes that list it,
-- and those the tags that stand for them. What nothing needs is broken all the same.
local blobs = require "epoch.objectstore.blobs"
local core = require "epoch.core"
local early = require "epoch.manifest.early"
local errors = require "epoch.errors"
local graphs = require "epoch.fsck.graph"
local listeners = require "epoch.listeners"
local manifests = require "epoch.objectstore.manifests"
local media = require "epoch.media"
local objectstore = require "epoch.objectstore"
local options = require "epoch.options"
local reference = require "epoch.reference"

local M = {}

local FSCK = {
  concurrency = { type = "integer", min = 1, max = 64, default = 4 },
  on_event = { type = "function" },
}

-- Kinds of errors that are an object's own and say nothing of its neighbours.
local OWN = { digest_mismatch = true, size_mismatch = true, truncated = true, io = true, denied = true }

local PAUSE = 0.2 -- seconds

---@class epoch.fsck.Broken
---@field what string "blob sha256:…", "manifest demo:v1"
---@field digest epoch.digest? what it should have; nil: it is found by a tag only
---@field err epoch.Error what is wrong with it
---@field breaks string[] NAME:TAG, NAME@DIGEST of what has no tag, keys of what only generation 1 could name; sorted

---@class epoch.fsck.Report
---@field manifests integer how many were read
---@field blobs integer how many were hashed
---@field size integer their bytes
---@field broken epoch.fsck.Broken[]

-- `node` is nil where nothing can need it.
local function report(state, what, node, err, digest)
  table.insert(state.broken, { what = what, node = node, digest = digest, err = err })
end

-- Takes down what a manifest needs: its blobs, with the sizes it says, and the manifests it lists.
local function follow(state, one, node)
  local needed, err = manifests.blobs(one.members)
  if not needed then
    return report(state, "manifest " .. node, node, err, one.digest)
  end
  for _, blob in ipairs(needed) do
    state.graph:need(blob.digest, node)
    table.insert(state.promised, { digest = blob.digest, size = blob.size, by = node })
  end
  local listed = one.members.manifests
  for _, child in ipairs(type(listed) == "table" and listed or {}) do
    local digest = type(child) == "table" and reference.check_digest(child.digest) and child.digest
    if digest and one.name and media.is_manifest(child.mediaType) then
      local child_node = one.name .. "@" .. digest
      state.graph:need(child_node, node)
      table.insert(state.listed, { node = child_node, digest = digest, by = node })
    end
  end
end

local function take_manifest(state, one)
  state.manifests = state.manifests + 1
  if not one.name then -- no reference leads there, but generation 1 took other names: "Demo"
    if one.err then
      report(state, one.key, one.is_other and one.key or nil, one.err)
    elseif one.members and early.is_first(one.members) then
      follow(state, one, one.key)
    end
    return
  end
  local node = one.name .. (one.tag and ":" .. one.tag or "@" .. one.digest)
  state.there[node] = true
  if one.blob then
    state.graph:need(one.blob, node)
    table.insert(state.promised, { digest = one.blob, by = node })
  elseif not one.tag then
    state.by_digest[one.name] = true
  end
  if one.tag and one.bytes then
    local digest = core.digest(one.bytes)
    local known = one.name .. "@" .. digest
    state.graph:tag(known)
    if not one.blob and one.members and one.members.schemaVersion == 2 then
      table.insert(state.tags, { name = one.name, node = node, known = known })
    end
  end
  if one.err then
    report(state, "manifest " .. node, node, one.err, one.digest)
  elseif one.members then
    follow(state, one, node)
  end
end

-- Is there no such manifest? Others push and remove while the lists are made: what is missing in them
-- is looked for once more.
local function is_gone(state, node)
  local name, given = node:match("^([^:@]+)[:@](.+)$")
  local found, err
  if name then
    found, err = state.home:get_manifest(name, given)
  else
    found, err = state.home.store:head(node)
  end
  return not found and err.kind == "not_found"
end

-- A tag's bytes have no digest of their own to be held against; but what was stored under a tag has
-- been stored under its digest before.
local function check_tags(state)
  for _, tag in ipairs(state.tags) do
    if state.by_digest[tag.name] and not state.there[tag.known] and is_gone(state, tag.known)
        and not is_gone(state, tag.node) then
      report(state, "manifest " .. tag.node, tag.node, errors.new("digest_mismatch", ("%s is not in %s: what has the "
        .. "tag is not what was stored, or its copy by digest is gone"):format(tag.known, state.home:describe())))
    end
  end
end

local function check_listed(state)
  for _, one in ipairs(state.listed) do
    if not state.there[one.node] and is_gone(state, one.node) and not is_gone(state, one.by) then
      state.there[one.node] = true -- told once
      report(state, "manifest " .. one.node, one.node, errors.new("not_found", ("it is not in %s, and %s lists it")
        :format(state.home:describe(), one.by)), one.digest)
    end
  end
end

-- The blobs that are there.
local function list_blobs(state)
  local found, err = objectstore.list_all(state.home.store, "blobs/")
  if not found then
    return nil, err
  end
  local list = {}
  for _, one in ipairs(found.keys) do
    local digest = one.key:gsub("^blobs/([^/]+)/([^/]+)$", "%1:%2")
    if reference.check_digest(digest) then
      list[#list + 1] = { digest = digest, size = one.size }
    end
  end
  return list
end

local function hash(state, blob)
  local source, info = state.home.store:get(blobs.key(blob.digest))
  if not source then
    return nil, info
  end
  blob.size = info.size
  return state.task:flow({
    source = source, size = info.size, digest = blob.digest, what = "what is there",
  }, state.listeners:progress_of(blob))
end

local function check_blob(state, blob)
  state.listeners:tell("start", blob, 0)
  local hashed, err = hash(state, blob)
  if not hashed and err.kind == "not_found" then
    return true -- removed since it was listed; if something needs it, that is told later
  elseif not hashed and not OWN[err.kind] then
    return nil, err
  end
  state.sizes[blob.digest] = blob.size
  state.blobs, state.size = state.blobs + 1, state.size + blob.size
  if not hashed then
    state.damaged[blob.digest] = true
    report(state, "blob " .. blob.digest, blob.digest, err, blob.digest)
  end
  state.listeners:tell("done", blob, blob.size)
  return true
end

-- A file is hashed in one go by another thread: nothing happens meanwhile, unless it is made to, that
-- would let anybody ask how far it is.
local function check_blobs(state, list, concurrency)
  local done = false
  state.task:attend(function()
    repeat
      local goes_on = state.task:sleep(PAUSE)
    until not goes_on
  end, function()
    return not done
  end)
  local ok, err = state.task:each(list, concurrency, function(blob)
    return check_blob(state, blob)
  end)
  done = true
  return ok, err
end

-- What manifests say of their blobs, beside what is there.
local function check_promised(state)
  for _, one in ipairs(state.promised) do
    local digest, where = one.digest, state.home:describe()
    local size = state.sizes[digest]
    if not size then -- it may have been stored since the list was made
      local info, err = state.home.store:head(blobs.key(digest))
      if not info and err.kind ~= "not_found" then
        return nil, err
      end
      size = info and info.size
    end
    -- what needs it may be gone, too; of a layout's manifest, which is a blob, that would always be so
    if not size and not state.damaged[digest] and not (one.size and is_gone(state, one.by)) then
      state.damaged[digest] = true
      report(state, "blob " .. digest, digest, errors.new("not_found", ("it is not in %s, and %s needs it")
        :format(where, one.by)), digest)
    elseif size and one.size and size ~= one.size and not state.damaged[digest] then
      report(state, "manifest " .. one.by, one.by, errors.new("size_mismatch", ("blob %s has %.0f bytes in %s, the "
        .. "manifest says %.0f"):format(digest, size, where, one.size)))
    end
  end
  return true
end

local function finish(state)
  table.sort(state.broken, function(a, b) return a.what < b.what end)
  local list = {}
  for i, one in ipairs(state.broken) do
    list[i] = { what = one.what, digest = one.digest, err = one.err, breaks = state.graph:breaks(one.node) }
  end
  return { manifests = state.manifests, blobs = state.blobs, size = state.size, broken = list }
end

local function unsupported(home)
  return errors.fail("unsupported", ("%s is a registry, which looks after its own blobs; a pull checks every byte that "
    .. "arrives. Looked at are directories (file:///DIR), stores, and image layouts (oci:DIR)"):format(home:describe()))
end

--- Reads every manifest and hashes every blob of a home.
---@param task epoch.task that of the home
---@param home table
---@param given { concurrency: integer?, on_event: fun(event: table)? }?
---@return epoch.fsck.Report?
---@return epoch.Error?
function M.run(task, home, given)
  local opts = options.check("fsck", FSCK, given)
  if not home.each_manifest then
    return unsupported(home)
  end
  local state = {
    task = task, home = home, listeners = listeners.new("fsck", opts),
    manifests = 0, blobs = 0, size = 0, broken = {},
    graph = graphs.new(), there = {}, by_digest = {}, tags = {}, listed = {}, -- manifests
    promised = {}, sizes = {}, damaged = {}, -- blobs
  }
  local list
  local ok, err = home:each_manifest({ concurrency = opts.concurrency }, function(one)
    take_manifest(state, one)
  end)
  if ok then
    check_tags(state)
    check_listed(state)
    list, err = list_blobs(state)
  end
  if list then
    state.listeners:plan(list)
    ok, err = check_blobs(state, list, opts.concurrency)
  end
  if list and ok then
    ok, err = check_promised(state)
  end
  if not (list and ok) then
    return nil, err
  end
  return finish(state)
end

return setmetatable(M, {
  --- `fsck(task, home, options)`: fsck.run.
  __call = function(_, ...)
    return M.run(...)
  end,
})
