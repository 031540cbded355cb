--- The tokens that a store knows: access/tokens.json in it, for all gateways that serve it.
--
-- A token is 256 random bits that are shown once; the store has its hash. The file
-- (epoch.gateway.access.token_file) is changed by compare-and-swap.
local base64 = require "epoch.client.base64"
local core = require "epoch.core"
local errors = require "epoch.errors"
local file = require "epoch.gateway.access.token_file"
local objectstore = require "epoch.objectstore"
local random = require "epoch.random"
local scopes = require "epoch.gateway.access.scopes"
local text = require "epoch.text"

local M = { check_name = file.check_name, scopes = file.scopes }

M.KEY = file.KEY
M.MAX = file.MAX

--- What every token begins with, so that those who look for leaked secrets know it.
M.PREFIX = "epoch_"

local BITS = 256
local TRIES = 200

--- What is kept of a token, and what is looked for when one is shown.
---@param token string
---@return epoch.digest
function M.hash(token)
  return core.digest(token)
end

-- Random bits, in letters that need no escapes in URLs, headers and shells.
local function random_text()
  local bytes, err = random.bytes(BITS / 8)
  return bytes and (base64.encode(bytes):gsub("=", ""):gsub("%+", "-"):gsub("/", "_")), err
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
  local list, err = file.parse(bytes)
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

--- Is there a token? One that has expired counts, too: who has made it did not mean that everybody
--- may write from then on.
---@param home table
---@return boolean?
---@return epoch.Error?
function M.any(home)
  local list, err = M.list(home)
  if not list then
    return nil, err
  end
  return #list > 0
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
      bytes, err = file.encode(list)
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
