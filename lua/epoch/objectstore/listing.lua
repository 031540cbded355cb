--- The keys in a directory, in the order of an object store, a page at a time.
--
-- Objects are the files whose path is a key: dot names, links, sockets and names that no
-- key can have are passed over, and so are directories with nothing in them.
local core = require "epoch.core"
local errors = require "epoch.errors"
local options = require "epoch.options"
local objectstore = require "epoch.objectstore"

local PAGE = 10000

local SCHEMA = {
  delimiter = { enum = { "/" } },
  after = { type = "string" },
  limit = { type = "integer", min = 1, default = PAGE },
}

local M = {}

local function begins(s, with)
  return s:sub(1, #with) == with
end

-- Can there be anything to tell about at or below `key`?
local function matters(state, key)
  local below = key .. "/"
  local after = state.after
  return (begins(below, state.prefix) or begins(state.prefix, below))
    and (not after or below > after or begins(after, below))
end

-- What a directory has, in the order of the keys: a directory sorts as if it had its slash.
local function entries(state, dir)
  local names, message, code = core.list(state.root .. "/" .. dir)
  if not names then
    if code == "not_found" then
      return {}
    end
    return errors.fail(code, message)
  end
  local found = {}
  for _, name in ipairs(names) do
    local key = dir .. name
    local stat = objectstore.check_key(key) and matters(state, key)
      and core.stat(state.root .. "/" .. key)
    if stat and stat.type == "directory" then
      found[#found + 1] = { sort = key .. "/", directory = true }
    elseif stat and stat.type == "file" then
      found[#found + 1] = { sort = key, stat = stat }
    end
  end
  table.sort(found, function(a, b) return a.sort < b.sort end)
  return found
end

local function emit(state, list, key, what)
  if state.count == state.limit then
    state.page.more = true
    return false
  end
  state.count = state.count + 1
  state.page.last = key
  list[#list + 1] = what
  return true
end

local function has_key(state, dir)
  local any = { root = state.root, prefix = dir }
  local found, err = entries(any, dir)
  if not found then
    return nil, err
  end
  for _, entry in ipairs(found) do
    local yes = not entry.directory
    if not yes then
      yes, err = has_key(state, entry.sort)
    end
    if yes or yes == nil then
      return yes, err
    end
  end
  return false
end

-- Tells about `dir`: true to go on, false when the page is full, nil and an error.
local function walk(state, dir)
  local found, err = entries(state, dir)
  if not found then
    return nil, err
  end
  for _, entry in ipairs(found) do
    local key, go_on = entry.sort, true
    if not entry.directory then
      if begins(key, state.prefix) and not (state.after and key <= state.after) then
        go_on = emit(state, state.page.keys, key,
          { key = key, size = entry.stat.size, modified = entry.stat.mtime })
      end
    elseif not (state.delimiter and #key > #state.prefix and begins(key, state.prefix)) then
      go_on, err = walk(state, key)
    elseif not (state.after and begins(state.after, key)) then
      go_on, err = has_key(state, key)
      if go_on then
        go_on = emit(state, state.page.prefixes, key, key)
      elseif go_on == false then
        go_on = true
      end
    end
    if not go_on then
      return go_on, err
    end
  end
  return true
end

--- A page as epoch.objectstore says.
---@param root string
---@param prefix string
---@param given { delimiter: string?, after: string?, limit: integer? }?
---@return { keys: table[], prefixes: string[], more: boolean, last: string? }?
---@return epoch.Error?
function M.page(root, prefix, given)
  given = options.check("store:list", SCHEMA, given, 3)
  local ok, err = objectstore.check_prefix(prefix)
  if not ok then
    return nil, err
  end
  local page = { keys = {}, prefixes = {}, more = false }
  ok, err = walk({
    root = root, prefix = prefix, page = page, count = 0,
    delimiter = given.delimiter, after = given.after, limit = given.limit,
  }, prefix:match("^(.*/)") or "")
  if ok == nil then
    return nil, err
  end
  return page
end

return M
