-- What a command's job does beside its work.
local config = require "epoch.config"
local homes = require "epoch.home"
local job = require "epoch.cli.job"
local output = require "epoch.cli.output"

describe("a job", function()
  local real, said

  before_each(function()
    real, said = output.say, {}
    output.say = function(line) said[#said + 1] = line end -- luacheck: ignore 122
    homes.schemes.own = function()
      return { notice = "the store is \27[31modd", close = function() end }
    end
  end)

  after_each(function()
    output.say, homes.schemes.own = real, nil -- luacheck: ignore 122
    config.base {}
  end)

  local function run(args)
    return job.run("spec", nil, args, function(self)
      return self:open_home("own:x") and "done"
    end)
  end

  it("tells in the end what a home has to say, unless it is to be quiet", function()
    assert.equal("done", run {})
    assert.same({ "epoch: the store is \\x1b[31modd" }, said)
    assert.equal("done", run { quiet = true })
    assert.equal(1, #said)
  end)
end)
