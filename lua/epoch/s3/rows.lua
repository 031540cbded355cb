--- A long list in XML, read in one go: elements of one name, one behind the other, that look alike.
--
-- A thousand keys are some ten thousand elements, and the reader of epoch.s3.xml takes longer for
-- them than a store near by takes to send them. So the first row is read by that reader, a pattern
-- is made of what it looks like, and with that the ones behind it are taken as long as it fits; one
-- that looks otherwise is a first one again. Whatever is out of the ordinary (attributes, a name
-- in front, something between rows) is not read here at all: the reader has to read all of it.
local xml = require "epoch.s3.xml"

local M = {}

M.MAX = 1000 -- rows: more than that is not asked for

local LEAF = "<(%w+)>[^<]*</%1>"
local TAG = "</?%w+>"
local MAX_LEAVES = 32 -- of a row: what patterns can do has an end

-- Whether these are what an element consists of, among others, and each is text.
local function has(element, fields)
  local found = 0
  for _, child in ipairs(element) do
    found = found + (fields[child.name] and not child[1] and 1 or 0)
  end
  return found == #fields
end

-- A pattern for rows that look like this one, and which of its captures each field is; or nil.
local function shape_of(row, name, fields)
  local element = xml.parse(row)
  local tags, leaves = row:gsub(LEAF, "")
  if not element or element.name ~= name or leaves > MAX_LEAVES or tags:gsub(TAG, "") ~= ""
    or not has(element, fields) then
    return nil
  end
  local captures, order = 0, {}
  local pattern = row:gsub(LEAF, function(leaf)
    local place = fields[leaf]
    if place then
      captures = captures + 1
      order[place] = captures
    end
    return ("<%s>%s</%s>"):format(leaf, place and "([^<]*)" or "[^<]*", leaf)
  end)
  return captures == #fields and #order == #fields and { pattern = "^" .. pattern, order = order } or nil
end

-- What the captures of a row say, in the order of the fields; nil for what no text can be.
local function row_of(shape, a, b, c, d)
  local said = { xml.resolve(a), xml.resolve(b), xml.resolve(c), xml.resolve(d) }
  local order = shape.order
  local row = { said[order[1]], said[order[2]], said[order[3]], said[order[4]] }
  return row[1] and row[2] and row[3] and row[4] and row
end

-- The row at `at`, if it looks like those before it, and where the next one is.
local function row_at(list, at)
  if not list.shape then
    return nil
  end
  local start, stop, a, b, c, d = list.bytes:find(list.shape.pattern, at)
  if start then
    return row_of(list.shape, a, b, c, d), stop + 1
  end
end

-- The same for a row that looks otherwise: from here on they are to look like that.
local function other_row_at(list, at)
  local _, stop = list.bytes:find(list.close, at, true)
  list.shape = stop and shape_of(list.bytes:sub(at, stop), list.name, list.fields)
  return row_at(list, at)
end

--- The rows of a list: what each says in the four fields, in their order. With them comes the
--- list without the rows, where an empty element stands in their place. Nil for a list that is for
--- epoch.s3.xml alone.
---@param bytes string
---@param name string of the elements that are rows, letters only
---@param fields string[] the names of four elements that each row has once
---@return string[][]?
---@return string?
function M.read(bytes, name, fields)
  local open = "<" .. name .. ">"
  local list = { bytes = bytes, name = name, close = "</" .. name .. ">", fields = {} }
  for place, field in ipairs(fields) do
    list.fields[place], list.fields[field] = field, place
  end
  local first = bytes:find(open, 1, true)
  local rows, at = {}, first
  while at and #rows < M.MAX and bytes:sub(at, at + #open - 1) == open do
    local row, after = row_at(list, at)
    if not after then
      row, after = other_row_at(list, at)
    end
    rows[#rows + 1], at = row, row and after
  end
  if not at or bytes:find(open, at, true) then
    return nil
  end
  return rows, ("%s<%s/>%s"):format(bytes:sub(1, first - 1), name, bytes:sub(at))
end

return M
