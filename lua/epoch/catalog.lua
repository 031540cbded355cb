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

--- What can be believed of a catalog: { NAME = { tags = { TAG = KEY }, updated = TIME } };
--- nil and the error when it is none.
---@param bytes string
---@return table<string, { tags: table<string, string>, updated: string }>?
---@return epoch.Error?
function M.parse(bytes)
  local value, err = json.decode(bytes, M.MAX)
  if err then
    return nil, err
  end
  local repositories = {}
  for name, entry in pairs(table_or_empty(table_or_empty(value).repositories)) do
    if reference.check_name(name) then
      entry = table_or_empty(entry)
      local tags = {}
      for tag, key in pairs(table_or_empty(entry.tags)) do
        if reference.check_tag(tag) and type(key) == "string" then
          tags[tag] = key
        end
      end
      repositories[name] = { tags = tags, updated = text_or(entry.updatedAt, M.time(0)) }
    end
  end
  return repositories
end

--- The file for it.
---@param repositories table<string, { tags: table<string, string>, updated: string }>
---@param updated string
---@return string?
---@return epoch.Error?
function M.encode(repositories, updated)
  local all = {}
  for name, entry in pairs(repositories) do
    all[name] = { tags = entry.tags, updatedAt = entry.updated }
  end
  return json.encode({ repositories = all, updatedAt = updated }, 2)
end

return M
