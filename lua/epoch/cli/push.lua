--- epoch push SNAPSHOT[:TAG] [REF]
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local ports = require "epoch.ports"
local results = require "epoch.cli.result"
local snapshot = require "epoch.snapshot"

local M = {}

-- The snapshot's name in cocoon, and the reference it goes to.
local function names(job, args)
  local from, err = job:reference(args.snapshot)
  local to = from
  if from and args.ref then
    to, err = job:reference(args.ref)
  end
  if not to then
    return nil, err
  elseif from.digest or to.digest then
    return errors.fail("usage", "a digest is not known before the push; give NAME:TAG")
  end
  return from.name, to
end

local function annotations_of(words)
  local out = {}
  for _, word in ipairs(words) do
    local key, value = word:match("^([^=]+)=(.*)$")
    out[key] = value
  end
  return out
end

local function push(job, args)
  local cocoon, home
  local name, to = names(job, args)
  if not name then
    return nil, to
  end
  local tag, err = job:tag(args.tag or to.tag)
  if tag then
    cocoon, err = job:cocoon()
  end
  if cocoon then
    home, err = job:open(to)
  end
  if not home then
    return nil, err
  end
  local values, shown = job.settings.values, job:watch(to.name .. ":" .. tag)
  return snapshot.pusher { uploader = ports.uploader(home), cocoon = cocoon, task = job.task }:push {
    name = to.name, tag = tag, snapshot = name,
    base_image = args.base_image, source = args.source, revision = args.revision,
    annotations = annotations_of(args.annotations),
    concurrency = values.concurrency, spool_dir = values.spool_dir,
    on_event = shown.on_event,
  }
end

function M.run(_, args)
  return jobs.run("push", args.snapshot, args, function(job)
    job:save_memory()
    local pushed, err = push(job, args)
    if not pushed then
      return nil, err
    end
    return results.finish(job, {
      name = pushed.name, tag = pushed.tag, digest = pushed.manifest_digest, kind = "snapshot",
      size = pushed.total_size, layers = pushed.layers,
    }, job.settings.values.on_pushed)
  end)
end

return M
