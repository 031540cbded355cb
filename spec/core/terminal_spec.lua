local core = require "epoch.core"
local interpreter = require "spec.support.interpreter"
local pty = require "spec.support.pty"
local work = require "spec.support.work"

describe("core.terminal", function()
  it("says how large a terminal is at that moment", function()
    local shown = pty.run([[
      local core = require "epoch.core"
      print(core.terminal(2))
      os.execute("stty cols 33 rows 7 <&2")
      print(core.terminal(2))
      os.execute("stty cols 0 rows 0 <&2")
      print(core.terminal(2))
    ]], { columns = 132, rows = 43 })
    assert.equal("132\t43\r\n33\t7\r\n0\t0\r\n", shown)
  end)

  it("is nil where there is none", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/script.lua", interpreter.paths() .. "print(require('epoch.core').terminal(0))")
      local command = ("env %s %s %s/script.lua "):format(interpreter.preloaded(), interpreter.path(), dir)
      assert.equal("nil", work.output(command .. "0</dev/null"))
      assert.equal("nil", work.output(command .. "0<&-"))
    end)
  end)

  it("takes descriptors only", function()
    for _, bad in ipairs { -1, 0.5, "two", 2 ^ 40 } do
      assert.is_false((pcall(core.terminal, bad)))
    end
  end)
end)
