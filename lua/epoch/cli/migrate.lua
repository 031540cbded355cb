--- epoch migrate --from HOME --to HOME [NAME…]
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local migration = require "epoch.migrate"
local output = require "epoch.cli.output"
local results = require "epoch.cli.result"
local tables = require "epoch.cli.table"

local M = {}

local SHOWN = { migrated = "migrated", there = "is there already", planned = "would be migrated" }

local function as_text(done)
  local rows = { { "REFERENCE", "KIND", "SIZE", "MOVED", "STATE" } }
  for i, one in ipairs(done) do
    rows[i + 1] = { one.name .. ":" .. one.tag, one.kind, manifest.human_size(one.size),
                    manifest.human_size(one.transferred), SHOWN[one.state] }
  end
  return #done > 0 and tables.format(5, rows) or ""
end

local function show(job, done)
  if not job.args.json then
    return output.write(as_text(done))
  end
  local list = {}
  for i, one in ipairs(done) do
    one.seconds = job:seconds()
    list[i] = results.as_json(one)
  end
  return output.write_json(json.array(list))
end

local function open(job, args)
  if not args.from or not args.to then
    return errors.fail("usage", "give --from HOME, a store of generation 1, and --to HOME, where it goes")
  end
  for _, name in ipairs(args.names) do
    local ok, err = job:local_name(name)
    if not ok then
      return nil, err
    end
  end
  local to
  local from, err = job:open_home(args.from)
  if from then
    to, err = job:open_home(args.to)
  end
  return to and from, err or to
end

function M.run(_, args)
  return jobs.run("migrate", args.from, args, function(job)
    local from, to = open(job, args)
    if not from then
      return nil, to
    end
    local shown, values = args.dry_run and {} or job:watch(args.from), job.settings.values
    local done, err, some = migration.migrate(job.task, {
      from = from, to = to, names = args.names, dry_run = args.dry_run,
      concurrency = values.concurrency, spool_dir = values.spool_dir,
      progress = shown.on_line, on_event = shown.on_event,
    })
    job:unwatch(done, err)
    if not done and not some then
      return nil, err
    end
    local ok, why = show(job, done or some)
    return ok, why or err
  end)
end

return M
