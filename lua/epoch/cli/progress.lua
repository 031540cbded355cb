--- What is shown on stderr while bytes move.
local output = require "epoch.cli.output"

local Progress = {}
Progress.__index = Progress

local M = {}

function M.new(options)
  return setmetatable(options, Progress)
end

function Progress.event() end

function Progress:line(line)
  if self.how ~= "none" and self.how ~= "json" then
    output.say(line)
  end
end

function Progress.finish() end

return M
