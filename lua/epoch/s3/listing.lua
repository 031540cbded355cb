--- The keys of a bucket, a page at a time: ListObjectsV2 as epoch.objectstore has it.
--
-- Objects under names that no key can have are told apart, as `others`. What the store answers
-- must go forward, in order, below what was asked for: else a listing would have no end, or
-- give away keys of somebody else. Of many keys the next thousand are asked for before those that
-- have come are read: the store works meanwhile.
local calendar = require "epoch.calendar"
local errors = require "epoch.errors"
local objectstore = require "epoch.objectstore"
local options = require "epoch.options"
local rows = require "epoch.s3.rows"
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
  local prefix = state.below
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

-- What is known of an object, and in which order.
local FIELDS = { "Key", "LastModified", "ETag", "Size" }

local function add_object(state, raw, time, etag, digits)
  local key, err = name_of(state, raw, state.last_key)
  if not key then
    return nil, err
  end
  state.last_key = raw
  local size = whole.from(tonumber((digits or ""):match("^%d+$")))
  local modified = calendar.rfc3339(time)
  if not size or not modified then
    return broken(state.store, ("size or time of %s"):format(text.quote(raw, 80)))
  elseif objectstore.check_key(key) then
    local keys = state.page.keys
    keys[#keys + 1] = { key = key, size = size, modified = modified, etag = state.etags and etag or nil }
  else
    add_other(state, key)
  end
  return true
end

-- Objects from where they stand: one in an element, or all of them.
local function add_objects(state, element)
  local read = state.rows
  if not read then
    return add_object(state, xml.text(element, "Key"), xml.text(element, "LastModified"),
      xml.text(element, "ETag"), xml.text(element, "Size"))
  end
  state.rows = nil
  for _, row in ipairs(read) do
    local ok, err = add_object(state, row[1], row[2], row[3], row[4])
    if not ok then
      return nil, err
    end
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

local ADD = { Contents = add_objects, CommonPrefixes = add_prefix }

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

local function query_of(state, token)
  local query = {
    { "list-type", "2" }, { "max-keys", ("%.0f"):format(math.min(state.limit, PAGE)) },
    { "prefix", state.below },
  }
  if state.delimiter then
    query[#query + 1] = { "delimiter", state.delimiter }
  end
  if token then
    query[#query + 1] = { "continuation-token", token }
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

local CALL = { method = "GET", xml = "ListBucketResult" }

-- The text of an answer.
local function ask(state, token)
  local answer, err = state.store.session:ask {
    method = CALL.method, query = query_of(state, token), xml = CALL.xml, as_text = true,
  }
  return answer and answer.text, err
end

-- Reads an answer into the page; whether there are more keys behind it.
local function take(state, bytes)
  local rest
  state.rows, rest = rows.read(bytes, "Contents", FIELDS)
  local list, err = state.store.session:element(CALL, rest or bytes)
  local more
  if list then
    more, err = add(state, list)
  end
  if more ~= nil and state.rows then
    return broken(state.store, "its keys are in a wrong place")
  end
  if more then
    more, err = go_on(state, list)
  end
  return more, err
end

-- The same while the next answer is on its way: whether there is more, and that one's text.
local function take_and_ask(state, bytes, token)
  local more, coming
  local ok, err = state.store.task:all {
    function()
      local why
      coming, why = ask(state, token)
      return coming, why
    end,
    function()
      local slept, why = state.store.task:sleep(0) -- lets the request go out
      if slept then
        more, why = take(state, bytes)
      end
      return more ~= nil or nil, why
    end,
  }
  if ok and more and state.token ~= token then
    return broken(state.store, "it is told in two ways how it goes on")
  end
  return ok and more, ok and coming or err
end

-- How the listing goes on, where that can be seen without reading all of it.
local function token_in(bytes)
  local _, stop = bytes:find("<NextContinuationToken>", 1, true)
  return stop and bytes:match("^([^<&]+)</NextContinuationToken>", stop + 1)
end

-- Asks until there is something on the page, or as many times as it takes for as many keys as are
-- wanted: whether there are more behind them.
local function fetch(state)
  local page = state.page
  local bytes, err = ask(state)
  for asked = 1, MAX_EMPTY + math.floor(state.limit / PAGE) do
    if not bytes then
      return nil, err
    end
    local token = state.limit >= (asked + 1) * PAGE and token_in(bytes)
    local more, coming
    if token then
      more, coming = take_and_ask(state, bytes, token)
    else
      more, err = take(state, bytes)
    end
    if more == nil then
      return nil, token and coming or err
    elseif not more or not token and (page.keys[1] or page.prefixes[1]) then
      return more
    elseif token then
      bytes = coming
    else
      bytes, err = ask(state, state.token)
    end
  end
  return broken(state.store, "it goes on and on without anything in it")
end

--- A page as epoch.objectstore says.
---@param store { task: table, session: table, base: string, describe: function } `base`: what stands before every key
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
    store = store, base = store.base, below = store.base .. prefix, page = page, limit = given.limit,
    delimiter = given.delimiter, etags = given.etags,
  }
  local from
  if given.after then -- what begins with a prefix that was told is not told again
    local is_prefix = given.delimiter and given.after:sub(-1) == "/" and #given.after > #prefix
    from = store.base .. given.after .. (is_prefix and LAST or "")
    state.after, state.last_key, state.last_prefix = from, from, from
  end
  page.more, err = fetch(state)
  if page.more == nil then
    return nil, err
  end
  local last = larger(state.last_key, state.last_prefix)
  page.last = last ~= from and last:sub(#store.base + 1) or nil
  return page
end

return M
