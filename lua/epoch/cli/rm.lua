--- epoch rm REF…
--
-- All references are looked at before the first one is removed. One that cannot be removed is
-- told and the others are gone on with, as people know it from rm; a signal ends it all.
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local output = require "epoch.cli.output"

local M = {}

local function references(job, typed)
  local refs = {}
  for i, one in ipairs(typed) do
    local err
    refs[i], err = job:reference(one)
    if not refs[i] then
      return nil, err
    end
  end
  return refs
end

-- Opens the home of a reference; one for all references without a host, and for each host.
local function opener(job)
  local homes = {}
  return function(ref)
    local key, err = ref.host or "", nil
    if not homes[key] then
      homes[key], err = job:open(ref)
    end
    return homes[key], err
  end
end

local function remove(job, open, ref)
  local ok, err = job.task:sleep(0) -- where nothing else waits, a signal is seen here
  local home
  if ok then
    home, err = open(ref)
  end
  if not home then
    return nil, err
  end
  local note
  ok, note = home:delete_manifest(ref.name, ref.digest or ref.tag)
  if ok and note then
    job:say("epoch: rm: " .. note)
  end
  return ok, note
end

-- The error for those that could not be removed: of one there is nothing more to say.
local function summary(failures, n)
  local first = failures[1]
  if n == 1 then
    return first.err
  end
  for _, one in ipairs(failures) do
    output.say(("epoch: rm %s: %s"):format(one.typed, tostring(one.err)))
  end
  return errors.new(first.err.kind, ("%d of %d could not be removed, %s is the first"):format(#failures, n,
    first.typed), { status = first.err.status, cause = first.err })
end

local function remove_all(job, args)
  local refs, err = references(job, args.refs)
  if not refs then
    return nil, err
  end
  local open, failures = opener(job), {}
  for i, ref in ipairs(refs) do
    local ok, why = remove(job, open, ref)
    if not ok and why.kind == "cancelled" then
      return nil, why
    elseif not ok then
      failures[#failures + 1] = { typed = args.refs[i], err = why }
    end
  end
  if #failures > 0 then
    return nil, summary(failures, #refs)
  end
  return refs
end

local function as_json(refs)
  local list = {}
  for i, ref in ipairs(refs) do
    list[i] = json.object {
      { "name", ref.name }, { "tag", ref.tag or json.null }, { "digest", ref.digest or json.null },
    }
  end
  return json.array(list)
end

function M.run(_, args)
  return jobs.run("rm", #args.refs == 1 and args.refs[1] or nil, args, function(job)
    local removed, err = remove_all(job, args)
    if removed and args.json then
      return output.write_json(as_json(removed))
    end
    return removed, err
  end)
end

return M
