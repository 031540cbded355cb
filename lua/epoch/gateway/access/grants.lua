--- Short-lived tokens: what /v2/token gives out, and what of it is believed when it comes back.
--
--     epoch1.BASE64URL(expiry LF subject LF wishes).BASE64URL(HMAC)
--
-- Subject: a token of the store by name ("+ci"), the configured one ("="), or nobody (""). The key
-- of the HMAC is made of that token's hash: so every gateway on the store accepts what another gave
-- out, nothing more has to be kept, and with a token all that was made of it is void. Nobody's key
-- is no secret: such a token allows what is allowed without one. What the subject may do is asked
-- anew at each use; the wishes only narrow it.
local base64 = require "epoch.client.base64"
local core = require "epoch.core"
local scopes = require "epoch.gateway.access.scopes"

local M = {}

M.PREFIX = "epoch1."

local MAX = 8192
local PURPOSE = "epoch short-lived token 1"

---@class epoch.gateway.Grant
---@field expires integer
---@field subject string
---@field wishes epoch.gateway.Wish[]

local function encode(bytes)
  return (base64.encode(bytes):gsub("=", ""):gsub("%+", "-"):gsub("/", "_"))
end

local function decode(text)
  return not text:find("[+/=]") and base64.decode((text:gsub("-", "+"):gsub("_", "/"))) or nil
end

local function sign(payload, hash)
  return core.hmac(core.hmac(hash, PURPOSE), payload)
end

--- A token for a subject.
---@param grant epoch.gateway.Grant
---@param hash string of the subject's own token; "" for nobody
---@return string
function M.issue(grant, hash)
  local list = {}
  for _, wish in ipairs(grant.wishes) do
    list[#list + 1] = scopes.format_wish(wish)
  end
  local payload = ("%d\n%s\n%s"):format(grant.expires, grant.subject, table.concat(list, " "))
  return M.PREFIX .. encode(payload) .. "." .. encode(sign(payload, hash))
end

-- What it says, before anything of it is believed.
local function take_apart(token)
  local payload, signature = token:match("^epoch1%.([%w_-]+)%.([%w_-]+)$")
  payload, signature = payload and decode(payload), signature and decode(signature)
  if not payload or not signature then
    return nil
  end
  local expires, subject, wishes = payload:match("^(%d+)\n([^\n]*)\n([^\n]*)$")
  return expires and #expires < 16 and {
    payload = payload, signature = signature, expires = tonumber(expires), subject = subject, wishes = wishes,
  }
end

--- What a token grants; or nil and why not: "invalid", "gone" where nobody has the name of its
--- subject, or "expired" of one that was good.
---@param token string
---@param now integer
---@param hash_of fun(subject: string): string? the hash of the subject's own token, "" for nobody
---@return epoch.gateway.Grant?
---@return "invalid"|"gone"|"expired"|nil
function M.verify(token, now, hash_of)
  local said = #token <= MAX and take_apart(token)
  local hash = said and hash_of(said.subject)
  if said and not hash then
    return nil, "gone"
  elseif not said or not core.equal(sign(said.payload, hash), said.signature) then
    return nil, "invalid"
  elseif said.expires <= now then
    return nil, "expired"
  end
  local wishes = {}
  for scope in said.wishes:gmatch("%S+") do
    wishes[#wishes + 1] = scopes.wish(scope)
  end
  return { expires = said.expires, subject = said.subject, wishes = wishes }
end

--- Is this among what was granted? `name` nil: to see which repositories there are.
---@param wishes epoch.gateway.Wish[]
---@param action string
---@param name string?
---@return boolean
function M.covers(wishes, action, name)
  for _, wish in ipairs(wishes) do
    if wish.name == name and (not name or wish.actions[action]) then
      return true
    end
  end
  return false
end

return M
