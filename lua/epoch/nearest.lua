--- The name that was probably meant. For options, commands, settings: whatever has a short
-- list of known names.
local M = {}

-- Longer names are not compared: the work grows with the product of both lengths.
local LONGEST = 64

--- Optimal string alignment distance: insertions, deletions, substitutions and swaps of
-- neighbours, each counting one.
---@param a string
---@param b string
---@return integer
function M.distance(a, b)
  local before, last = nil, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    local x = a:byte(i)
    for j = 1, #b do
      local y = b:byte(j)
      local d = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x == y and 0 or 1))
      if before and j > 1 and x == b:byte(j - 1) and a:byte(i - 1) == y then
        d = math.min(d, before[j - 2] + 1)
      end
      row[j] = d
    end
    before, last = last, row
  end
  return last[#b]
end

-- Dashes in front say nothing about which name was meant.
local function bare(name)
  return (name:gsub("^%-+", ""):lower())
end

--- The known name nearest to `name`, or nil when none is near: at most a third of its
-- letters differ, or it is the beginning of one.
---@param name string
---@param known table names as keys of a set, or as a list
---@return string?
function M.find(name, known)
  local wanted = bare(name)
  if #name > LONGEST or wanted == "" then
    return nil
  end
  local best, least
  for key, value in pairs(known) do
    local candidate = type(key) == "string" and key or value
    if type(candidate) == "string" and #candidate <= LONGEST and candidate ~= name then
      local other = bare(candidate)
      local d = M.distance(wanted, other)
      if d > 1 and #wanted >= 3 and other:sub(1, #wanted) == wanted then
        d = 1
      end
      local limit = math.max(1, math.floor(math.max(#wanted, #other) / 3))
      -- one letter of a name of one letter is all of it
      if d <= limit and d < math.max(#wanted, #other)
        and (not best or d < least or d == least and candidate < best) then
        best, least = candidate, d
      end
    end
  end
  return best
end

--- ` (did you mean "tag"?)`, or the empty string.
---@param name string
---@param known table
---@return string
function M.hint(name, known)
  local found = M.find(name, known)
  return found and (' (did you mean "%s"?)'):format(found) or ""
end

return M
