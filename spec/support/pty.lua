--- Running a script of Lua on a terminal of its own, made by script(1).
local interpreter = require "spec.support.interpreter"
local work = require "spec.support.work"

local M = {}

--- All that the terminal was given by a script whose stdout and stderr it is.
---@param script string
---@param options { columns: integer, rows: integer, environment: string? } NAME=VALUE words
---@return string
function M.run(script, options)
  local shown
  work.in_directory(function(dir)
    work.write_file(dir .. "/script.lua", interpreter.paths() .. script)
    local command = ("stty cols %d rows %d; exec env %s %s %s %s/script.lua"):format(options.columns,
      options.rows, interpreter.preloaded(), options.environment or "", interpreter.path(), dir)
    work.write_file(dir .. "/command", command)
    local pipe = io.popen(("script -qec 'sh %s/command' /dev/null </dev/null 2>&1"):format(dir))
    shown = pipe:read("*a")
    pipe:close()
  end)
  return shown
end

return M
