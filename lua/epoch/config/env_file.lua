--- Files of variables for S3: KEY=VALUE lines, also with "export" before them as a shell has it, "#"
-- before comments (behind a value after a space), quotes around values where somebody wants them.
-- Nothing in them is expanded or run.
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

-- Without its quotes and the comment behind it; nil where quotes are not closed.
local function value_of(raw)
  local quote = raw:match("^[\"']")
  if not quote then
    return (raw:gsub("%s+#.*$", ""))
  end
  return raw:match(("^%s([^%s]*)%s%%s+#"):format(quote, quote, quote))
    or raw:match(("^%s(.*)%s$"):format(quote, quote))
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
      local name, value = line:gsub("^export%s+", ""):match("^([%a_][%w_]*)%s*=%s*(.*)$")
      if not name then
        return bad(path, n, "no KEY=VALUE")
      elseif name:find(OURS) and not known[name] then
        return bad(path, n, ("%s is unknown%s"):format(text.quote(name, 80), nearest.hint(name, known)))
      elseif name:find(OURS) then
        values[name] = value_of(value)
        if not values[name] then
          return bad(path, n, ("the quotes of %s are not closed"):format(name))
        end
      end
    end
  end
  return values
end

return M
