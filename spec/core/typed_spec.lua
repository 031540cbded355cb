-- Lines that are typed at a terminal, which is made by script(1).
local dialogue = require "spec.support.dialogue"
local interpreter = require "spec.support.interpreter"
local work = require "spec.support.work"

-- Reads one line and shows it in brackets, with what the terminal was and is like.
local SCRIPT = [[
  local core, await = require "epoch.core", require "epoch.await"
  local function echo()
    os.execute("stty -a | grep -o -e '-*\\<echo\\>' -e 'susp = [^;]*'")
  end
  local loop = core.loop { threads = 0 }
  loop:signals("INT", "TERM")
  local source = assert(core.typed { hidden = arg[1] == "hidden" })
  echo()
  print("now")
  local line, message, code = await(loop, source, "read", 4096)
  print(("[%s]"):format(line and line:gsub("\n", "|") or tostring(line) .. " " .. tostring(code)))
  if arg[2] == "collected" then
    source = nil
    collectgarbage() collectgarbage()
  else
    source:close()
  end
  echo()
]]

local function on_terminal(words, use)
  work.in_directory(function(dir)
    work.with_loop(nil, function(loop)
      work.write_file(dir .. "/typed.lua", interpreter.paths() .. SCRIPT)
      use(dialogue.start(loop, ("exec env %s %s %s/typed.lua %s"):format(interpreter.preloaded(),
        interpreter.path(), dir, words)))
    end)
  end)
end

describe("what is typed", function()
  it("is read a line at a time", function()
    on_terminal("shown", function(d)
      d:expect("now")
      d:type("two words\nmore\n")
      d:expect("[two words|]")
      local shown, code = d:finish()
      assert.equal(0, code)
      assert.matches("two words\r\n", shown, 1, true)
      assert.is_nil(shown:find("-echo", 1, true))
    end)
  end)

  for _, how in ipairs { "closed", "collected" } do
    it("is hidden until the source is " .. how, function()
      on_terminal("hidden " .. how, function(d)
        d:expect("susp = <undef>\r\n-echo\r\n")
        d:expect("now")
        d:type("geheim\n")
        d:expect("\r\n[geheim|]")
        d:expect("susp = ^Z\r\necho")
        local shown, code = d:finish()
        assert.equal(0, code)
        assert.equal(1, select(2, shown:gsub("geheim", "")))
      end)
    end)
  end

  it("can be ended, or interrupted by ^C, and is shown again", function()
    for key, said in pairs { ["\4"] = "[false nil]", ["\3"] = "[nil cancelled]" } do
      on_terminal("hidden closed", function(d)
        d:expect("now")
        d:type(key)
        d:expect(said)
        d:expect("\necho\r\n")
        assert.equal(0, (select(2, d:finish())))
      end)
    end
  end)

  it("cannot be read where there is no terminal", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/typed.lua", interpreter.paths()
        .. [[local typed = require("epoch.core").typed
          print(select(2, typed()), select(3, typed { hidden = true }))]])
      assert.equal("there is no terminal\tnot_found", work.output(("setsid -w env %s %s %s/typed.lua </dev/null")
        :format(interpreter.preloaded(), interpreter.path(), dir)))
    end)
  end)

  it("takes no options but the one there is", function()
    local core = require "epoch.core"
    assert.has_error(function() core.typed { hiden = true } end)
    assert.has_error(function() core.typed { hidden = 1 } end)
  end)
end)
