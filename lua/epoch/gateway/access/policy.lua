--- Who may do what: the rules of the configuration, and its hook.
--
-- A token may do what its scopes say, and what everybody may. The hook `allow` has the first word;
-- where it says nothing (nil) the rules hold. A short-lived token does no more than what it was
-- issued for.
local errors = require "epoch.errors"
local grants = require "epoch.gateway.access.grants"
local reference = require "epoch.reference"
local scopes = require "epoch.gateway.access.scopes"
local settings = require "epoch.gateway.settings"
local text = require "epoch.text"

local M = {}

-- What everybody may.
local function in_public(rules, action)
  if action == "pull" then
    return rules.anonymous_pull ~= false
  elseif action == "delete" and rules.anonymous_delete ~= nil then
    return rules.anonymous_delete
  end
  return rules.anonymous_push == true
end

local function failed(hook, why)
  return errors.fail("internal", ("the hook %s of the configuration failed: %s"):format(hook, text.printable(
    tostring(why), 512)))
end

-- What a hook answers, which may be nil; or nil and the error. One of a configuration file tells what
-- it raised as its second result.
local function ask(hook, f, ...)
  local ok, answer, err = pcall(f, ...)
  if not ok or errors.is(err) then
    return failed(hook, ok and err or answer)
  end
  return answer
end

-- What the hook is told of an actor: no secret, nothing that it could change.
local function shown(actor, address)
  return { kind = actor.kind, name = actor.name, address = address() }
end

--- May the actor do this, leaving aside what a short-lived token was issued for? nil and the error
--- when the hook fails: nothing is allowed then.
---@param actor epoch.gateway.Actor
---@param action "pull"|"push"|"delete"
---@param name string
---@param address fun(): string the client's
---@return boolean?
---@return epoch.Error?
function M.entitled(actor, action, name, address)
  local rules = settings.gateway()
  if rules.allow then
    local verdict, err = ask("gateway.allow", rules.allow, shown(actor, address), action, name)
    if err then
      return nil, err
    elseif verdict == true or verdict == false then
      return verdict
    elseif verdict ~= nil then
      return failed("gateway.allow", "it must answer true, false or nil, not a " .. type(verdict))
    end
  end
  return actor.kind == "configured" or in_public(rules, action)
    or actor.rights ~= nil and scopes.allow(actor.rights, action, name)
end

--- May the actor do this now?
---@param actor epoch.gateway.Actor
---@param action "pull"|"push"|"delete"
---@param name string
---@param address fun(): string
---@return boolean?
---@return epoch.Error?
function M.may(actor, action, name, address)
  if actor.wishes and not grants.covers(actor.wishes, action, name) then
    return false
  end
  return M.entitled(actor, action, name, address)
end

--- May the actor ask which repositories there are? What it sees is another question.
---@param actor epoch.gateway.Actor
---@return boolean
function M.may_list(actor)
  if actor.wishes and not grants.covers(actor.wishes, "catalog") then
    return false
  end
  return M.entitled_to_list(actor)
end

--- The same, leaving aside what a short-lived token was issued for.
---@param actor epoch.gateway.Actor
---@return boolean
function M.entitled_to_list(actor)
  local rules = settings.gateway()
  return actor.kind ~= "anonymous" or rules.anonymous_pull ~= false or rules.allow ~= nil
end

--- What a repository is called in the store: the hook `rewrite` is asked once, and what it says must
--- be a name.
---@param name string
---@return string?
---@return epoch.Error?
function M.rewrite(name)
  local hook = settings.gateway().rewrite
  if not hook then
    return name
  end
  local answer, err = ask("gateway.rewrite", hook, name)
  if err then
    return nil, err
  elseif answer == nil then
    return name
  end
  local ok, why = reference.check_name(answer)
  if not ok then
    return failed("gateway.rewrite", why)
  end
  return answer
end

return M
