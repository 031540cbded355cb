--- How objects get into a bucket: small ones in one piece, large ones in parts, and under
-- conditions where that is asked for.
--
-- What is signed with its sha256 is refused by the store when something else arrives. Some
-- stores compare ETags with their quotes, as HTTP has it, and some without: with quotes is
-- tried first.
local bodies = require "epoch.body"
local content = require "epoch.s3.content"
local errors = require "epoch.errors"
local multipart = require "epoch.s3.multipart"
local retry = require "epoch.client.retry"
local sigv4 = require "epoch.s3.sigv4"

local M = {}

local MIB = 1024 * 1024
local STREAM = "application/octet-stream"

--- The largest object in one piece: S3's own limit.
M.MAX = 5 * 1024 * MIB

---@class epoch.s3.Put
---@field store table
---@field key string
---@field size integer
---@field body table epoch.s3.content
---@field digest epoch.digest?
---@field if_match string?
---@field if_none_match "*"|nil
---@field on_progress fun(bytes: integer)?

local function hex(digest)
  return (digest:match("%x+$"))
end

--- With what a part is signed: its digest, but not read once more for that where the
--- connection itself keeps it from being changed on the way.
---@param put { store: table, body: table }
---@param offset integer
---@param length integer
---@return string?
---@return epoch.Error?
function M.payload(put, offset, length)
  if put.store.endpoint.scheme == "https" then
    return sigv4.UNSIGNED
  end
  local digests, err = put.body:digests(offset, length, { "sha256" })
  return digests and hex(digests.sha256), err
end

-- With what the whole is signed. What the store cannot check, and what is small, is checked
-- here already.
local function checked_payload(put)
  local algorithm = put.digest and put.digest:match("^[^:]+")
  if algorithm == "sha256" and put.size > MIB then
    return hex(put.digest)
  elseif not algorithm and put.size > MIB then
    return M.payload(put, 0, put.size)
  end
  local digests, err = put.body:digests(0, put.size, { "sha256", algorithm ~= "sha256" and algorithm or nil })
  if digests and algorithm and digests[algorithm] ~= put.digest then
    return errors.fail("digest_mismatch", ("%s is %s, not %s"):format(put.key, digests[algorithm], put.digest))
  end
  return digests and hex(digests.sha256), err
end

-- Sends all of it, once: the ETag.
local function send(put, payload, headers)
  local source, err = put.body:part(0, put.size)
  if not source then
    return nil, err
  end
  headers["content-type"] = STREAM
  local answer, after
  answer, err, after = put.store.session:once {
    method = "PUT", key = put.store.base .. put.key, headers = headers, body = source, payload = payload,
    on_progress = put.on_progress,
  }
  if not answer then
    return nil, err, after
  end
  local etag = answer:header("etag")
  answer:discard()
  if not etag then
    return errors.fail("invalid", "the answer has no ETag")
  end
  return etag
end

local function unquoted(etag)
  return (etag:gsub('^"(.*)"$', "%1"))
end

-- With quotes also where the store tells it without; a weak one has them inside.
local function quoted(etag)
  return etag:find('"', 1, true) and etag or '"' .. etag .. '"'
end

-- "Another one", it was said of an ETag with quotes: is it this one all the same?
local function is_mistaken(put)
  local info = put.if_match and put.store:head(put.key)
  return info and info.etag == put.if_match
end

-- Some stores say of what is not there that it is another one, some that it is not there.
local function is_conflict(put, err)
  return err.kind == "conflict" or err.kind == "not_found" and put.if_match ~= nil
end

-- Is what is there now what was to be put? After a try whose answer was lost, "conflict" may
-- speak of our own: its ETag then.
local function landed(put)
  local source, info = put.store:get(put.key)
  local there = source and put.store.task:flow { source = source, hash = "sha256", limit = put.size }
  local ours = there and there.size == put.size and put.body:digests(0, put.size, { "sha256" })
  return ours and there.digest == ours.sha256 and info.etag or nil
end

local function put_conditional(put, payload)
  local store, lost = put.store, false
  local bare = store.unquoted
  return store.session.transport:attempts(function()
    local etag, err, after = send(put, payload, {
      ["if-match"] = put.if_match and (bare and unquoted or quoted)(put.if_match),
      ["if-none-match"] = put.if_none_match,
    })
    if etag then
      store.unquoted = bare
      return etag
    elseif not is_conflict(put, err) then
      lost = lost or retry.worth(err)
      return nil, err, after
    elseif not bare and is_mistaken(put) then
      bare = true
      return nil, errors.new("unavailable", err.message, { cause = err }), 0
    end
    etag = lost and landed(put) or nil
    return etag, errors.new("conflict", err.message, { cause = err })
  end)
end

local function put_small(put)
  local payload, err = checked_payload(put)
  if not payload then
    return nil, err
  elseif put.if_match or put.if_none_match then
    return put_conditional(put, payload)
  end
  return put.store.session.transport:attempts(function()
    return send(put, payload, {})
  end)
end

local function put_large(put)
  local store = put.store
  return multipart.put {
    task = store.task, session = store.session, key = store.base .. put.key, what = put.key, size = put.size,
    content = put.body, digest = put.digest, headers = { ["content-type"] = STREAM },
    part_size = store.options.part_size, parallel = store.options.parallel, on_progress = put.on_progress,
    payload = function(offset, length) return M.payload(put, offset, length) end,
  }
end

-- Conditions that the store once said it cannot keep are not sent again.
local function check_conditions(put)
  if not (put.if_match or put.if_none_match) then
    return true
  elseif put.store.unconditional then
    return nil, put.store.unconditional
  elseif put.size > M.MAX then
    return errors.fail("unsupported", ("%s has %.0f bytes: objects this large cannot be put under conditions")
      :format(put.key, put.size))
  end
  return true
end

local function explained(put, err)
  local where = put.store:describe()
  if err.kind == "conflict" then
    local message = put.if_match and "%s in %s was changed by another" or "%s is in %s already"
    return errors.new("conflict", message:format(put.key, where), { cause = err })
  elseif err.kind == "unsupported" and err.status and (put.if_match or put.if_none_match) then
    put.store.unconditional = errors.new("unsupported",
      where .. " cannot put objects under conditions (If-Match, If-None-Match)", { cause = err })
    return put.store.unconditional
  end
  return errors.wrap(err, ("write %s to %s"):format(put.key, where))
end

--- As epoch.objectstore says, with a key and options that were checked.
---@param store table
---@param key string
---@param size integer
---@param body any
---@param given table as of put in epoch.objectstore
---@return string? etag
---@return epoch.Error?
function M.put(store, key, size, body, given)
  local put = {
    store = store, key = key, size = size,
    digest = given.digest, if_match = given.if_match, if_none_match = given.if_none_match,
    on_progress = given.on_progress,
  }
  local ok, err = check_conditions(put)
  if not ok then
    bodies.drop(body)
    return nil, err
  end
  local etag
  put.body, err = content.open(store.task, body, { size = size, what = key, dir = store.options.spool_dir })
  if put.body then
    local in_parts = size > store.options.multipart_threshold and not (put.if_match or put.if_none_match)
    etag, err = (in_parts and put_large or put_small)(put)
    put.body:close()
  end
  if not etag then
    return nil, explained(put, err)
  end
  return etag
end

return M
