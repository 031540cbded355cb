--- Whether what is sent is what its digests say: found out by threads while it is sent.
--
--     verifier:add(digest, block, is_last)   -> true | nil, err    the blocks of one blob after the other
--     verifier:finish()                      -> true | nil, err    once all of them were looked at
--
-- Of a directory a thread reads the file behind the one that sends it, while the kernel has its bytes
-- in memory; of any other store it gets the blocks. One thread at a time works for one verifier. What
-- comes meanwhile waits, up to MOST bytes: then `add` waits, so whoever sends is as fast as the
-- digests are.
local core = require "epoch.core"
local errors = require "epoch.errors"
local keys = require "epoch.objectstore.blobs"
local ngx = require "ngx"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"

local MOST_OF_FILE = 4 * 1024 * 1024
local MOST = 128 * 1024 -- of blocks, which are in memory

local Verifier = {}
Verifier.__index = Verifier

local M = {}

---@return table
function M.new()
  local self = setmetatable({ root = store.root() }, Verifier)
  self.most = self.root and MOST_OF_FILE or MOST
  self:begin(0)
  return self
end

-- What comes next stands at `at` in its blob.
function Verifier:begin(at)
  self.at, self.length, self.blocks = at, 0, not self.root and {} or nil
end

-- What a thread shall hash.
local function piece_of(self, digest)
  local path = self.root and ("%s/%s"):format(self.root, keys.key(digest))
  return { path = path, at = self.at, length = self.length, blocks = self.blocks }
end

local function look(self, digest, piece, last)
  local state, err = threads.call("bytes", "download", "hash", core.parse_digest(digest), self.state, piece, last)
  if not state then
    self.err = err
  elseif last and state ~= digest then
    self.err = errors.new("digest_mismatch", ("blob %s has become %s"):format(digest, state))
  end
  self.state = not last and state or nil
  self.is_busy = false
end

-- Waits for the thread that works; then the error that was found, if any.
local function wait(self)
  if self.working then
    ngx.thread.wait(self.working)
    self.working = nil
  end
  if self.err then
    return nil, self.err
  end
  return true
end

function Verifier:add(digest, block, last)
  self.length = self.length + #block
  if self.blocks then
    self.blocks[#self.blocks + 1] = block
  end
  if not last and self.length < (self.is_busy and self.most or self.most / 4) then
    return true
  end
  local ok, err = wait(self)
  if not ok then
    return nil, err
  end
  local piece = piece_of(self, digest)
  self:begin(last and 0 or self.at + self.length)
  self.is_busy = true
  self.working = ngx.thread.spawn(look, self, digest, piece, last)
  return true
end

function Verifier:finish()
  return wait(self)
end

return M
