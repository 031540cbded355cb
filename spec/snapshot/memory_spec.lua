--- What a push and a pull need in memory at most: measured on the program, whose process is its
-- own, as the kernel counts it.

local artifacts = require "spec.support.artifacts"
local program = require "spec.support.program"
local standin = require "spec.support.standin"
local work = require "spec.support.work"

local LIMIT = 64 * 1024 -- KiB

describe("the peak memory", function()
  if (os.getenv("EPOCH_BUILD") or "build") ~= "build" then
    pending("needs the plain build: an instrumented allocator keeps what was freed")
    return
  end

  it("is below 64 MiB where what cocoon says of a snapshot is large itself", function()
    work.in_directory(function(dir)
      local known = ('{"version":1,"config":{"id":"ID","name":"vm","blob":"%s","list":[%s0]}}')
        :format(("y"):rep(9000000), ("0,"):rep(300000))
      work.write_file(dir .. "/export", artifacts.export({ { "cow.raw", "x" } }, known))
      local env = standin.env(dir, {
        EPOCH_COCOON_BINARY = standin.program, COCOON_FAKE_EXPORT = dir .. "/export",
        LUA_INIT = "@bench/watch.lua",
      })
      for _, command in ipairs { "push", "pull" } do
        local result = program.run({ command, "vm:v1", "--registry", "file://" .. dir .. "/store",
                                     "--progress", "none" }, env)
        assert.equal(0, result.code, result.err)
        local peak = tonumber(result.out:match("peak (%d+)"))
        assert.is_true(peak < LIMIT, ("%s took %d KiB"):format(command, peak))
      end
    end)
  end)
end)
