--- Object stores: whole objects under keys with slashes in them. A directory is one, a bucket another:
--
--     local store = objectstore.directory.open(task, "/srv/vms")
--     local store = assert(objectstore.s3.open(task, { bucket = "vms", endpoint = "https://store.example",
--       access_key = "…", secret_key = "…" }))
--
-- Everything above asks only for this:
--
--     store:get(key, { offset =, length = }?)  -> source, info | nil, err
--     store:read(key, max)                     -> bytes, info | nil, err     small ones, at once
--     store:head(key)                          -> info | nil, err
--     store:put(key, size, body, options?)     -> etag | nil, err
--     store:delete(key)                        -> true | nil, err            also when not there
--     store:list(prefix, options?)             -> page | nil, err
--     store:describe(), store:close()
--
-- info: { size =, etag =, modified = seconds }; of `get`, size is what the source will give.
-- What is not there is kind "not_found". An object appears whole or not at all, and replaces
-- what had its key. There is no rename.
--
-- A store that takes objects in parts can say what was left in the middle, and remove it:
--
--     store:unfinished(oldest)                 -> uploads | nil, err
--     store:abandon(upload)                    -> true | nil, err            also when not there
--
-- uploads: those to which nothing has come since `oldest`, { { key =, id =, size =, modified = } }.
--
-- put: `options` are `digest` (checked before the object exists), `on_progress` (told how many
-- bytes have come), `if_match` (an ETag: only in the place of exactly that) and
-- `if_none_match = "*"` (only where nothing is); what forbids it is kind "conflict"; `private`
-- (for nobody's eyes but the owner's, where others could look).
-- An ETag is only good for `if_match`: objects with equal ETags have equal bytes, but one
-- object may have several. Conditional puts and deletes of a key see each other, between
-- processes too; an unconditional put just wins.
--
-- list: the keys that begin with `prefix`, in bytewise order, after the key (or prefix)
-- `after`, at most `limit` (the store decides otherwise); with `delimiter = "/"` what has
-- one behind the prefix is told as a prefix only. A page: { keys = { { key =, size =,
-- modified =, and with `etags = true` etag = } }, prefixes = { "a/" }, more = boolean, last = for the
-- next `after`, others = what stands there and is no object, for those who must not overlook
-- anything: names that no key can have, links; nil when there is nothing of the kind }.
--
-- Bodies are those of epoch.body.
local errors = require "epoch.errors"
local random = require "epoch.random"
local text = require "epoch.text"
local whole = require "epoch.whole"

-- Each is loaded when it is first asked for: they are made of what is here, and a directory needs no HTTP.
local STORES = { directory = "epoch.objectstore.directory", s3 = "epoch.objectstore.s3" }

local M = setmetatable({}, {
  __index = function(self, name)
    if STORES[name] then
      rawset(self, name, require(STORES[name]))
    end
    return rawget(self, name)
  end,
})

M.MAX_KEY = 1024
local MAX_SEGMENT = 255
local LONG_SEGMENT = ("[^/]"):rep(MAX_SEGMENT + 1)
local MANY = 10000 -- keys that are listed at once where all are wanted

local function bad(key, why)
  return errors.fail("invalid", ("the key %s cannot be used: %s"):format(text.quote(key), why))
end

--- Is it a key: parts of printable ASCII with slashes between? Parts do not begin with a
--- dot: those names are the store's own, and none of them leads elsewhere.
---@param key any
---@return true?
---@return epoch.Error?
function M.check_key(key)
  if type(key) ~= "string" then
    return errors.fail("invalid", "a key must be a string, not a " .. type(key))
  elseif key == "" then
    return errors.fail("invalid", "the key is empty")
  elseif #key > M.MAX_KEY then
    return bad(key, ("%d bytes long, at most %d are allowed"):format(#key, M.MAX_KEY))
  elseif key:find("[^\33-\126]") then
    return bad(key, "a space, a control character or one that is not ASCII")
  end
  if key:find("//", 1, true) or key:find("^/") or key:find("/$") then
    return bad(key, "an empty part")
  elseif key:find("/.", 1, true) or key:find("^%.") then
    return bad(key, "a part that begins with a dot")
  elseif #key > MAX_SEGMENT and key:find(LONG_SEGMENT) then
    return bad(key, ("a part of more than %d bytes"):format(MAX_SEGMENT))
  end
  return true
end

--- Is it the beginning of keys: "", or a key, with or without a slash at its end?
---@param prefix any
---@return true?
---@return epoch.Error?
function M.check_prefix(prefix)
  if prefix == "" then
    return true
  end
  return M.check_key(type(prefix) == "string" and prefix:gsub("(.)/$", "%1") or prefix)
end

--- Raises in the name of who called `put` unless that was given a size.
---@param size any
function M.check_size(size)
  local n = whole.from(size)
  if not n or n < 0 then
    error(("store:put: the size must be a whole number of bytes, not %s"):format(tostring(size)), 3)
  end
end

--- Every key and prefix of a listing, page after page, as one page.
---@param store table
---@param prefix string
---@param delimiter string?
---@param etags boolean? with the ETags of the keys
---@return { keys: table[], prefixes: string[], others: string[] }?
---@return epoch.Error?
function M.list_all(store, prefix, delimiter, etags)
  local all, after = { keys = {}, prefixes = {}, others = {} }, nil
  repeat
    local page, err = store:list(prefix, { delimiter = delimiter, after = after, limit = MANY, etags = etags })
    if not page then
      return nil, err
    end
    for what, list in pairs(all) do
      for _, one in ipairs(page[what] or {}) do
        list[#list + 1] = one
      end
    end
    after = page.last
  until not page.more
  return all
end

--- A different wait for each try and each process, growing: seconds before the next one.
---@param try integer
---@return number
function M.backoff(try)
  return math.min(0.002 * 2 ^ math.min(try, 6), 0.1) * (0.5 + random.fraction())
end

return M
