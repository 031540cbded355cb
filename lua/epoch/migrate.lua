--- From generation 1 to generation 2: artifacts of a store, into any home.
--
--     local results = assert(migrate.migrate(task, { from = old, to = new }))
--
-- A tag that is there already is not moved again. Of a snapshot the files' holes are found
-- again; its base images become cloud images, base-images:ID, that its manifest points at. Bytes are
-- verified where they are read and where they arrive. Both homes work in the task that is given.
local errors = require "epoch.errors"
local job = require "epoch.migrate.job"
local listeners = require "epoch.listeners"
local options = require "epoch.options"
local text = require "epoch.text"

local M = {}

local MIGRATE = {
  from = { type = "table", required = true },
  to = { type = "table", required = true },
  names = { array = { type = "string" } }, -- all repositories where there are none
  dry_run = { type = "boolean", default = false },
  concurrency = { type = "integer", min = 1, max = 64, default = 3 },
  spool_dir = { type = "string" },
  progress = { type = "function" },
  on_event = { type = "function" },
}

---@class epoch.migrate.result
---@field name string
---@field tag string
---@field state "migrated"|"there"|"planned"
---@field kind epoch.kind
---@field digest string of the new manifest; planned: of the old one
---@field size integer bytes of all blobs
---@field layers table[] {title=, media_type=, digest=, size=, transferred=}
---@field transferred integer bytes that had to move, base images included

-- Every tag of those repositories: { name, tag }. Of those that nobody `named` some may be in a catalog
-- that is behind the keys, and nowhere else.
local function tags_of(home, names, named)
  local list = {}
  for _, name in ipairs(names) do
    local tags, err = home:tags(name)
    if not tags and (named or err.kind ~= "not_found") then
      return nil, err
    end
    for _, tag in ipairs(tags or {}) do
      list[#list + 1] = { name, tag }
    end
  end
  return list
end

-- What `names` leaves out, for no reference leads to it: not migrated, and that is an error.
local function unreachable(home, named)
  if named or not home.others then
    return {}
  end
  return home:others()
end

local function no_name(what)
  return errors.new("invalid", ("no reference can be %s (names are lower case, with one of \".\", \"_\", \"-\" between "
    .. "letters); copy its manifest to another key of the store, and migrate that"):format(text.quote(what)))
end

local function failure(failed, first, n)
  return errors.new(first.kind, ("%d of %d tags were not migrated (%s); the first because: %s"):format(
    #failed, n, table.concat(failed, ", "), tostring(first)), { status = first.status, cause = first })
end

--- Migrates what is of generation 1 in a home. One that fails does not keep the others from being
--- migrated: the error comes at the end, of the kind of the first, and the third answer has
--- what was done.
---@param task epoch.task that of both homes
---@param given table
---@return epoch.migrate.result[]?
---@return epoch.Error?
---@return epoch.migrate.result[]?
function M.migrate(task, given)
  local opts = options.check("migrate", MIGRATE, given)
  opts.task = task
  local named = opts.names ~= nil and #opts.names > 0
  local names, list = opts.names, nil
  local others, err = unreachable(opts.from, named)
  if others and not named then
    names, err = opts.from:repositories()
  end
  if others and names then
    list, err = tags_of(opts.from, names, named)
  end
  if not list then
    return nil, err
  end
  local results, failed, first = {}, {}, nil
  local function fail(what, why)
    first, failed[#failed + 1] = first or why, what
    listeners.new("migrate", opts):say(("%s: %s"):format(what, tostring(why)))
  end
  for _, what in ipairs(others) do
    fail(what, no_name(what))
  end
  for _, one in ipairs(list) do
    local result, why = job.run(opts, one[1], one[2])
    results[#results + 1] = result or nil
    if result == nil and why.kind == "cancelled" then
      return nil, why, results
    elseif result == nil then
      fail(one[1] .. ":" .. one[2], why)
    end
  end
  if first then
    return nil, failure(failed, first, #list + #others), results
  end
  return results
end

return M
