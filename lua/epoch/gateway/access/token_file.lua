--- The file of tokens, access/tokens.json: reading and writing it.
--
--     { "version": 1, "tokens": [ { "name": "ci", "hash": "sha256:…", "scopes": ["pull,push:vms/*"],
--       "created": "2026-01-02T03:04:05Z", "expires": "…" } ] }
--
-- Whatever in it is not understood makes all of it an error: a gateway that guessed could let
-- somebody in.
local calendar = require "epoch.calendar"
local catalog = require "epoch.catalog"
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local scopes = require "epoch.gateway.access.scopes"
local text = require "epoch.text"

local M = {}

M.KEY = "access/tokens.json"
M.MAX = 1024 * 1024
M.MAX_NAME = 64

local VERSION = 1

-- Names of those who have no token of the store.
local RESERVED = { anonymous = true, configured = true, unknown = true }

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

return M
