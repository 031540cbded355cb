--- Files of variables for S3: KEY=VALUE lines, "#" before comments, quotes around values where
-- somebody wants them. Nothing in them is expanded or run.
local errors = require "epoch.errors"
local nearest = require "epoch.nearest"
local text = require "epoch.text"

local M = {}

local OURS = "^EPOCH_S3_"

local function trim(s)
  return (s:match("^%s*(.-)%s*$"))
end

local function bad(path, n, what)
  return errors.fail("config", ("%s:%d: %s"):format(path, n, what))
end

--- The EPOCH_S3_ variables of a file; others are for somebody else.
---@param source string
---@param path string for messages
---@param known table<string, any> the names that there are
---@return table<string, string>?
---@return epoch.Error?
function M.parse(source, path, known)
  local values, n = {}, 0
  for line in (source .. "\n"):gmatch("(.-)\n") do
    n = n + 1
    line = trim(line)
    if line ~= "" and line:sub(1, 1) ~= "#" then
      local name, value = line:match("^([%a_][%w_]*)%s*=%s*(.*)$")
      if not name then
        return bad(path, n, "no KEY=VALUE")
      elseif name:find(OURS) and not known[name] then
        return bad(path, n, ("%s is unknown%s"):format(text.quote(name, 80), nearest.hint(name, known)))
      elseif name:find(OURS) then
        values[name] = value:match('^"(.*)"$') or value:match("^'(.*)'$") or value
      end
    end
  end
  return values
end

return M
