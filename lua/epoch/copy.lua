--- Copies of artifacts, from any home to any other.
--
--     local result = assert(copy.copy(task, { from = home, name = "vms/demo", reference = "v1",
--                                             to = other }))
--
-- What a manifest needs goes before it: of an index, all that it lists. Manifests arrive byte
-- for byte, so that their digests stay. What the other home has is not sent, and inside one home
-- nothing is if that can be helped. Blobs are verified where they arrive.
--
-- Both homes work in the task that is given. Manifests that refer to this one (their `subject`)
-- are not looked for.
local errors = require "epoch.errors"
local job = require "epoch.copy.job"
local listeners = require "epoch.listeners"
local options = require "epoch.options"
local ports = require "epoch.ports"
local reference = require "epoch.reference"

local M = {}

local COPY = {
  from = { type = "table", required = true },
  to = { type = "table", required = true },
  name = { type = "string", required = true },
  reference = { type = "string", default = "latest" },
  to_name = { type = "string" },
  to_tag = { type = "string" },
  concurrency = { type = "integer", min = 1, max = 64, default = 3 },
  progress = { type = "function" },
  on_event = { type = "function" },
}

---@class epoch.copy.Options
---@field from table a home
---@field to table a home
---@field name string
---@field reference string? tag or digest: latest
---@field to_name string? the same name
---@field to_tag string? the same tag; where that is a digest, none
---@field concurrency integer? blobs at once: 3
---@field progress fun(line: string)?
---@field on_event fun(event: table)? {event=, op=, title=, digest=, bytes=, total=, transferred=}

---@class epoch.copy.result
---@field name string
---@field tag string? nil: by its digest only
---@field digest string
---@field kind epoch.kind
---@field size integer bytes of all blobs
---@field layers table[] {title=, media_type=, digest=, size=, transferred=}, of all manifests
---@field transferred integer bytes that had to move

--- Copies what a tag or digest stands for.
---@param task epoch.task that of both homes
---@param given epoch.copy.Options
---@return epoch.copy.result?
---@return epoch.Error?
function M.copy(task, given)
  local opts = options.check("copy", COPY, given)
  local ok, err = ports.check_names(opts.name, opts.to_tag, nil, opts.to_name)
  if ok then
    ok, err = reference.tag_or_digest(opts.reference)
  end
  if not ok then
    return nil, err
  end
  return job.run(task, opts, {})
end

local ALL_TAGS = {}
for name, rule in pairs(COPY) do
  ALL_TAGS[name] = name ~= "reference" and name ~= "to_tag" and rule or nil
end

--- Copies every tag of a repository, in order. One that fails does not keep the others from
--- being copied: the error comes at the end, of the kind of the first, and the third answer has
--- what was copied.
---@param task epoch.task
---@param given epoch.copy.Options without reference and to_tag
---@return epoch.copy.result[]?
---@return epoch.Error?
---@return epoch.copy.result[]?
function M.all_tags(task, given)
  local opts = options.check("copy.all_tags", ALL_TAGS, given)
  local tags, err = ports.check_names(opts.name, nil, nil, opts.to_name)
  if tags then
    tags, err = opts.from:tags(opts.name)
  end
  if not tags then
    return nil, err
  end
  local results, failed, first, there = {}, {}, nil, {}
  for _, tag in ipairs(tags) do
    opts.reference = tag
    results[#results + 1], err = job.run(task, opts, there)
    if err and err.kind == "cancelled" then
      return nil, err, results
    elseif err then
      first, failed[#failed + 1] = first or err, tag
      listeners.new("copy", opts):say(("%s:%s: %s"):format(opts.name, tag, tostring(err)))
    end
  end
  if first then
    return nil, errors.new(first.kind, ("%d of %d tags were not copied (%s); the first because: %s")
      :format(#failed, #tags, table.concat(failed, ", "), tostring(first)),
      { status = first.status, cause = first }), results
  end
  return results
end

return M
