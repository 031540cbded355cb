--- Lists of a registry, page by page. Where the next page is, the registry says; it is followed
--- within the registry only, and not for ever.
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local reference = require "epoch.reference"

local M = {}

--- Pages of one list.
M.PAGES = 10000
--- Entries of one list.
M.ENTRIES = 1000000

--- The target of the link to the next page (RFC 8288), or nil.
---@param headers string[]
---@return string?
function M.next_link(headers)
  for _, header in ipairs(headers) do
    for target, params in (header .. ","):gmatch("<([^>]*)>([^<]*),") do
      for name, value in params:gmatch(";%s*(%w+)%s*=%s*\"?([^\";,]*)") do
        if name:lower() == "rel" and (" " .. value:lower() .. " "):find(" next ", 1, true) then
          return target
        end
      end
    end
  end
end

-- Takes a page's entries into the set; false when there are too many.
local function take(list, seen, page)
  for _, entry in ipairs(page) do
    if not seen[entry] then
      seen[entry] = true
      list[#list + 1] = entry
    end
  end
  return #list <= M.ENTRIES
end

local function entries_of(answer, member)
  local value, err = json.decode(answer.bytes)
  if err then
    return nil, err
  end
  local page = type(value) == "table" and value[member]
  if page == json.null or page == nil and type(value) == "table" then
    return {}
  elseif type(page) ~= "table" then
    return errors.fail("invalid", ("the list has no member %s"):format(member))
  end
  for key, entry in pairs(page) do
    if type(key) ~= "number" or type(entry) ~= "string" then
      return errors.fail("invalid", ("the member %s of the list is no list of names"):format(member))
    end
  end
  return page
end

-- Where the next page is: nil, and an error when the registry leads astray.
local function next_page(self, answer, visited)
  local target = M.next_link(answer:all("link"))
  if not target then
    return nil
  end
  local url, err = self.session:led_to(answer, target, "the next page")
  if not url then
    return nil, err
  elseif core.origin(url) ~= self.address.origin then
    return errors.fail("denied", ("the next page that %s gave is not followed: it is on %s"):format(
      self.address.url, core.origin(url)))
  elseif visited[url] then
    return errors.fail("invalid", ("%s leads in circles: the page after this one was there before"):format(
      self.address.url))
  end
  return url
end

-- The page at call.url, or the first one at `path` with as many entries as we would like. A
-- registry that gives fewer at once refuses that: it is then left to choose.
local function ask_page(self, path, call)
  if call.url then
    return self.session:ask(call)
  end
  call.path = ("%s?n=%d"):format(path, self.page_size)
  local answer, err = self.session:ask(call)
  if not answer and err.status == 400 and err.message:find("PAGINATION_NUMBER_INVALID", 1, true) then
    call.path = path
    answer, err = self.session:ask(call)
  end
  return answer, err
end

--- All entries that `member` has on the page at `path` and those after it.
---@param self table the client
---@param path string after /v2/
---@param member string
---@param scopes string[]
---@return string[]?
---@return epoch.Error?
function M.all(self, path, member, scopes)
  local list, seen, visited = {}, {}, {}
  local call = { method = "GET", scopes = scopes, expect = { [200] = true }, max = json.MAX }
  for _ = 1, M.PAGES do
    local answer, err = ask_page(self, path, call)
    if not answer then
      return nil, err
    end
    visited[call.url or assert(core.resolve(self.address.root, call.path))] = true
    local page
    page, err = entries_of(answer, member)
    if not page then
      return nil, errors.wrap(err, ("read %s of %s"):format(member, self.address.url))
    elseif not take(list, seen, page) then
      return errors.fail("too_large", ("%s lists more than %d %s"):format(self.address.url, M.ENTRIES, member))
    end
    call.url, err = next_page(self, answer, visited)
    if err then
      return nil, err
    elseif not call.url then
      return list
    end
  end
  return errors.fail("too_large", ("%s lists %s on more than %d pages"):format(self.address.url, member, M.PAGES))
end

-- Every entry as it should be, sorted.
local function sound(self, list, check)
  for _, entry in ipairs(list) do
    local ok, err = check(entry)
    if not ok then
      return nil, errors.wrap(err, "a list of " .. self.address.url)
    end
  end
  table.sort(list)
  return list
end

M.methods = {}

--- The tags of a repository, sorted.
---@param name string
---@return string[]?
---@return epoch.Error?
function M.methods:tags(name)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  local list
  list, err = M.all(self, self:full(name) .. "/tags/list", "tags", { self:scope(name, "pull") })
  if not list then
    return nil, err
  end
  return sound(self, list, reference.check_tag)
end

--- The names of the registry's repositories (those below its path, where it has one), sorted.
---@return string[]?
---@return epoch.Error?
function M.methods:repositories()
  local list, err = M.all(self, "_catalog", "repositories", { "registry:catalog:*" })
  if not list then
    if err.status == 404 or err.status == 405 then
      return errors.fail("unsupported", ("%s has no list of its repositories; name one"):format(self.address.url),
        { status = err.status, cause = err })
    end
    return nil, err
  end
  local prefix, below = self.address.prefix, {}
  for _, name in ipairs(list) do
    if name:sub(1, #prefix) == prefix then
      below[#below + 1] = name:sub(#prefix + 1)
    end
  end
  return sound(self, below, reference.check_name)
end

return M
