--- What snapshot.json and the config blob have in common: their members, and how the text of
-- each is read. Values stay text: a number of more digits than Lua's numbers have arrives as
-- it was written.
local errors = require "epoch.errors"
local json = require "epoch.json"
local slices = require "epoch.json_slices"
local text = require "epoch.text"

local M = {}

--- The largest config blob, and the largest snapshot.json.
M.MAX = 16 * 1024 * 1024

-- The member of snapshot.json, that of the blob, what it is, and its name in Lua, in the
-- order in which they are written.
M.LIST = {
  { "id", "snapshotId", "text", "snapshot_id" },
  { "name" },
  { "description", "description", "text", "description" },
  { "image", "image", "text", "image" },
  { "image_digest", "imageDigest", "text", "image_digest" },
  { "image_type", "imageType", "text", "image_type" },
  { "image_blob_ids", "imageBlobIds", "set", "image_blob_ids" },
  { "hypervisor", "hypervisor", "text", "hypervisor" },
  { "cpu", "cpu", "whole", "cpu" },
  { "memory", "memory", "whole", "memory" },
  { "storage", "storage", "whole", "storage" },
  { "nics", "nics", "whole", "nics" },
  { "network", "network", "text", "network" },
  { "windows", "windows", "flag", "windows" },
}

local ENVELOPE, BLOB = 1, 2

--- Members by their names there.
M.OF_ENVELOPE, M.OF_BLOB = {}, {}
for _, field in ipairs(M.LIST) do
  M.OF_ENVELOPE[field[ENVELOPE]] = field
  if field[BLOB] then
    M.OF_BLOB[field[BLOB]] = field
  end
end

--- nil and the error for what is wrong at a place.
function M.invalid(where, why)
  return errors.fail("invalid", ("%s: %s"):format(where, why))
end

--- The value from `first` to `last` of an accepted text; for small ones.
---@param s string
---@param first integer
---@param last integer
---@return any
function M.value(s, first, last)
  return json.decode("[" .. slices.text(s, first, last) .. "]", #s + 2)[1]
end

-- The text of a value as it is written: "" for those that are left out, or nil for one that
-- is not of its kind. The second answer is the value for Lua. A set may be large: in place of
-- its text there are its `names`, sorted, and the `texts` that stand behind them.
local CANONICAL = {
  text = function(s, first, last)
    local value = s:byte(first) == 34 and M.value(s, first, last)
    return value and (value == "" and "" or json.encode(value)), value
  end,
  whole = function(s, first, last)
    local digits = last - first < 19 and s:sub(first, last) or ""
    if not digits:find("^%-?%d+$") then
      return nil
    end
    return digits == "0" and "" or digits, tonumber(digits)
  end,
  flag = function(s, first, last)
    local word = last - first < 5 and s:sub(first, last)
    return word == "true" and word or word == "false" and "" or nil, word == "true"
  end,
  set = function(s, first)
    if s:byte(first) ~= 123 then
      return nil
    end
    local set, names, texts = {}, {}, {}
    for name, from, to in slices.each(s, first) do
      names[#names + 1], set[name], texts[name] = name, true, slices.text(s, from, to)
    end
    table.sort(names)
    return #names > 0 and { names = names, texts = texts } or "", set
  end,
}

local KIND = { text = "a text", whole = "a whole number", flag = "true or false", set = "an object" }

--- What is written of a member whose value is from `first` to `last`, "" for one that is left
--- out, and its value.
---@param field table one of LIST
---@param s string
---@param place integer[] first and last
---@param where string
---@return string|{ names: string[], texts: table<string, string> }|nil
---@return any
function M.read(field, s, place, where)
  local first, last = place[1], place[2]
  if s:find("^null", first) then
    return ""
  end
  local written, value = CANONICAL[field[3]](s, first, last)
  if not written then
    return M.invalid(where, ("must be %s, not %s"):format(KIND[field[3]],
      text.printable(slices.text(s, first, last), 40)))
  end
  return written, value
end

--- Is a text of at most MAX bytes an object? It is not decoded: what it holds may be many
--- times as large as values of Lua.
---@param s string
---@param what string
---@return true?
---@return epoch.Error?
function M.check(s, what)
  local ok, err = json.check(s, M.MAX)
  if not ok then
    return nil, errors.new(err.kind, what .. ": " .. err.message)
  elseif not s:find("^%s*{") then
    return M.invalid(what, "it is no JSON object")
  end
  return true
end

--- Where the members with these names are in the object that begins at `at`.
---@param s string
---@param names table<string, any>
---@param at? integer
---@return table<string, { [1]: integer, [2]: integer }>
---@return boolean others are there any with other names?
function M.places(s, names, at)
  local places, others = {}, false
  for name, first, last in slices.each(s, at) do
    if names[name] then
      places[name] = { first, last }
    else
      others = true
    end
  end
  return places, others
end

return M
