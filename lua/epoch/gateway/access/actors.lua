--- Who asks: nobody in particular, a token of the store, the configured token, or a short-lived one
-- that stands for one of these.
local core = require "epoch.core"
local credentials = require "epoch.gateway.access.credentials"
local errors = require "epoch.errors"
local grants = require "epoch.gateway.access.grants"
local known = require "epoch.gateway.access.known"
local tokens = require "epoch.gateway.access.tokens"
local ngx = require "ngx"

local M = {}

---@class epoch.gateway.Actor
---@field kind "anonymous"|"token"|"configured"
---@field name string for the log
---@field rights epoch.gateway.Right[]? of a token
---@field hash string what short-lived tokens are signed with
---@field subject string as they name it
---@field expires integer?
---@field wishes epoch.gateway.Wish[]? what a short-lived token is narrowed to

--- Nobody in particular.
---@type epoch.gateway.Actor
M.ANONYMOUS = { kind = "anonymous", name = "anonymous", subject = "", hash = "" }

local configured

--- Says which token is configured, nil for none: once, before there are workers.
---@param token string?
function M.configure(token)
  configured = token and {
    kind = "configured", name = "configured", subject = "=", hash = tokens.hash(token),
  }
end

local function of_token(token)
  if not token or token.expires and token.expires <= ngx.time() then
    return nil
  end
  return {
    kind = "token", name = token.name, rights = token.rights, subject = "+" .. token.name, hash = token.hash,
    expires = token.expires,
  }
end

local function refused(message)
  return errors.fail("unauthorized", message)
end

local NOT_ACCEPTED = "the credentials are not accepted"

-- The one that a short-lived token names.
local function of_subject(subject, anew)
  if subject == "" then
    return M.ANONYMOUS
  elseif subject == "=" then
    return configured
  end
  local all, err = known.now(anew)
  return all and of_token(all.by_name[subject:sub(2)]), err
end

-- What a short-lived token grants, and the one it stands for.
local function verify(secret, anew)
  local actor, err
  local grant, why = grants.verify(secret, ngx.time(), function(subject)
    actor, err = of_subject(subject, anew)
    return actor and actor.hash
  end)
  return grant, why, actor, err
end

local function of_grant(secret)
  local grant, why, actor, err = verify(secret)
  if not grant and why ~= "expired" then
    grant, why, actor, err = verify(secret, true) -- another worker may know more than this one
  end
  if err then
    return nil, err
  elseif why == "expired" or why == "gone" then
    return nil, errors.new("unauthorized", "the token is over; ask for another"), "over"
  elseif not grant then
    return refused(NOT_ACCEPTED)
  end
  local narrowed = { wishes = grant.wishes }
  for name, value in pairs(actor) do
    narrowed[name] = value
  end
  return narrowed
end

--- The actor of a secret. `guessing` says whether too much of what came from there was wrong: then the
--- configured token, which may be a word, does not count; those of the store cannot be guessed.
---@param secret string
---@param guessing fun(): boolean
---@return epoch.gateway.Actor?
---@return epoch.Error?
---@return "over"|nil why
function M.of_secret(secret, guessing)
  if secret:sub(1, #grants.PREFIX) == grants.PREFIX then
    return of_grant(secret)
  end
  local hash = tokens.hash(secret)
  if configured and core.equal(hash, configured.hash) and not guessing() then
    return configured
  end
  local all, err = known.now()
  if all and not all.by_hash[hash] then
    all, err = known.now(true) -- it may have been made a moment ago
  end
  if not all then
    return nil, err
  end
  local token = all.by_hash[hash]
  local actor = token and core.equal(hash, token.hash) and of_token(token)
  if actor then
    return actor
  elseif not configured and not all.any then
    return M.ANONYMOUS -- where no credentials are known at all, none can be wrong
  end
  return refused(NOT_ACCEPTED)
end

--- The actor of a request, by its header Authorization.
---@param header string?
---@param guessing fun(): boolean
---@return epoch.gateway.Actor?
---@return epoch.Error?
---@return "over"|nil why
function M.of_header(header, guessing)
  local secret = credentials.secret(header)
  if secret == nil then
    return M.ANONYMOUS
  elseif not secret then
    return refused("the header Authorization cannot be read; it must be Bearer TOKEN, or Basic with the token as "
      .. "password")
  end
  return M.of_secret(secret, guessing)
end

--- Is there anybody who could show something?
---@return boolean
function M.any()
  local all = not configured and known.now()
  return configured ~= nil or not all or all.any
end

return M
