--- The keys in a directory, in the order of an object store, a page at a time.
--
-- Objects are the files whose path is a key. Directories with nothing in them and names that begin
-- with a dot are passed over; links, sockets and names that no key can have are told apart, as
-- `others`.
local core = require "epoch.core"
local errors = require "epoch.errors"
local options = require "epoch.options"
local objectstore = require "epoch.objectstore"

local PAGE = 10000

local SCHEMA = {
  delimiter = { enum = { "/" } },
  after = { type = "string" },
  limit = { type = "integer", min = 1, default = PAGE },
  etags = { type = "boolean" },
}

local M = {}

--- The ETag of a file whose bytes are not seen: another one for every file that is put in its place.
---@param stat epoch.stat
---@return string
function M.etag(stat)
  return ("file:%s:%.0f.%09.0f:%.0f"):format(stat.id, stat.mtime, stat.mtime_ns, stat.size)
end

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

-- What stands in a directory under a name: nil when it is gone or the store's own.
local function entry(state, dir, name)
  local key = dir .. name
  if name:sub(1, 1) == "." or not matters(state, key) then
    return nil
  end
  local stat, _, code = core.stat(state.root .. "/" .. key)
  local what = stat and objectstore.check_key(key) and stat.type
  if what == "directory" then
    return { sort = key .. "/", directory = true }
  elseif what == "file" then
    return { sort = key, stat = stat }
  elseif stat or code ~= "not_found" then
    return { sort = key, other = true }
  end
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
    found[#found + 1] = entry(state, dir, name)
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
  for _, one in ipairs(found) do
    local yes = one.stat ~= nil
    if one.directory then
      yes, err = has_key(state, one.sort)
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
  for _, one in ipairs(found) do
    local key, go_on = one.sort, true
    if not one.directory then
      if not begins(key, state.prefix) or state.after and key <= state.after then
        go_on = true
      elseif one.other then
        state.page.others = state.page.others or {}
        table.insert(state.page.others, key)
      else
        local etag = state.etags and M.etag(one.stat) or nil
        go_on = emit(state, state.page.keys, key,
          { key = key, size = one.stat.size, modified = one.stat.mtime, etag = etag })
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
---@param given { delimiter: string?, after: string?, limit: integer?, etags: boolean? }?
---@return { keys: table[], prefixes: string[], others: string[]?, more: boolean, last: string? }?
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
    delimiter = given.delimiter, after = given.after, limit = given.limit, etags = given.etags,
  }, prefix:match("^(.*/)") or "")
  if ok == nil then
    return nil, err
  end
  return page
end

return M
