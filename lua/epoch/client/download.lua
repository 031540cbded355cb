--- A blob on its way here, as a source that goes on where a connection broke off. The rest is
-- asked of the registry anew, so that it leads to where the bytes are now and credentials are
-- fresh. What comes is a part of the same blob, or nothing: place, length and entity tag are
-- those of the first answer, and whoever takes the bytes checks their digest in the end.
local core = require "epoch.core"
local errors = require "epoch.errors"
local retry = require "epoch.client.retry"
local text = require "epoch.text"
local whole = require "epoch.whole"

local Download = {}
Download.__index = Download

local M = {}

--- Bytes after which the tries are counted from one again.
M.PROGRESS = 1024 * 1024
--- How often a blob is gone on with at most.
M.RESUMES = 1000

-- The digits of a header as a number; nil for none, or for more than a size can have.
local function number(digits)
  return whole.from(tonumber(digits))
end

-- First and last byte of a part, and the length of the blob, or nil when that is not said.
local function content_range(answer)
  local first, last, total =
    (answer:header("content-range") or ""):match("^bytes (%d+)%-(%d+)/(%*?%d*)$")
  first, last = number(first), number(last)
  if not first or not last or first > last then
    return nil
  elseif total == "*" then
    return first, last
  end
  total = number(total)
  if not total or last >= total then
    return nil
  end
  return first, last, total
end

-- A tag that stands for these very bytes.
local function entity_tag(answer)
  local tag = answer:header("etag")
  return tag and tag:find('^"[\33\35-\126]*"$') and tag or nil
end

function Download:refuse(answer, kind, why)
  answer:close()
  return errors.fail(kind, ("%s: %s of %s"):format(self.client.address.url, why, self.digest))
end

-- Bytes from `first` on, up to `last` where that is known, and nothing else. Answers the last
-- one and the length of the blob, where it says that.
function Download:part(answer, first, last)
  local from, to, total = content_range(answer)
  local length = answer:length()
  if from ~= first or to and last and to > last or length and length ~= to - from + 1 then
    return self:refuse(answer, "invalid", ("asked for bytes %s-%s it gives %s"):format(whole.format(first),
      last and whole.format(last) or "", text.quote(answer:header("content-range") or "no range")))
  end
  return to, total
end

-- What the first answer promises: self.from, self.to (nil: not said), self.total of the blob.
function Download:promised(answer, range)
  self.tag = entity_tag(answer)
  if not range then
    local length = answer:length()
    self.from, self.to, self.total = 0, length and length - 1, length
    return true
  elseif answer.status ~= 206 then
    return self:refuse(answer, "unsupported", "it does not give parts of blobs; asked for one")
  end
  local to, total = self:part(answer, range.offset, range.last)
  if not to then
    return nil, total
  end
  self.from, self.to, self.total = range.offset, to, total
  return true
end

-- All of the blob came, though a part of it was asked for: as good, but not many times.
function Download:all_again(answer, at)
  local length = answer:length()
  self.gives_no_parts = true
  if self.from > 0 or self.to and self.total and self.to + 1 < self.total then
    return self:refuse(answer, "unsupported", "it does not give parts of blobs; asked for the rest")
  elseif length and self.total and length ~= self.total then
    return self:refuse(answer, "size_mismatch", "another length than before")
  end
  return answer:body(), at
end

-- The call that asks for the bytes from `first` on, up to `last` where that is known.
function Download:call_for(first, last)
  local call = {
    headers = {
      Range = ("bytes=%s-%s"):format(whole.format(first), last and whole.format(last) or ""),
      ["If-Range"] = self.tag,
    },
    expect = { [200] = true, [206] = true },
  }
  for key, value in pairs(self.call) do
    call[key] = call[key] or value
  end
  return call
end

-- One try: a source that goes on after `at` bytes, and how many of its bytes come before.
function Download:ask(at)
  local first = self.from + at
  if self.to and first > self.to then
    return core.bytes(""), 0 -- only its end was missing
  end
  local answer, err, after = self.client.session:once(self:call_for(first, self.to))
  if not answer then
    return nil, err, after
  end
  local tag = entity_tag(answer)
  if tag and self.tag and tag ~= self.tag then
    return self:refuse(answer, "invalid", "the bytes have changed in the middle")
  elseif answer.status == 200 then
    return self:all_again(answer, at)
  end
  local to, total = self:part(answer, first, self.to)
  if not to then
    return nil, total
  elseif self.to and to ~= self.to or total and self.total and total ~= self.total then
    return self:refuse(answer, "invalid", "another length than before")
  end
  return answer:body(), 0
end

-- A source for the bytes after `at`, once that works; `err` is why there is none now.
function Download:again(at, err)
  local after
  while true do
    self.tries, self.resumes = self.tries + 1, self.resumes + 1
    local seconds, ok, source, skip
    local left = self.resumes <= M.RESUMES and self.client.transport.tries or 1
    seconds, err = retry.delay(self.tries, err, after, { tries = left })
    if not seconds then
      return nil, err
    end
    ok, err = self.client.task:sleep(seconds)
    if not ok then
      return nil, err
    end
    source, skip, after = self:ask(at)
    if source then
      return source, skip
    end
    err = skip
  end
end

-- The rest of the download, each time that it breaks.
function Download:attend()
  local relay, last = self.relay, 0
  while true do
    local at, message, code = self.client.task:await(relay, "broken")
    if not at then
      break
    elseif at - last >= M.PROGRESS and not self.gives_no_parts then
      self.tries, last = 0, at
    end
    local source, skip = self:again(at, errors.new(code, message))
    if relay:broken() == false then -- meanwhile nobody reads it any more
      if source then
        source:close()
      end
      break
    elseif not source then
      relay:fail(("%s, after %s bytes"):format(skip.message, whole.format(at)), skip.kind)
      break
    end
    relay:feed(source, skip)
  end
  relay:close()
end

--- Asks for a blob, or a range of it: a source, and how many bytes it has, where that is said.
---@param client { task: epoch.task, session: table, transport: table, address: { url: string } }
---@param call epoch.client.Call what asks for all of it, but for `expect`
---@param digest string for messages
---@param range { offset: integer, last: integer? }?
---@return userdata?
---@return integer|epoch.Error|nil
---@return epoch.client.Answer? first for its headers
function M.open(client, call, digest, range)
  local self = setmetatable({ client = client, call = call, digest = digest, tries = 0, resumes = 0 }, Download)
  call.expect = { [200] = true }
  local first = range and self:call_for(range.offset, range.last)
  local answer, err = client.session:ask(first or call)
  local ok
  if answer then
    ok, err = self:promised(answer, range)
  end
  if not ok then
    return nil, err
  end
  local size = self.to and self.to - self.from + 1
  self.relay = core.relay(answer:body(), size)
  local source = self.relay:source()
  client.task:attend(function()
    return self:attend()
  end, function()
    return self.relay:broken() ~= false
  end)
  return source, size, answer
end

return M
