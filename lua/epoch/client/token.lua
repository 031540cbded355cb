--- Tokens from the server that a registry names for them: what is sent where, and what of its
--- answer is believed.
local address = require "epoch.client.address"
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local retry = require "epoch.client.retry"

local M = {}

local MAX = 128 * 1024
local REDIRECTS = 5
--- Seconds that a token is good for when the server does not say.
M.LIFETIME = 60

---@class epoch.client.Want
---@field address epoch.client.Address the registry's
---@field realm string
---@field service string?
---@field scopes string[]
---@field authorization string? of a name and a password,
---@field account string? that name
---@field identity_token string? instead of both

local function escape(value)
  return (value:gsub("[^%w._~-]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local function form(pairs_of)
  local out = {}
  for i, pair in ipairs(pairs_of) do
    out[i] = pair[1] .. "=" .. escape(pair[2])
  end
  return table.concat(out, "&")
end

-- The GET way: anonymous, or with a name and a password.
local function get_request(want)
  local fields = {}
  if want.service then
    fields[1] = { "service", want.service }
  end
  for _, scope in ipairs(want.scopes) do
    fields[#fields + 1] = { "scope", scope }
  end
  if want.account then
    fields[#fields + 1] = { "account", want.account }
  end
  local joint = want.realm:find("?", 1, true) and "&" or "?"
  return {
    method = "GET", url = want.realm .. (#fields > 0 and joint .. form(fields) or ""),
    authorization = want.authorization, redirects = 0,
  }
end

-- The OAuth2 way: an identity token is exchanged.
local function post_request(want)
  local fields = {
    { "grant_type", "refresh_token" }, { "client_id", "epoch" }, { "service", want.service or "" },
    { "scope", table.concat(want.scopes, " ") }, { "refresh_token", want.identity_token },
  }
  return {
    method = "POST", url = want.realm, body = form(fields), redirects = 0,
    headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
  }
end

local MOVED = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- Where a redirect of a GET leads, when it may. The credential stays with its origin.
local function next_hop(want, request, answer)
  local location = answer:header("location")
  if request.method ~= "GET" or not MOVED[answer.status] or not location then
    return false
  end
  local url, message, code = core.resolve(answer.url, location)
  if not url then
    return errors.fail(code, ("a redirect of the token server %s: %s"):format(address.shown(want.realm), message))
  end
  local ok, err = address.may_ask(want.address, url)
  if not ok then
    return nil, err
  elseif request.url:find("^[hH][tT][tT][pP][sS]:") and not url:find("^https:") then
    return errors.fail("denied", ("the token server %s leads from https to http"):format(
      address.shown(want.realm)))
  end
  local same = core.origin(url) == core.origin(request.url)
  return { method = "GET", url = url, authorization = same and request.authorization or nil, redirects = 0 }
end

local function ask(transport, want)
  local request = want.identity_token and post_request(want) or get_request(want)
  for _ = 0, REDIRECTS do
    local answer, err = transport:send(request)
    if not answer then
      return nil, err
    end
    answer.secret = want.identity_token or answer.secret
    if answer.status == 200 then
      return answer:read(MAX)
    end
    local hop
    hop, err = next_hop(want, request, answer)
    if not hop then
      if hop == false then
        err = answer:failure()
      else
        answer:close()
      end
      return nil, err, retry.after(answer:header("retry-after"))
    end
    answer:close()
    request = hop
  end
  return errors.fail("invalid", ("the token server %s: more than %d redirects"):format(
    address.shown(want.realm), REDIRECTS))
end

-- An empty token is how some servers let people in without one, for what nobody has to be known.
local function token_of(value)
  local token = value.token
  if token == nil or token == "" then
    token = value.access_token or token
  end
  return token
end

local function read(want, text)
  local value = json.decode(text, MAX)
  local token = type(value) == "table" and token_of(value)
  if type(token) ~= "string" or token:find("[^\33-\126]") then
    return errors.fail("invalid", ("the token server %s answered without a token"):format(
      address.shown(want.realm)))
  end
  return {
    token = token, lifetime = json.size(value.expires_in) or M.LIFETIME,
    refresh_token = type(value.refresh_token) == "string" and value.refresh_token or nil,
  }
end

--- Asks for a token ("": none is needed, or none is to be had). Where may be asked was checked
--- before: see address.may_ask.
---@param transport table
---@param want epoch.client.Want
---@return { token: string, lifetime: number, refresh_token: string? }?
---@return epoch.Error?
function M.fetch(transport, want)
  local text, err = transport:attempts(function()
    return ask(transport, want)
  end)
  if not text then
    return nil, errors.wrap(err, "ask for a token")
  end
  return read(want, text)
end

return M
