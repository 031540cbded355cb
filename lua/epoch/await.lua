--- Waiting for the core, in one place.
--
-- Whatever in the core cannot be answered at once says `nil, …, "again"`. `await` asks until
-- there is an answer and waits in between; how it waits is up to the caller of `await.by`.
-- A cancelled loop ends the waiting with `nil, message, "cancelled"`, once: what cleans up
-- afterwards can wait again.

local M = {}

local function ask(wait, loop, object, method, ...)
  while true do
    local a, b, c, d = object[method](object, ...)
    if a ~= nil or c ~= "again" then
      return a, b, c, d
    end
    if object.arm then -- flows and the like wake their loop themselves
      object:arm(loop)
    end
    local ok, message, code = wait(loop)
    if not ok then
      return nil, message, code
    end
  end
end

--- Blocks the whole thread: for programs that do one thing.
---@param loop userdata
function M.block(loop)
  return loop:poll()
end

--- Yields the loop to a scheduler that resumes once `pollfd` is readable or `timeout` is over.
---@param loop userdata
function M.yield(loop)
  coroutine.yield(loop)
  return loop:step()
end

--- An `await` with another way to wait.
---@param wait fun(loop: userdata): true|nil, string?, string?
---@return fun(loop: userdata, object: any, method: string, ...: any): any, any, any, any
function M.by(wait)
  return function(loop, object, method, ...)
    return ask(wait, loop, object, method, ...)
  end
end

local block = M.by(M.block)

--- Moves bytes as `loop:flow(options)` says: its result, or nil, message, code.
---@param loop userdata
---@param options table
function M.flow(loop, options)
  local flow, message, code = loop:flow(options)
  if not flow then
    return nil, message, code
  end
  local result
  result, message, code = block(loop, flow, "result")
  flow:close()
  return result, message, code
end

return setmetatable(M, {
  --- `await(loop, object, "method", …)`: the answer of `object:method(…)`.
  __call = function(_, loop, object, method, ...)
    return block(loop, object, method, ...)
  end,
})
