--- epoch fsck
local errors = require "epoch.errors"
local fsck = require "epoch.fsck"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local output = require "epoch.cli.output"
local tables = require "epoch.cli.table"

local M = {}

-- So many references are shown to people where there may be thousands.
local SHOWN = 8

local function some(list)
  local shown = table.concat(list, ", ", 1, math.min(#list, SHOWN))
  return #list > SHOWN and ("%s and %d more"):format(shown, #list - SHOWN) or shown
end

local function as_json(home, report)
  local list = {}
  for i, one in ipairs(report.broken) do
    list[i] = json.object {
      { "what", one.what }, { "digest", one.digest or json.null }, { "kind", one.err.kind },
      { "message", tostring(one.err) }, { "breaks", json.array(one.breaks) },
    }
  end
  return json.object {
    { "home", home:describe() }, { "manifests", report.manifests }, { "blobs", report.blobs },
    { "size", report.size }, { "broken", json.array(list) },
  }
end

local function as_text(report)
  local rows = { { "BROKEN", "BREAKS", "BECAUSE" } }
  for i, one in ipairs(report.broken) do
    rows[i + 1] = { one.what, some(one.breaks), tostring(one.err) }
  end
  return #report.broken > 0 and tables.format(3, rows) or ""
end

-- Everything that cannot be had any more, each once.
local function all_broken(report)
  local seen, list = {}, {}
  for _, one in ipairs(report.broken) do
    for _, ref in ipairs(one.breaks) do
      list[#list + 1] = not seen[ref] and ref or nil
      seen[ref] = true
    end
  end
  table.sort(list)
  return list
end

-- A blob of the right size is believed when it is pushed again: it has to go first.
local HARMLESS = "no tag needs what is broken"
local CURE = "%s cannot be had any more: remove what is left of that by digest (epoch rm NAME@DIGEST), then the blobs "
  .. "(epoch gc --delete --grace 0), and push again"

-- What is there is not what was promised when it was stored.
local function verdict(home, report)
  local refs = all_broken(report)
  return errors.new("invalid", ("%d of %d manifests and blobs in %s %s broken; %s"):format(#report.broken,
    report.manifests + report.blobs, home:describe(), #report.broken == 1 and "is" or "are",
    #refs == 0 and HARMLESS or CURE:format(some(refs))))
end

function M.run(_, args)
  return jobs.run("fsck", nil, args, function(job)
    local home, err = job:open()
    local report
    if home then
      report, err = fsck(job.task, home, {
        concurrency = job.settings.values.concurrency, on_event = job:watch(home:describe()).on_event,
      })
    end
    if not report then
      return nil, err
    end
    local bad = #report.broken > 0 and verdict(home, report) or nil
    job:unwatch(report, bad)
    local ok
    if args.json then
      ok, err = output.write_json(as_json(home, report))
    else
      ok, err = output.write(as_text(report))
    end
    return ok, err or bad
  end)
end

return M
