--- The tokens that a store knows: access/tokens.json in it, for all gateways that serve it.
--
--     { "version": 1, "tokens": [ { "name": "ci", "hash": "sha256:…", "scopes": ["pull,push:vms/*"],
--       "created": "2026-01-02T03:04:05Z", "expires": "…" } ] }
--
-- A token is 256 random bits that are shown once; the store has its hash. The file is changed by
-- compare-and-swap. Whatever in it is not understood makes all of it an error: a gateway that
-- guessed could let somebody in.
local calendar = require "epoch.calendar"
local catalog = require "epoch.catalog"
local core = require "epoch.core"
local base64 = require "epoch.client.base64"
local errors = require "epoch.errors"
local json = require "epoch.json"
local objectstore = require "epoch.objectstore"
local scopes = require "epoch.gateway.access.scopes"
local text = require "epoch.text"

local M = {}

M.KEY = "access/tokens.json"
M.MAX = 1024 * 1024
M.MAX_NAME = 64

--- What every token begins with, so that those who look for leaked secrets know it.
M.PREFIX = "epoch_"

local VERSION = 1
local BITS = 256
local TRIES = 200

-- Names of those who have no token of the store.
local RESERVED = { anonymous = true, configured = true }

---@class epoch.gateway.Token
---@field name string
---@field hash epoch.digest
---@field rights epoch.gateway.Right[]
---@field created integer seconds since 1970
---@field expires integer?

--- Is it a name for a token?
---@param name string
---@return true?
---@return epoch.Error?
function M.check_name(name)
  if not name:find("^[%w][%w._-]*$") or #name > M.MAX_NAME then
    return errors.fail("invalid", ("the name %s cannot be used: up to %d letters, digits and \".\", \"_\", \"-\"")
      :format(text.quote(name), M.MAX_NAME))
  elseif RESERVED[name] then
    return errors.fail("invalid", ("the name %s stands for those who have no token of the store"):format(name))
  end
  return true
end

--- What is kept of a token, and what is looked for when one is shown.
---@param token string
---@return epoch.digest
function M.hash(token)
  return core.digest(token)
end

-- Random bits of the system, in letters that need no escapes in URLs, headers and shells.
local function random_text()
  local source, why = io.open("/dev/urandom", "rb")
  if not source then
    return errors.fail("io", "no random bits: " .. tostring(why))
  end
  source:setvbuf("no")
  local bytes = source:read(BITS / 8)
  source:close()
  if not bytes or #bytes ~= BITS / 8 then
    return errors.fail("io", "/dev/urandom gave no random bits")
  end
  return (base64.encode(bytes):gsub("=", ""):gsub("%+", "-"):gsub("/", "_"))
end

local MEMBERS = { name = true, hash = true, scopes = true, created = true, expires = true }

local function rights_of(list)
  if type(list) ~= "table" then
    return nil, "no scopes"
  end
  local rights, n = {}, 0
  for _ in pairs(list) do
    n = n + 1
  end
  for i = 1, n do
    local right, err
    if type(list[i]) == "string" then
      right, err = scopes.parse(list[i])
    end
    if not right then
      return nil, err and err.message or "its scopes are no list of texts"
    end
    rights[i] = right
  end
  return rights
end

-- One token as the file has it; or nil and what is wrong with it.
local function token_of(entry)
  if type(entry) ~= "table" or type(entry.name) ~= "string" then
    return nil, "it has no name"
  end
  for member in pairs(entry) do
    if not MEMBERS[member] then
      return nil, ("the member %s is not known"):format(text.quote(tostring(member)))
    end
  end
  local ok, err = M.check_name(entry.name)
  if not ok then
    return nil, err.message
  elseif type(entry.hash) ~= "string" or core.parse_digest(entry.hash) ~= "sha256" then
    return nil, "its hash is none"
  end
  local rights, why = rights_of(entry.scopes)
  if not rights then
    return nil, why
  end
  local created = type(entry.created) == "string" and calendar.rfc3339(entry.created)
  local expires = type(entry.expires) == "string" and calendar.rfc3339(entry.expires)
  if not created or entry.expires ~= nil and not expires then
    return nil, "its times are none"
  end
  return { name = entry.name, hash = entry.hash, rights = rights, created = created, expires = expires or nil }
end

local function damaged(why)
  return errors.fail("invalid", ("%s is damaged: %s; no token is accepted before it is repaired"):format(M.KEY, why))
end

local function top_of(bytes)
  local value, err = json.decode(bytes, M.MAX)
  if err then
    return nil, err.message
  elseif type(value) ~= "table" or value.version ~= VERSION or type(value.tokens) ~= "table" then
    return nil, ("it is not of version %d"):format(VERSION)
  end
  for member in pairs(value) do
    if member ~= "version" and member ~= "tokens" then
      return nil, ("the member %s is not known"):format(text.quote(tostring(member)))
    end
  end
  return value
end

--- What the bytes of the file say.
---@param bytes string
---@return epoch.gateway.Token[]?
---@return epoch.Error?
function M.parse(bytes)
  local value, why = top_of(bytes)
  if not value then
    return damaged(why)
  end
  local list, seen, n = {}, {}, 0
  for _ in pairs(value.tokens) do
    n = n + 1
  end
  for i = 1, n do
    local token
    token, why = token_of(value.tokens[i])
    if token and (seen[token.name] or seen[token.hash]) then
      token, why = nil, "it is there twice"
    elseif not token then
      why = ("token %d: %s"):format(i, why)
    end
    if not token then
      return damaged(why)
    end
    seen[token.name], seen[token.hash] = true, true
    list[i] = token
  end
  return list
end

--- The bytes of the file for them.
---@param list epoch.gateway.Token[]
---@return string?
---@return epoch.Error?
function M.encode(list)
  local entries = {}
  for i, token in ipairs(list) do
    entries[i] = json.object {
      { "name", token.name }, { "hash", token.hash }, { "scopes", json.array(M.scopes(token)) },
      { "created", catalog.time(token.created) },
      { "expires", token.expires and catalog.time(token.expires) or nil },
    }
  end
  return json.encode(json.object { { "version", VERSION }, { "tokens", json.array(entries) } }, 2)
end

--- What a token may do, as it is typed.
---@param token epoch.gateway.Token
---@return string[]
function M.scopes(token)
  local list = {}
  for i, right in ipairs(token.rights) do
    list[i] = scopes.format(right)
  end
  return list
end

-- The store of a home; registries and layouts have tokens of their own, or none.
local function store_of(home)
  if not (home.store and home.get_catalog) then
    return errors.fail("unsupported", ("%s keeps no tokens: they are for what the gateway serves, file:///DIR or "
      .. "s3://BUCKET"):format(home:describe()))
  end
  return home.store
end

-- The tokens and the ETag of their file, which is nil where there is none.
local function load(store)
  local bytes, info = store:read(M.KEY, M.MAX)
  if not bytes then
    if info.kind == "not_found" then
      return {}
    end
    return nil, info
  end
  local list, err = M.parse(bytes)
  if not list then
    return nil, errors.wrap(err, store:describe())
  end
  return list, info.etag
end

--- The tokens of a home, by name.
---@param home table
---@return epoch.gateway.Token[]?
---@return epoch.Error?
function M.list(home)
  local store, err = store_of(home)
  local list
  if store then
    list, err = load(store)
  end
  if not list then
    return nil, err
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- Is there a token that has not expired?
---@param home table
---@return boolean?
---@return epoch.Error?
function M.any(home)
  local list, err = M.list(home)
  if not list then
    return nil, err
  end
  local now = os.time()
  for _, token in ipairs(list) do
    if not token.expires or token.expires > now then
      return true
    end
  end
  return false
end

-- Changes the file, as often as it takes to do so between others' changes. `edit` changes the list
-- it is given, or answers nil, err.
local function change(home, edit)
  local store, err = store_of(home)
  if not store then
    return nil, err
  end
  for try = 1, TRIES do
    local list, etag = load(store)
    if not list then
      return nil, etag
    end
    local done, bytes, put
    done, err = edit(list)
    if done then
      bytes, err = M.encode(list)
    end
    if not bytes then
      return nil, err
    end
    put, err = store:put(M.KEY, #bytes, bytes, {
      if_match = etag, if_none_match = not etag and "*" or nil, private = true,
    })
    if not put and err.kind == "unsupported" then -- a store that cannot compare: the last one wins
      put, err = store:put(M.KEY, #bytes, bytes, { private = true })
    end
    if put then
      return done
    elseif err.kind ~= "conflict" then
      return nil, err
    end
    local slept, why = home.task:sleep(objectstore.backoff(try))
    if not slept then
      return nil, why
    end
  end
  return errors.fail("busy", ("%s/%s was changed by others %d times in a row; try again"):format(
    store:describe(), M.KEY, TRIES))
end

--- Makes a token. Its text is nowhere else from now on.
---@param home table
---@param given { name: string, scopes: string[], lifetime: integer? } lifetime in seconds
---@return string? text
---@return epoch.gateway.Token|epoch.Error
function M.create(home, given)
  local ok, err = M.check_name(given.name)
  local rights = {}
  for i, scope in ipairs(ok and given.scopes or {}) do
    rights[i], err = scopes.parse(scope)
    ok = ok and rights[i]
  end
  local secret
  if ok then
    secret, err = random_text()
  end
  if not secret then
    return nil, err
  end
  local shown, now = M.PREFIX .. secret, os.time()
  local token = { name = given.name, hash = M.hash(shown), rights = rights, created = now,
                  expires = given.lifetime and now + given.lifetime }
  ok, err = change(home, function(list)
    for _, other in ipairs(list) do
      if other.name == token.name then
        return errors.fail("conflict", ("there is a token %s already; remove it first, or choose another name")
          :format(token.name))
      end
    end
    list[#list + 1] = token
    return true
  end)
  if not ok then
    return nil, err
  end
  return shown, token
end

--- Takes a token away: gateways notice within seconds.
---@param home table
---@param name string
---@return true?
---@return epoch.Error?
function M.remove(home, name)
  return change(home, function(list)
    for i, token in ipairs(list) do
      if token.name == name then
        table.remove(list, i)
        return true
      end
    end
    return errors.fail("not_found", ("there is no token %s"):format(text.quote(name)))
  end)
end

return M
