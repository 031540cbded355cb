--- GET and POST /v2/token: a short-lived token for who shows a lasting one, or shows nothing.
--
-- As docker's clients do it: GET with Basic, scope, service and account in the query; POST as OAuth2
-- has it, with grant_type password, or refresh_token, which is the token itself.
local access = require "epoch.gateway.access"
local actors = require "epoch.gateway.access.actors"
local arrival = require "epoch.gateway.access.arrival"
local catalog = require "epoch.catalog"
local errors = require "epoch.errors"
local grants = require "epoch.gateway.access.grants"
local json = require "epoch.json"
local policy = require "epoch.gateway.access.policy"
local reply = require "epoch.gateway.reply"
local requests = require "epoch.gateway.requests"
local scopes = require "epoch.gateway.access.scopes"
local settings = require "epoch.gateway.settings"
local ngx = require "ngx"

local M = {}

local LIFETIME = 300 -- seconds
local MAX_FORM = 64 * 1024
local MAX_FIELDS = 200

local SECRET_OF = { password = "password", refresh_token = "refresh_token" }

-- The fields of a request, and the secret that is among them.
local function fields_of(request)
  if request.method ~= "POST" then
    return (ngx.req.get_uri_args(MAX_FIELDS)) -- without the word that there were more
  end
  local body, err = requests.body(MAX_FORM, "a request for a token")
  if not body then
    return nil, err
  end
  local fields = ngx.decode_args(body, MAX_FIELDS)
  local member = SECRET_OF[fields.grant_type or "password"]
  if not member then
    return errors.fail("invalid", "grant_type must be password or refresh_token")
  end
  local secret = fields[member]
  if secret ~= nil and (type(secret) ~= "string" or secret == "") then
    return errors.fail("invalid", member .. " must be there once")
  end
  return fields, secret
end

-- The texts that a field has, which may be there several times, or without a value.
local function texts(field)
  local list = {}
  for _, one in ipairs(type(field) == "table" and field or { field }) do
    list[#list + 1] = type(one) == "string" and one or nil
  end
  return list
end

-- What of a wish is granted, under the name that the store has: maybe nothing.
local function in_store(actor, wish)
  local name, err = policy.rewrite(wish.name)
  local actions = {}
  for action in pairs(name and wish.actions or actions) do
    local may
    may, err = policy.entitled(actor, action, name, arrival.client)
    if may == nil then
      return nil, err
    end
    actions[action] = may or nil
  end
  return name and { name = name, actions = actions }, err
end

-- What of the wishes is granted, in the store's words and in the client's.
local function grant(actor, wishes)
  local granted, shown = {}, {}
  for _, wish in ipairs(wishes) do
    if wish.name then
      local one, err = in_store(actor, wish)
      if not one then
        return nil, err
      end
      granted[#granted + 1] = one
      shown[#shown + 1] = scopes.format_wish { name = wish.name, actions = one.actions }
    elseif policy.entitled_to_list(actor) then
      granted[#granted + 1], shown[#shown + 1] = wish, scopes.CATALOG
    end
  end
  return granted, shown
end

local function lifetime_of(actor, now)
  local lifetime = settings.gateway().token_lifetime or LIFETIME
  return actor.expires and math.min(lifetime, actor.expires - now) or lifetime
end

local function answer(actor, granted, shown)
  local now = ngx.time()
  local lifetime = lifetime_of(actor, now)
  local token = grants.issue({ expires = now + lifetime, subject = actor.subject, wishes = granted }, actor.hash)
  reply.header("Cache-Control", "no-store")
  return reply.json(200, json.object {
    { "token", token }, { "access_token", token }, { "token_type", "Bearer" }, { "expires_in", lifetime },
    { "issued_at", catalog.time(now) }, { "scope", table.concat(shown, " ") },
  })
end

local function actor_of(secret)
  local actor, err, why
  if secret then
    actor, err, why = actors.of_secret(secret, arrival.guessing)
  else
    actor, err, why = actors.of_header(ngx.var.http_authorization, arrival.guessing)
  end
  if actor and actor.wishes then
    return errors.fail("unauthorized", "a short-lived token does not get others; show the one that it was made of")
  end
  return actor, err, why
end

--- The handler.
function M.token(request)
  local fields, secret = fields_of(request)
  if not fields then
    return nil, secret
  end
  local actor, err, why = actor_of(secret)
  if not actor then
    return access.refuse(request, err, why)
  end
  request.actor = actor
  local wishes
  wishes, err = scopes.wishes(texts(fields.scope))
  local granted, shown
  if wishes then
    granted, shown = grant(actor, wishes)
    err = shown
  end
  if not granted then
    return nil, err
  end
  return answer(actor, granted, shown)
end

return M
