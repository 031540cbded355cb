--- A body on its way into a bucket: what has come of it is sent on while the rest still comes, so that
-- little is left to be done after its last byte. Beside the hashing, in a thread of its own.
local ngx = require "ngx"
local semaphore = require "ngx.semaphore"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"

local M = {}

-- What has come is looked at when it may be worth it, and at least every so many seconds.
local FIRST, PAUSE = 16 * 1024 * 1024, 0.25

local Ahead = {}
Ahead.__index = Ahead

-- Sends what is worth it: the size of the file at which it makes sense again, or nil when it failed.
local function send(self, size)
  local sent, err = threads.call("moves", "uploads", "ahead", self.to, self.sent, {
    path = self.body.path, size = size, from = self.from,
  })
  if err then -- all of it was taken back; whole, the body has another try
    ngx.log(ngx.WARN, "sending ahead what has come of an upload: ", tostring(err))
    self.sent = nil
    return nil
  end
  self.sent = sent or self.sent
  return sent and sent.wants or 2 * size
end

local function work(self)
  local wants = FIRST
  while wants and not (self.body.over or self.ended) do
    local size = self.look(self.body)
    if size > wants then
      wants = send(self, size)
    else
      self.news:wait(PAUSE)
    end
  end
end

--- Begins; nil where the store has no use for it.
---@param body { path: string?, over: boolean } as it arrives
---@param look fun(body: table): integer how much has come
---@param to { id: string?, name: string?, digest: epoch.digest? } as of epoch.gateway.sessions.ahead
---@param from integer the offset that the body follows
---@return table?
function M.start(body, look, to, from)
  if store.root() then
    return nil
  end
  local self = setmetatable({ body = body, look = look, to = to, from = from, news = semaphore.new() }, Ahead)
  self.thread = ngx.thread.spawn(work, self)
  return self
end

--- The body is over, or nobody wants it any more: what was sent of it, for `chunk.sent`.
---@return table?
function Ahead:finish()
  self.ended = true
  self.news:post()
  ngx.thread.wait(self.thread)
  return self.sent
end

--- No chunk comes of it.
function Ahead:drop()
  local sent = self:finish()
  if sent then
    threads.call("moves", "uploads", "drop", sent)
  end
end

return M
