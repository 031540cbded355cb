--- epoch copy REF [REF2] --from HOME --to HOME
local copies = require "epoch.copy"
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local output = require "epoch.cli.output"
local results = require "epoch.cli.result"

local M = {}

-- Where it is, and where it goes: the same name and tag, unless they are given.
local function references(job, args)
  local from, err = job:reference(args.ref)
  local to
  if from and args.to_ref then
    to, err = job:reference(args.to_ref)
  elseif from then
    to = { name = from.name, tag = from.tag, digest = from.digest }
  end
  if not to then
    return nil, err
  elseif to.digest and to.digest ~= from.digest then
    return errors.fail("usage", "the copy has the digest that the original has; give NAME:TAG for it")
  elseif args.all_tags and (args.ref:find("[@]") or args.ref:find(":[^/]*$")
    or args.to_ref and args.to_ref:find(":[^/]*$")) then
    return errors.fail("usage", "--all-tags copies all of NAME; give it without a tag")
  end
  return from, to
end

-- The home of a reference: its host, else the one that the option names.
local function open(job, ref, option, to_read)
  if option and not ref.host then
    return job:open_home(option, to_read)
  end
  return job:open(ref, to_read)
end

local function copy(job, args)
  local from, to = references(job, args)
  if not from then
    return nil, to
  end
  local source, err = open(job, from, args.from, true)
  local target
  if source then
    target, err = open(job, to, args.to)
  end
  if not target then
    return nil, err
  elseif source:describe() == target:describe() and from.name == to.name and (args.all_tags or from.tag == to.tag) then
    return errors.fail("usage", ("that would copy it onto itself, in %s; say where to: REF2 or --to HOME")
      :format(source:describe()))
  end
  local shown = job:watch(args.ref)
  local given = {
    from = source, to = target, name = from.name, to_name = to.name,
    concurrency = job.settings.values.concurrency, on_event = shown.on_event,
  }
  if args.all_tags then
    return copies.all_tags(job.task, given)
  end
  given.reference, given.to_tag = from.digest or from.tag, to.tag
  return copies.copy(job.task, given)
end

-- Several at once: the seconds are those of all.
local function finish_all(job, all)
  local list = {}
  for i, one in ipairs(all) do
    one.seconds = job:seconds()
    list[i] = results.as_json(one)
  end
  job:unwatch(true)
  return not job.args.json or output.write_json(json.array(list))
end

function M.run(_, args)
  return jobs.run("copy", args.ref, args, function(job)
    local copied, err = copy(job, args)
    if not copied then
      return nil, err
    elseif args.all_tags then
      return finish_all(job, copied)
    end
    return results.finish(job, copied)
  end)
end

return M
