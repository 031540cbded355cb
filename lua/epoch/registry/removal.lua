--- Blobs that are about to be removed, announced to those who push.
--
-- A push that finds a blob in place does not send it; a gc that finds it in no manifest removes it.
-- So that these two never miss each other, each says what it does before it looks at the other:
--
--     gc     puts gc.json, which names the blobs; reads the manifests again; removes what is still
--            in none of them; deletes gc.json
--     push   puts the manifest by its digest; waits while gc.json names a blob of it; looks whether
--            the blobs are there; only then puts the tag
--
-- Either the gc finds the manifest, and keeps its blobs, or the push finds that blobs are gone, and
-- says so before anything has the tag. It does not matter how long either takes, nor what a clock
-- says. Only one gc removes at a time, because gc.json is made where there is none.
--
-- One who dies leaves gc.json behind. It is believed for STALE seconds, and who has made it removes
-- nothing any more after LIMIT: clocks that are less than the difference apart do no harm.
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local catalog = require "epoch.catalog"
local objectstore = require "epoch.objectstore"

local M = {}

M.KEY = "gc.json"
M.BATCH = 1000 -- blobs named at once: nobody waits long for so many
M.WAIT = 60 -- seconds a push waits
M.LIMIT = 300 -- seconds
M.STALE = 900 -- seconds

local MAX = 1024 * 1024

-- Is an announcement too old to be believed?
local function is_stale(info)
  return info.modified + M.STALE < os.time()
end

-- The digests that are announced, as a set.
local function announced(self)
  local bytes, info = self.store:read(M.KEY, MAX)
  if not bytes and info.kind ~= "not_found" then
    return nil, info
  end
  local value = bytes and not is_stale(info) and json.decode(bytes, MAX)
  local named = {}
  for _, digest in ipairs(type(value) == "table" and type(value.blobs) == "table" and value.blobs or {}) do
    named[digest] = true
  end
  return named
end

local function busy(self)
  return errors.fail("busy", ("a gc is removing blobs from %s; try again when it has ended (one that "
    .. "was killed counts for %d minutes)"):format(self.store:describe(), M.STALE / 60))
end

--- Announces that blobs are about to be removed: the time after which nothing may be removed any
--- more. "busy" while another has announced something.
---@param self { store: table }
---@param digests epoch.digest[] at most BATCH
---@return integer? until_time
---@return epoch.Error?
function M.announce(self, digests)
  local now = os.time()
  local bytes = json.encode({ blobs = json.array(digests), since = catalog.time(now) }, 2)
  local etag, err = self.store:put(M.KEY, #bytes, bytes, { if_none_match = "*" })
  if not etag and err.kind == "conflict" then
    local there, info = self.store:read(M.KEY, MAX)
    if there and is_stale(info) then
      etag, err = self.store:put(M.KEY, #bytes, bytes, { if_match = info.etag })
    end
  end
  if not etag and err.kind == "conflict" then
    return busy(self)
  elseif not etag and err.kind == "unsupported" then
    return errors.fail("unsupported", ("%s cannot put objects under conditions: a gc could not make sure that it is "
      .. "the only one, and removes nothing"):format(self.store:describe()), { cause = err })
  end
  return etag and now + M.LIMIT, err
end

--- It is over. `until_time` is what announce has answered.
---@param self { store: table }
---@param until_time integer
---@return true?
---@return epoch.Error?
function M.withdraw(self, until_time)
  if os.time() > until_time - M.LIMIT + M.STALE then
    return true -- what is there now is another's
  end
  return self.store:delete(M.KEY)
end

--- Waits until none of these blobs is announced. The manifest that needs them has been stored.
---@param self { task: epoch.task, store: table }
---@param blobs { digest: epoch.digest }[]
---@return true?
---@return epoch.Error?
function M.settle(self, blobs)
  local deadline, try = core.now() + M.WAIT, 0
  while true do
    local named, err = announced(self)
    local waits = false
    for _, blob in ipairs(named and blobs or {}) do
      waits = waits or named[blob.digest]
    end
    if not named or not waits then
      return named and true, err
    elseif core.now() > deadline then
      return busy(self)
    end
    try = try + 1
    local slept
    slept, err = self.task:sleep(objectstore.backoff(try))
    if not slept then
      return nil, err
    end
  end
end

return M
