--- Long listings: the next thousand keys are asked for while those that have come are read.
local errors = require "epoch.errors"
local listing = require "epoch.s3.listing"
local objectstore = require "epoch.objectstore"
local sessions = require "epoch.s3.session"
local support = require "spec.support.store"

local KEYS = 3500

local function key_of(n)
  return ("k%05d"):format(n)
end

-- What the store says of the keys from `first` on.
local function page_from(first, size)
  local last = math.min(first + size - 1, KEYS)
  local lines = { "<ListBucketResult><IsTruncated>" .. tostring(last < KEYS) .. "</IsTruncated>" }
  for n = first, last do
    lines[#lines + 1] = ("<Contents><Key>p/%s</Key><Size>%d</Size><LastModified>2026-01-01T00:00:00Z</LastModified>"
      .. "<ETag>&quot;%d&quot;</ETag></Contents>"):format(key_of(n), n, n)
  end
  if last < KEYS then
    lines[#lines + 1] = ("<NextContinuationToken>after %d</NextContinuationToken>"):format(last)
  end
  return table.concat(lines) .. "</ListBucketResult>"
end

-- A store whose answers take a while, and what happened in which order. `change` gets each text.
local function store_of(task, change)
  local events = {}
  local session = sessions.new({
    path = function() return "/b" end, url = function() return "http://s3/b" end, bucket = "b",
  }, {}, {})
  local element = session.element
  function session.ask(_, call)
    local query = {}
    for _, pair in ipairs(call.query) do
      query[pair[1]] = pair[2]
    end
    local token, after = query["continuation-token"], query["start-after"]
    local first = 1 + tonumber(token and token:match("^after (%d+)$") or after and after:match("^p/k0*(%d+)$") or 0)
    events[#events + 1] = "ask " .. first
    assert(task:sleep(0.005))
    local answer, err = change(page_from(first, tonumber(query["max-keys"])), first)
    return answer and { text = answer }, err
  end
  function session:element(call, bytes)
    events[#events + 1] = "read up to " .. (bytes:match("after (%d+)<") or "the end")
    return element(self, call, bytes)
  end
  return { task = task, session = session, base = "p/", describe = function() return "s3://b/p" end,
           list = listing.page }, events
end

local function same(text)
  return text
end

local function with_store(change, use)
  support.with_task(function(task)
    use(store_of(task, change))
  end)
end

describe("a long listing", function()
  it("is asked for further before what has come is read", function()
    with_store(same, function(store, events)
      local all = assert(objectstore.list_all(store, ""))
      assert.equal(KEYS, #all.keys)
      for n, one in ipairs(all.keys) do
        assert.same({ key = key_of(n), size = n, modified = 1767225600 }, one)
      end
      assert.same({ "ask 1", "ask 1001", "read up to 1000", "ask 2001", "read up to 2000", "ask 3001",
                    "read up to 3000", "read up to the end" }, events)
    end)
  end)

  it("is no longer than was wanted", function()
    for limit, wanted in pairs { [1] = 1, [999] = 999, [1000] = 1000, [1999] = 1000, [2000] = 2000, [3999] = 3000,
                                 [4000] = KEYS, [100000] = KEYS } do
      with_store(same, function(store, events)
        local page = assert(store:list("", { limit = limit }))
        assert.equal(wanted, #page.keys)
        assert.equal(wanted < KEYS, page.more)
        assert.equal(key_of(wanted), page.last)
        assert.equal(math.ceil(wanted / 1000) * 2, #events)
        local rest = page.more and assert(store:list("", { after = page.last, limit = 100000 })) or { keys = {} }
        assert.equal(KEYS - wanted, #rest.keys)
      end)
    end
  end)

  it("ends with what goes wrong in the next answer, or in this one", function()
    local function fails(kind, words, change)
      with_store(change, function(store)
        local all, err = objectstore.list_all(store, "")
        assert.is_nil(all)
        assert.equal(kind, err.kind)
        assert.matches(words, err.message, 1, true)
      end)
    end
    fails("unavailable", "out of order today", function(text, first)
      if first == 2001 then
        return errors.fail("unavailable", "out of order today")
      end
      return text
    end)
    fails("invalid", "is out of order", function(text, first)
      return first == 1001 and text:gsub("k01500", "k01400") or text
    end)
    fails("invalid", "is not closed", function(text, first)
      return first == 1001 and text:gsub("</ListBucketResult>$", "") or text
    end)
    fails("invalid", "the answer is no ListBucketResult", function(text)
      return (text:gsub("ListBucketResult", "ListAllMyBuckets"))
    end)
    fails("invalid", "in a wrong place", function(text)
      return (text:gsub("<Contents>", "<More>%0", 1):gsub("(.*</Contents>)", "%1</More>"))
    end)
    fails("invalid", "told in two ways", function(text)
      return (text:gsub("<IsTruncated>", "<Prefix><NextContinuationToken>after 70</NextContinuationToken></Prefix>%0"))
    end)
  end)
end)
