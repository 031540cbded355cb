--- The ranges of chunked uploads: what a client says it sends, and what it is told is there. Pure.
local errors = require "epoch.errors"
local json = require "epoch.json"

local M = {}

--- What a session of so many bytes says in its Range header. There is no form for none: what others
--- say for it can also be one byte.
---@param offset integer
---@return string
function M.format(offset)
  return ("0-%.0f"):format(math.max(offset - 1, 0))
end

--- The Content-Range of a piece, FIRST-LAST: { first, size }; false when there is none.
---@param given string?
---@param length integer? Content-Length
---@return { first: integer, size: integer }|false|nil
---@return epoch.Error?
---@return string? code
function M.parse(given, length)
  if not given then
    return false
  end
  local first, last = given:match("^(%d+)%-(%d+)$")
  if not first then -- as HTTP has it
    first, last = given:match("^bytes[ =](%d+)%-(%d+)/?[%d*]*$")
  end
  first, last = json.size(tonumber(first)), json.size(tonumber(last))
  if not first or not last or last < first then
    return nil, errors.new("invalid", "Content-Range must be FIRST-LAST, the numbers of two bytes"),
      "BLOB_UPLOAD_INVALID"
  end
  local size = last - first + 1
  if length and length ~= size then
    return nil, errors.new("size_mismatch", ("Content-Range says %.0f bytes, Content-Length %.0f"):format(size,
      length)), "SIZE_INVALID"
  end
  return { first = first, size = size }
end

return M
