--- A text that is written anew each time it is needed, so that it is never in memory whole: a
-- function that tells another its pieces, in order, and answers true, or nil and an error.
--
--     local function hello(write)
--       write "hello, "
--       write "world"
--       return true
--     end
--     pieces.measure(hello)      --> 12, "sha256:…"
local core = require "epoch.core"

local M = {}

local SIZE = 64 * 1024

-- Small pieces are told together, large ones in parts.
local function evenly(text, tell)
  local kept, size = {}, 0
  local ok, err = text(function(piece)
    for at = 1, #piece, SIZE do
      local part = piece:sub(at, at + SIZE - 1)
      kept[#kept + 1] = part
      size = size + #part
      if size >= SIZE then
        tell(table.concat(kept))
        kept, size = {}, 0
      end
    end
  end)
  if ok then
    tell(table.concat(kept))
  end
  return ok, err
end

--- Its bytes and their digest.
---@param text fun(write: fun(piece: string)): true?, epoch.Error?
---@return integer? size
---@return epoch.digest|epoch.Error
function M.measure(text)
  local size, hasher = 0, core.hasher()
  local ok, err = evenly(text, function(piece)
    size = size + #piece
    hasher:update(piece)
  end)
  local digest = hasher:digest()
  hasher:close()
  if not ok then
    return nil, err
  end
  return size, digest
end

--- A reader (epoch.body) of it.
---@param text fun(write: fun(piece: string)): true?, epoch.Error?
---@return table
function M.reader(text)
  local next_piece = coroutine.wrap(function()
    local ok, err = evenly(text, coroutine.yield)
    return nil, not ok and err or nil
  end)
  local ended = false
  return {
    read = function()
      local piece, err
      if not ended then
        piece, err = next_piece()
      end
      ended = not piece or piece == ""
      return piece, err
    end,
    close = function()
      ended = true
    end,
  }
end

--- The whole of it, where it is known to be small.
---@param text fun(write: fun(piece: string)): true?, epoch.Error?
---@return string?
---@return epoch.Error?
function M.whole(text)
  local out = {}
  local ok, err = text(function(piece)
    out[#out + 1] = piece
  end)
  if not ok then
    return nil, err
  end
  return table.concat(out)
end

return M
