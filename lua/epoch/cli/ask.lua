--- Asking the person at the terminal, whatever stdin and stderr are.
local core = require "epoch.core"
local errors = require "epoch.errors"

local M = {}

-- A terminal gives no longer line.
local MAX = 4096

local function show(words)
  local terminal = io.open("/dev/tty", "w")
  if terminal then
    terminal:write(words)
    terminal:close()
  end
end

--- The line that is typed after a question, without its end. Hidden ones are shown to nobody.
---@param task epoch.task
---@param question string
---@param hidden boolean?
---@return string?
---@return epoch.Error? error of kind "not_found": there is no terminal
function M.line(task, question, hidden)
  local source, message, code = core.typed { hidden = hidden }
  if not source then
    return errors.fail(code, message)
  end
  show(question)
  local line, err = task:await(source, "read", MAX)
  source:close()
  if not line then
    show("\n")
    return nil, err or errors.new("usage", "nothing was typed")
  end
  return (line:gsub("\r?\n$", ""))
end

return M
