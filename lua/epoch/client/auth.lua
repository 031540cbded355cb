--- What is sent as Authorization to one registry, learned from its challenges.
--
-- Nothing is sent before the registry has asked, but a token that was given for it. Tokens
-- are kept for each scope until a little before they end. The token server is the one named
-- first: a registry that names another one later is not believed.
local address = require "epoch.client.address"
local base64 = require "epoch.client.base64"
local challenge = require "epoch.challenge"
local core = require "epoch.core"
local errors = require "epoch.errors"
local tokens = require "epoch.client.token"

local Auth = {}
Auth.__index = Auth

local M = {}

-- So many seconds before its end a token is no longer used, or a quarter of its life.
local MARGIN = 10
local SCOPES_MAX = 1024

---@param options { address: table, transport: table, credentials: table, token: string?, plain_http: boolean? }
function M.new(options)
  return setmetatable({
    address = options.address, transport = options.transport, credentials = options.credentials,
    token = options.token, plain_http = options.plain_http, tokens = {}, wanted = {},
  }, Auth)
end

local function key_of(scopes)
  return table.concat(scopes, " ")
end

-- What is known of us for this registry; asked for once, and again after a refusal.
local function credential(self)
  if self.known == nil then
    local found, err = self.credentials:get(self.address)
    if found == nil then
      return nil, err
    end
    self.known = found
  end
  return self.known
end

local function basic(known)
  return "Basic " .. base64.encode(known.username .. ":" .. known.password)
end

local function no_credentials(self, why)
  return errors.fail("unauthorized", ("%s asks for credentials and %s; log in with: epoch login %s")
    :format(self.address.url, why, self.address.name))
end

-- The scopes of a request, and what the registry asked for beyond them.
local function all_scopes(self, scopes)
  local list, extra = {}, self.wanted[key_of(scopes)]
  for i, scope in ipairs(scopes) do
    list[i] = scope
    extra = extra ~= scope and extra or nil
  end
  list[#list + 1] = extra
  return list
end

local function fetch(self, scopes)
  local known, err = credential(self)
  if known == nil then
    return nil, err
  elseif known and known.registry_token then
    return { token = known.registry_token, lifetime = math.huge }
  end
  local want = { address = self.address, realm = self.realm, service = self.service,
    scopes = all_scopes(self, scopes) }
  if known then
    local ok
    ok, err = address.may_confide(self.realm, self.plain_http)
    if not ok then
      return nil, err
    end
    want.identity_token = known.identity_token
    if not known.identity_token then
      want.authorization, want.account = basic(known), known.username
    end
  end
  local got
  got, err = tokens.fetch(self.transport, want)
  if got and got.refresh_token and known and known.identity_token then
    self.known = { identity_token = got.refresh_token }
  end
  return got, err
end

local function bearer(token)
  return token ~= "" and "Bearer " .. token
end

--- The value of Authorization for a request that needs these scopes; false: none.
---@param scopes string[]
---@return string|false|nil
---@return epoch.Error?
function Auth:authorization(scopes)
  if self.token then
    return "Bearer " .. self.token
  elseif self.scheme == "basic" then
    local known, err = credential(self)
    if known == nil then
      return nil, err
    elseif not (known and known.username) then
      return no_credentials(self, known and "takes a name and a password, not a token" or "none are known")
    end
    return basic(known)
  elseif self.scheme ~= "bearer" then
    return false
  end
  local key = key_of(scopes)
  local kept = self.tokens[key]
  if kept and core.now() < kept.ends then
    return bearer(kept.token)
  end
  local began = core.now()
  local got, err = fetch(self, scopes)
  if not got then
    return nil, self:explain(err)
  end
  local margin = math.min(MARGIN, got.lifetime / 4)
  self.tokens[key] = { token = got.token, ends = began + got.lifetime - margin }
  return bearer(got.token)
end

local function choose(list)
  for _, one in ipairs(list) do
    if one.scheme == "bearer" and one.params.realm then
      return one
    end
  end
  for _, one in ipairs(list) do
    if one.scheme == "basic" then
      return one
    end
  end
end

local function learn_bearer(self, params, scopes)
  local realm = params.realm
  local ok, err = address.may_ask(self.address, realm)
  if not ok then
    return nil, err
  elseif self.realm and self.realm ~= realm then
    return errors.fail("denied", ("%s named %s for tokens before and now %s: not asked"):format(
      self.address.url, address.shown(self.realm), address.shown(realm)))
  end
  local wanted = params.scope
  if wanted and #wanted <= SCOPES_MAX and wanted:find("^[%w:/._,*() -]+$") then
    self.wanted[key_of(scopes)] = wanted
  end
  self.scheme, self.realm, self.service = "bearer", realm, params.service
  return true
end

--- The last word of a registry that refused us, with what to do where nobody is known to it.
---@param err epoch.Error
---@return epoch.Error
function Auth:explain(err)
  if err.kind ~= "unauthorized" or self.known ~= false then
    return err
  end
  return errors.new(err.kind, ("%s; no credentials are known for it, log in with: epoch login %s"):format(
    tostring(err), self.address.name), { status = err.status, cause = err })
end

--- After a 401: learns what the registry wants, and forgets what it refused. The answer is
--- closed. True when asking again makes sense.
---@param answer epoch.client.Answer
---@param scopes string[]
---@return true?
---@return epoch.Error?
function Auth:refused(answer, scopes)
  local headers, own = answer:all("www-authenticate"), core.origin(answer.url) == self.address.origin
  local err = answer:failure()
  if not own or err.kind ~= "unauthorized" then
    return nil, err
  elseif self.token then
    return errors.fail("unauthorized", err.message .. "; the token that was given is not accepted",
      { status = 401, cause = err })
  end
  local list, malformed = challenge.parse(headers)
  if not list then
    return nil, malformed
  end
  local chosen = choose(list)
  if not chosen then
    return nil, err
  end
  self.tokens[key_of(scopes)] = nil
  if not (self.known and self.known.identity_token) then
    self.known = nil
  end
  if chosen.scheme == "bearer" then
    return learn_bearer(self, chosen.params, scopes)
  end
  self.scheme = "basic"
  return address.may_confide(self.address.root, self.plain_http)
end

return M
