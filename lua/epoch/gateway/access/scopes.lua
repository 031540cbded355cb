--- What may be done with which repositories.
--
-- A right is a set of actions on a pattern, written as people type it: "pull,push:vms/*". In a
-- pattern "*" stands for any characters, slashes too; all else stands for itself. Docker's clients
-- write what they ask for as "repository:NAME:pull,push": that is a wish here.
local errors = require "epoch.errors"
local reference = require "epoch.reference"
local text = require "epoch.text"

local M = {}

--- What can be done with a repository, in the order in which it is shown.
M.ACTIONS = { "pull", "push", "delete" }

--- The wish to see which repositories there are.
M.CATALOG = "registry:catalog:*"

--- So many wishes are heard in one request; docker and its kin ask for two or three.
M.MAX_WISHES = 100

local KNOWN = { pull = true, push = true, delete = true }

---@class epoch.gateway.Right
---@field actions table<string, true>
---@field pattern string

local function invalid(scope, why)
  return errors.fail("invalid", ("the scope %s cannot be used: %s; it looks like pull,push:vms/*"):format(
    text.quote(scope), why))
end

-- The actions of a list with commas, or nil and the word that is none.
local function actions_of(list)
  local set = {}
  for word in (list .. ","):gmatch("([^,]*),") do
    if not KNOWN[word] then
      return nil, word
    end
    set[word] = true
  end
  return set
end

-- The set as a list with commas, in one order.
local function shown(set)
  local list = {}
  for _, action in ipairs(M.ACTIONS) do
    if set[action] then
      list[#list + 1] = action
    end
  end
  return table.concat(list, ",")
end

-- With a letter for each star it must be a name, so that no pattern stands for nothing.
local function check_pattern(pattern)
  if #pattern > reference.MAX_NAME then
    return nil, "the pattern is too long"
  elseif pattern:find("**", 1, true) then
    return nil, "two * beside each other"
  end
  local ok, err = reference.check_name((pattern:gsub("%*", "x")))
  return ok, err and err.message
end

--- A right as it is typed.
---@param scope string
---@return epoch.gateway.Right?
---@return epoch.Error?
function M.parse(scope)
  local list, pattern = scope:match("^([^:]*):([^:]*)$")
  if not list then
    return invalid(scope, "what may be done and where, with one colon between")
  end
  local actions, word = actions_of(list)
  if not actions then
    return invalid(scope, ("%s is none of pull, push, delete"):format(text.quote(word)))
  end
  local ok, why = check_pattern(pattern)
  if not ok then
    return invalid(scope, why)
  end
  return { actions = actions, pattern = pattern }
end

--- The right as text; parsing that gives an equal one.
---@param right epoch.gateway.Right
---@return string
function M.format(right)
  return shown(right.actions) .. ":" .. right.pattern
end

--- Does the pattern stand for this repository? As many steps as there are letters, whatever
--- stands in the pattern.
---@param pattern string
---@param name string
---@return boolean
function M.matches(pattern, name)
  local first, rest = pattern:match("^([^*]*)(.*)$")
  if rest == "" then
    return pattern == name
  elseif name:sub(1, #first) ~= first then
    return false
  end
  local at = #first + 1
  for part, more in rest:gmatch("%*([^*]*)()") do
    if more > #rest then
      return #name - #part + 1 >= at and name:sub(#name - #part + 1) == part
    end
    local _, last = name:find(part, at, true)
    if not last then
      return false
    end
    at = last + 1
  end
end

--- Does one of the rights allow this?
---@param rights epoch.gateway.Right[]
---@param action string
---@param name string
---@return boolean
function M.allow(rights, action, name)
  for _, right in ipairs(rights) do
    if right.actions[action] and M.matches(right.pattern, name) then
      return true
    end
  end
  return false
end

---@class epoch.gateway.Wish
---@field name string? the repository; nil: which there are
---@field actions table<string, true>

-- The actions of a wish. "*" is all there is; what is not known here is not granted.
local function wished(list)
  local set = {}
  for word in list:gmatch("[^,]+") do
    for _, action in ipairs(M.ACTIONS) do
      set[action] = set[action] or word == action or word == "*" or nil
    end
  end
  return set
end

--- One wish of docker's; nil for what this registry has nothing of.
---@param scope string
---@return epoch.gateway.Wish?
function M.wish(scope)
  if scope == M.CATALOG then
    return { actions = {} }
  end
  local name, list = scope:match("^repository:(.*):([^:]*)$")
  if name and reference.check_name(name) then
    return { name = name, actions = wished(list) }
  end
end

--- The wishes of a request: its scopes, each may have several with spaces between.
---@param given string[]
---@return epoch.gateway.Wish[]?
---@return epoch.Error?
function M.wishes(given)
  local list, n = {}, 0
  for _, scopes in ipairs(given) do
    for scope in scopes:gmatch("%S+") do
      n = n + 1
      if n > M.MAX_WISHES then
        return errors.fail("invalid", ("more than %d scopes in one request"):format(M.MAX_WISHES))
      end
      list[#list + 1] = M.wish(scope)
    end
  end
  return list
end

--- A wish as docker writes it; nil where nothing is left of it.
---@param wish epoch.gateway.Wish
---@return string?
function M.format_wish(wish)
  if not wish.name then
    return M.CATALOG
  end
  local list = shown(wish.actions)
  return list ~= "" and ("repository:%s:%s"):format(wish.name, list) or nil
end

return M
