--- The stand-in does what the real program does; spec/interop has the same for the real one.
local behaviour = require "spec.support.cocoon_behaviour"
local standin = require "spec.support.standin"
local work = require "spec.support.work"

describe("the stand-in for cocoon", function()
  behaviour.describe(standin.program, {
    ["the whole"] = work.noise(300000), ["the first 4 bytes"] = "QFI\251",
  })
end)
