--- Sends segments (epoch.gateway.download.layout) as the body of an answer whose head is out: block
-- by block, none before the client has taken the one before, so that a slow client costs no memory.
local blob = require "epoch.gateway.download.blob"
local errors = require "epoch.errors"
local ngx = require "ngx"

local M = {}

local function send(block)
  local ok, why = ngx.print(block)
  if ok then
    ok, why = ngx.flush(true)
  end
  if not ok then
    return errors.fail("gone", "the client: " .. tostring(why))
  end
  return true
end

local Pump = {}
Pump.__index = Pump

-- Sends a block; the last of all only when every digest was right.
function Pump:put(block)
  self.left = self.left - #block
  if self.left == 0 and self.verifier then
    local ok, err = self.verifier:finish()
    if not ok then
      return nil, err
    end
  end
  return send(block)
end

function Pump:blob(segment)
  local source, err
  local ok = true
  if segment.length > 0 then
    source, err = blob.open(self.name, segment)
    ok = source
  elseif self.verifier then
    ok, err = self.verifier:add(segment.digest, "", true)
  end
  while ok and source and source.left > 0 do
    local block
    block, err = source:read()
    ok = block
    if ok and self.verifier then
      ok, err = self.verifier:add(segment.digest, block, source.left == 0)
    end
    if ok then
      ok, err = self:put(block)
    end
  end
  if source then
    source:close()
  end
  return ok and true or nil, err
end

function Pump:own_bytes(segment)
  local at, stop = segment.at, segment.at + segment.length
  local ok, err = true, nil
  while ok and at < stop do
    local wanted = math.min(stop - at, blob.BLOCK)
    local block
    block, err = self.own(at, wanted)
    ok = block
    if ok then
      ok, err = self:put(block)
    end
    at = at + wanted
  end
  return ok and true or nil, err
end

--- Sends them. With a verifier the last block goes out only when every digest was right.
---@param name string the repository
---@param segments epoch.gateway.segment[]
---@param own fun(at: integer, length: integer): string?, epoch.Error? what is of no blob
---@param verifier table?
---@return true?
---@return epoch.Error? of kind "gone" when it is the client who does not go on
function M.run(name, segments, own, verifier)
  local pump = setmetatable({ name = name, own = own, verifier = verifier, left = 0 }, Pump)
  for _, segment in ipairs(segments) do
    pump.left = pump.left + segment.length
  end
  for _, segment in ipairs(segments) do
    local ok, err
    if segment.digest then
      ok, err = pump:blob(segment)
    else
      ok, err = pump:own_bytes(segment)
    end
    if not ok then
      return nil, err
    end
  end
  if verifier then
    return verifier:finish() -- where the last blobs are empty
  end
  return true
end

return M
