--- How much a thread gives way.
local children = require "spec.support.children"
local core = require "epoch.core"
local work = require "spec.support.work"

-- The niceness of a thread of another program, after each of the calls.
local function after(calls)
  return work.output(([[%s -e '
    require "spec.support.paths"
    local core = require "epoch.core"
    local function niceness()
      local file = assert(io.open("/proc/thread-self/stat"))
      local rest = file:read("*a"):match("^.*%%) (.*)$")
      file:close()
      local n = 2
      for field in rest:gmatch("%%S+") do
        n = n + 1
        if n == 19 then
          return tonumber(field)
        end
      end
    end
    for _, n in ipairs { %s } do
      assert(core.nice(n))
      io.write(niceness(), " ")
    end']]):format(children.lua, calls))
end

describe("core.nice", function()
  it("makes a thread nicer than it was, and never less nice", function()
    assert.equal("17 17 19 ", after("17, 12, 19"))
  end)

  it("takes what nice takes", function()
    assert.has_error(function() core.nice(20) end, "bad argument #1 to 'nice' (0 to 19 expected)")
    assert.has_error(function() core.nice(-1) end)
  end)
end)
