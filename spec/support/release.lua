--- What a file's tests held is let go when the file has ended.
--
-- busted keeps every element until the whole run ends, and with its closures every module
-- and every payload of its file. That came to hundreds of megabytes, which the leak checks
-- (spec/support/leaks.lua), collecting twice a test, spent most of a run walking through.

local busted = require("busted")

local M = {}

-- The file's own `run` stays: busted asks it for names of files in messages.
local function release(element)
  for _, child in ipairs(busted.children(element)) do
    release(child)
    child.run = nil
    child.env = nil
  end
end

function M.install()
  busted.subscribe({ "file", "end" }, function(element)
    release(element)
    element.env = nil
    return nil, true
  end)
end

return M
