--- What a request wants of bytes that it may have already: which part, and on which conditions.
-- Pure: RFC 9110, sections 13 and 14, for single ranges and strong tags.
local whole = require "epoch.whole"

local M = {}

-- Is the tag one of those in the header? `*` is any.
local function has(header, etag, weak)
  if header:find("^%s*%*%s*$") then
    return true
  end
  for strength, tag in header:gmatch('(W?/?)("[^"]*")') do
    if tag == etag and (weak or strength == "") then
      return true
    end
  end
  return false
end

--- Does the client have it already?
---@param if_none_match string?
---@param etag string strong
---@return boolean
function M.is_known(if_none_match, etag)
  return if_none_match ~= nil and has(if_none_match, etag, true)
end

--- Is it something else than what the client insists on?
---@param if_match string?
---@param etag string
---@return boolean
function M.is_another(if_match, etag)
  return if_match ~= nil and not has(if_match, etag, false)
end

-- Digits as a number; more than any size has stand for what is beyond every end.
local function number(digits)
  return digits ~= "" and (whole.from(tonumber(digits)) or whole.MAX) or nil
end

--- The bytes that are asked for: first and last; nil for all of them; false where there are none
--- there. Several ranges, other units, and what is no range at all are as if nothing was said.
---@param range string? the header
---@param size integer
---@param if_range string? the header
---@param etag string
---@return integer|false|nil first
---@return integer? last
function M.range(range, size, if_range, etag)
  local first, last = (range or ""):match("^%s*[Bb][Yy][Tt][Ee][Ss]=%s*(%d*)%-(%d*)%s*$")
  if not first or first .. last == "" or if_range and if_range ~= etag then
    return nil
  end
  first, last = number(first), number(last)
  if first and last and last < first then
    return nil
  elseif not first then -- so many at the end
    first, last = math.max(size - last, 0), last > 0 and size - 1 or -1
  end
  last = math.min(last or size - 1, size - 1)
  if first > last then
    return false
  end
  return first, last
end

return M
