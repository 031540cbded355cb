--- Who may do what, asked of each request: before it is understood (arrive), and then (admit).
--
--     401   nobody has said who they are, or what they showed is not accepted: the answer says where
--           tokens are to be had
--     403   who it is, is known, and may not
--     429   too often
--
-- Whether there is such a repository is looked at only afterwards, so these answers do not tell.
local actors = require "epoch.gateway.access.actors"
local arrival = require "epoch.gateway.access.arrival"
local challenge = require "epoch.gateway.access.challenge"
local errors = require "epoch.errors"
local policy = require "epoch.gateway.access.policy"
local reply = require "epoch.gateway.reply"
local scopes = require "epoch.gateway.access.scopes"
local settings = require "epoch.gateway.settings"
local ngx = require "ngx"

local M = {}

-- Open to everybody, always: who looks after a gateway has no token at hand. /v2/token reads the
-- credentials itself.
local OPEN = { healthz = true, readyz = true, token = true }

-- What a client needs for a right, as it asks for it: who pushes looks first what is there.
local NEEDED = { pull = { pull = true }, push = { pull = true, push = true }, delete = { delete = true } }

--- Takes the settings over: once, before there are workers.
---@return true?
---@return epoch.Error?
function M.configure()
  local values = settings.loaded.values
  actors.configure(values.token)
  return arrival.configure(values)
end

-- For a request that comes too often.
local function wait(err, seconds)
  reply.header("Retry-After", ("%d"):format(seconds))
  return nil, err
end

--- Before it is known what is asked for: true, "answered", or nil and the error.
---@param method string
---@return true|"answered"|nil
---@return epoch.Error?
function M.arrive(method)
  local page, err = arrival.page(method)
  if page ~= true then
    return page, err
  end
  local ok, seconds
  ok, err, seconds = arrival.count()
  if not ok then
    return wait(err, seconds)
  end
  return true
end

-- What is needed, as docker writes it. The name is the one that the client knows.
local function scope_of(request)
  if request.right == "catalog" then
    return scopes.CATALOG
  end
  return request.asked and scopes.format_wish { name = request.asked, actions = NEEDED[request.right] } or nil
end

-- Says how to come back. Only the registry's own interface has a token flow.
local function ask(request, problem)
  local value = challenge.BASIC
  if ngx.var.uri:find("^/v2/?") and request.action ~= "token" then
    value = challenge.bearer(arrival.base(), scope_of(request), problem)
    reply.header("Docker-Distribution-Api-Version", "registry/2.0")
  end
  reply.header("WWW-Authenticate", value)
end

--- The end for credentials that are not accepted; `why` "over" is what happens to honest people.
---@param request table
---@param err epoch.Error
---@param why string?
---@return nil
---@return epoch.Error
function M.refuse(request, err, why)
  if err.kind ~= "unauthorized" then
    return nil, err
  end
  if why ~= "over" then
    local ok, limited, seconds = arrival.count_failure()
    if not ok then
      request.refused = "rate"
      return wait(limited, seconds)
    end
    request.refused = "credentials"
  end
  ask(request, "invalid_token")
  return nil, err
end

-- The end for who may not.
local function deny(request, entitled)
  local actor = request.actor
  if actor.kind == "anonymous" or entitled then
    ask(request, actor.wishes and "insufficient_scope" or nil)
    return errors.fail("unauthorized", actor.wishes and "this token was not issued for that; ask for another"
      or "authentication is required")
  end
  request.refused = "rights"
  return errors.fail("denied", ("%s may not do that"):format(actor.name))
end

-- The repository's name in the store, from here on the only one; `asked` is the client's.
local function rewrite(request)
  if not request.name then
    return true
  end
  local name, err = policy.rewrite(request.name)
  if not name then
    return nil, err
  end
  request.asked, request.name = request.name, name
  ngx.var.epoch_name = name
  return true
end

--- May the one who asks do this, too? For what a request needs beyond its own right, as the source of
--- a mount. The name is the client's.
---@param request table
---@param action "pull"|"push"|"delete"
---@param name string
---@return boolean?
---@return epoch.Error?
function M.may(request, action, name)
  local own, err = policy.rewrite(name)
  if not own then
    return nil, err
  end
  return policy.may(request.actor, action, own, arrival.client)
end

--- May the one who asks see this name of the store in a list? nil for a function: may see all.
---@param request table
---@return (fun(name: string): boolean?, epoch.Error?)?
function M.sight(request)
  local rules = settings.gateway()
  if rules.anonymous_pull ~= false and not rules.allow then
    return nil
  end
  return function(name)
    return policy.entitled(request.actor, "pull", name, arrival.client)
  end
end

-- The ping says whether credentials are good, and that there is somebody to show them to: without
-- that docker would not log in.
local function admit_ping(request)
  local actor = request.actor
  if actor.kind ~= "anonymous" or actor.wishes and policy.entitled_to_list(actor) then
    return true
  elseif policy.entitled_to_list(actor) and not actors.any() then
    return true
  end
  return deny(request, false)
end

local function admit_metrics(request)
  if request.actor.kind ~= "anonymous" or settings.gateway().metrics == "open" or arrival.is_local() then
    return true
  end
  return deny(request, false)
end

local function admit_list(request)
  if policy.may_list(request.actor) then
    return true
  end
  return deny(request, policy.entitled_to_list(request.actor) and request.actor.wishes ~= nil)
end

local function admit_repository(request)
  local actor, right, name = request.actor, request.right, request.name
  local may, err = policy.may(actor, right, name, arrival.client)
  if may == false and right == "pull" and request.method == "HEAD" then -- who pushes may look whether it is there
    may, err = policy.may(actor, "push", name, arrival.client)
  end
  if may then
    return true
  elseif may == nil then
    return nil, err
  end
  local entitled
  if actor.wishes then
    entitled, err = policy.entitled(actor, right, name, arrival.client)
    if entitled == nil then
      return nil, err
    end
  end
  return deny(request, entitled)
end

local function judge(request)
  if request.action == "ping" then
    return admit_ping(request)
  elseif request.action == "metrics" then
    return admit_metrics(request)
  elseif request.right == "catalog" then
    return admit_list(request)
  elseif request.right and request.name then
    return admit_repository(request)
  end
  return deny(request, false) -- a route that says nothing of its right is nobody's
end

--- May it be answered? Sets request.actor, and request.name to what the store calls it.
---@param request table
---@return true?
---@return epoch.Error?
function M.admit(request)
  if OPEN[request.action] then
    request.actor = actors.ANONYMOUS
    return true
  end
  local ok, err = rewrite(request)
  if not ok then
    return nil, err
  end
  local actor, why
  actor, err, why = actors.of_header(ngx.var.http_authorization, arrival.guessing)
  if not actor then
    return M.refuse(request, err, why)
  end
  request.actor = actor
  if actor.kind ~= "anonymous" then
    local seconds
    ok, err, seconds = arrival.count(actor.name)
    if not ok then
      request.refused = "rate"
      return wait(err, seconds)
    end
  end
  return judge(request)
end

return M
