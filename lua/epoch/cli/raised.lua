--- What was raised somewhere below, as an error value. For xpcall.
local errors = require "epoch.errors"

local M = {}

local SIGINT = 2

--- A handler for xpcall: error objects stay as they are; anything else becomes an error of
-- that kind with the words before it, and the traceback as its cause.
---@param kind string
---@param before string
---@return fun(trouble: any): epoch.Error
function M.handler(kind, before)
  return function(trouble)
    if errors.is(trouble) then
      return trouble
    end
    local said = tostring(trouble)
    if said:find("interrupted!$") then -- how the lua program answers to SIGINT
      return errors.new("cancelled", "interrupted", { signal = SIGINT })
    end
    -- the first line is the sentence, the rest (of a failed require) is for --verbose
    return errors.new(kind, before .. said:match("^[^\n]*"):gsub(":$", ""),
      { cause = debug.traceback(said, 2) })
  end
end

return M
