--- The keys of a bucket, a page at a time: ListObjectsV2 as epoch.objectstore has it.
--
-- Objects under names that no key can have are told apart, as `others`. What the store answers
-- must go forward, in order, below what was asked for: else a listing would have no end, or
-- give away keys of somebody else.
local calendar = require "epoch.calendar"
local errors = require "epoch.errors"
local objectstore = require "epoch.objectstore"
local options = require "epoch.options"
local text = require "epoch.text"
local whole = require "epoch.whole"
local xml = require "epoch.s3.xml"

local M = {}

local PAGE = 1000 -- S3 gives no more at once
local MAX_EMPTY = 1000 -- pages in a row with nothing for us on them

local SCHEMA = {
  delimiter = { enum = { "/" } },
  after = { type = "string" },
  limit = { type = "integer", min = 1, default = PAGE },
  etags = { type = "boolean" },
}

-- Sorts behind every key that begins with what is before it.
local LAST = "\244\143\191\191"

local function broken(store, what)
  return errors.fail("invalid", ("the listing of %s is broken: %s"):format(store:describe(), what))
end

-- The name without the store's prefix, after `last`; or nil and the error.
local function name_of(state, raw, last)
  local prefix = state.base .. state.prefix
  if not raw or raw:sub(1, #prefix) ~= prefix then
    return broken(state.store, ("%s does not begin with %s"):format(text.quote(raw or "", 80), text.quote(prefix, 80)))
  elseif last and raw <= last then
    return broken(state.store, ("%s is out of order"):format(text.quote(raw, 80)))
  end
  return raw:sub(#state.base + 1)
end

local function add_other(state, name)
  state.page.others = state.page.others or {}
  table.insert(state.page.others, name)
end

local function add_object(state, element)
  local raw = xml.text(element, "Key")
  local key, err = name_of(state, raw, state.last_key)
  if not key then
    return nil, err
  end
  state.last_key = raw
  local size = whole.from(tonumber((xml.text(element, "Size") or ""):match("^%d+$")))
  local modified = calendar.rfc3339(xml.text(element, "LastModified"))
  if not size or not modified then
    return broken(state.store, ("size or time of %s"):format(text.quote(raw, 80)))
  elseif objectstore.check_key(key) then
    local keys = state.page.keys
    keys[#keys + 1] = {
      key = key, size = size, modified = modified, etag = state.etags and xml.text(element, "ETag") or nil,
    }
  else
    add_other(state, key)
  end
  return true
end

local function add_prefix(state, element)
  local raw = xml.text(element, "Prefix")
  local prefix, err = name_of(state, raw, state.last_prefix)
  if not prefix then
    return nil, err
  end
  state.last_prefix = raw
  if objectstore.check_prefix(prefix) and prefix:sub(-1) == "/" then
    local prefixes = state.page.prefixes
    prefixes[#prefixes + 1] = prefix
  else
    add_other(state, prefix)
  end
  return true
end

local ADD = { Contents = add_object, CommonPrefixes = add_prefix }

-- One answer's keys into the page; whether there are more behind them.
local function add(state, list)
  for _, element in ipairs(list) do
    local ok, err = true, nil
    if ADD[element.name] then
      ok, err = ADD[element.name](state, element)
    end
    if not ok then
      return nil, err
    end
  end
  return xml.text(list, "IsTruncated") == "true"
end

local function larger(a, b)
  return a and (not b or a > b) and a or b
end

local function query_of(state)
  local query = {
    { "list-type", "2" }, { "max-keys", tostring(state.limit) }, { "prefix", state.base .. state.prefix },
  }
  if state.delimiter then
    query[#query + 1] = { "delimiter", state.delimiter }
  end
  if state.token then
    query[#query + 1] = { "continuation-token", state.token }
  elseif state.after then
    query[#query + 1] = { "start-after", state.after }
  end
  return query
end

-- Where the next answer goes on.
local function go_on(state, list)
  state.token = xml.text(list, "NextContinuationToken")
  state.after = larger(state.last_key, state.last_prefix)
  if (state.token or "") == "" and not state.after then
    return broken(state.store, "it has more to come, and does not say where")
  end
  return true
end

-- Asks for more of the page; whether there are more keys behind that.
local function fetch(state)
  local answer, err = state.store.session:ask { method = "GET", query = query_of(state), xml = "ListBucketResult" }
  if not answer then
    return nil, err
  end
  local more
  more, err = add(state, answer.xml)
  if more then
    more, err = go_on(state, answer.xml)
  end
  return more, err
end

--- A page as epoch.objectstore says.
---@param store { session: table, base: string, describe: function } `base`: what stands before every key
---@param prefix string
---@param given { delimiter: string?, after: string?, limit: integer?, etags: boolean? }?
---@return { keys: table[], prefixes: string[], others: string[]?, more: boolean, last: string? }?
---@return epoch.Error?
function M.page(store, prefix, given)
  given = options.check("store:list", SCHEMA, given, 3)
  local ok, err = objectstore.check_prefix(prefix)
  if not ok then
    return nil, err
  end
  local page = { keys = {}, prefixes = {}, more = false }
  local state = {
    store = store, base = store.base, page = page, prefix = prefix, delimiter = given.delimiter,
    limit = math.min(given.limit, PAGE), etags = given.etags,
  }
  if given.after then -- what begins with a prefix that was told is not told again
    state.after = store.base .. given.after .. (given.delimiter and given.after:sub(-1) == "/" and LAST or "")
    state.last_key, state.last_prefix = state.after, state.after
  end
  for _ = 1, MAX_EMPTY do
    page.more, err = fetch(state)
    if page.more == nil then
      return nil, err
    elseif not page.more or page.keys[1] or page.prefixes[1] then
      local last = larger(state.last_key, state.last_prefix)
      page.last = last and last:sub(#store.base + 1)
      return page
    end
  end
  return broken(store, "it goes on and on without anything in it")
end

return M
