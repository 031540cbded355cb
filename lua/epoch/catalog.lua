--- catalog.json: which repositories and tags an object layout has (formats.md in short:
-- {"repositories":{NAME:{"tags":{TAG:KEY},"updatedAt":T}},"updatedAt":T}, members sorted,
-- indented by two, as Go writes it). The keys are the truth; this saves listing them.
local json = require "epoch.json"
local reference = require "epoch.reference"

local M = {}

M.MAX = 64 * 1024 * 1024

--- A time as RFC 3339 in UTC.
---@param seconds integer
---@return string
function M.time(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
end

local function table_or_empty(value)
  return type(value) == "table" and value or {}
end

local function text_or(value, otherwise)
  return type(value) == "string" and value or otherwise
end

---@class epoch.Catalog
---@field repositories table<string, epoch.Repository> by name
---@field others table<string, epoch.Repository>? whose names no reference has: written again, not used
---@field is_hollow boolean? it lists no repositories at all, which one that was written here always does
---@field updated_at string

---@class epoch.Repository
---@field tags table<string, string> the key of each tag's manifest; older ones may have its digest
---@field others table<string, string>? tags that no reference has
---@field updated_at string

local function unless_empty(t)
  return next(t) ~= nil and t or nil
end

local function repository(entry)
  entry = table_or_empty(entry)
  local tags, others = {}, {}
  for tag, key in pairs(table_or_empty(entry.tags)) do
    if type(tag) == "string" and type(key) == "string" then
      (reference.check_tag(tag) and tags or others)[tag] = key
    end
  end
  return { tags = tags, others = unless_empty(others), updated_at = text_or(entry.updatedAt, M.time(0)) }
end

--- What can be believed of a catalog; nil and the error when it is none.
---@param bytes string
---@return epoch.Catalog?
---@return epoch.Error?
function M.parse(bytes)
  local value, err = json.decode(bytes, M.MAX)
  if err then
    return nil, err
  end
  value = table_or_empty(value)
  local repositories, others = {}, {}
  for name, entry in pairs(table_or_empty(value.repositories)) do
    if type(name) == "string" then
      (reference.check_name(name) and repositories or others)[name] = repository(entry)
    end
  end
  local listed = value.repositories
  return {
    repositories = repositories, others = unless_empty(others), updated_at = text_or(value.updatedAt, M.time(0)),
    is_hollow = (type(listed) ~= "table" or #listed > 0) or nil,
  }
end

local function together(tags, others)
  local all = {}
  for _, some in ipairs { tags, others } do
    for tag, key in pairs(some) do
      all[tag] = key
    end
  end
  return all
end

--- The file for it.
---@param catalog epoch.Catalog
---@return string?
---@return epoch.Error?
function M.encode(catalog)
  local all = {}
  for _, repositories in ipairs { catalog.repositories, catalog.others } do
    for name, entry in pairs(repositories) do
      all[name] = { tags = together(entry.tags, entry.others), updatedAt = entry.updated_at }
    end
  end
  return json.encode({ repositories = all, updatedAt = catalog.updated_at }, 2)
end

return M
