--- epoch gc [--delete] [--grace TIME]
local catalog = require "epoch.catalog"
local gc = require "epoch.gc"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local output = require "epoch.cli.output"
local tables = require "epoch.cli.table"
local text = require "epoch.text"

local M = {}

-- So many reasons are told why nothing would be removed.
local SHOWN = 8

local function as_json(home, found)
  local list = {}
  for i, blob in ipairs(found.blobs) do
    list[i] = json.object {
      { "digest", blob.digest }, { "size", blob.size }, { "modified", catalog.time(blob.modified) },
      { "removed", blob.removed },
    }
  end
  local uploads = {}
  for i, upload in ipairs(found.uploads) do
    uploads[i] = json.object {
      { "key", upload.key }, { "size", upload.size }, { "modified", catalog.time(upload.modified) },
      { "removed", upload.removed },
    }
  end
  return json.object {
    { "home", home:describe() }, { "blobs", json.array(list) }, { "size", found.size }, { "young", found.young },
    { "removed", found.removed }, { "freed", found.freed }, { "uploads", json.array(uploads) },
  }
end

local function as_text(found)
  local rows = { { "DIGEST", "SIZE", "MODIFIED" } }
  for i, blob in ipairs(found.blobs) do
    rows[i + 1] = { blob.digest, manifest.human_size(blob.size), catalog.time(blob.modified) }
  end
  return #found.blobs > 0 and tables.format(3, rows) or ""
end

local function blobs(n, size)
  return ("%s blob%s (%s)"):format(n == 0 and "no" or n, n == 1 and "" or "s", manifest.human_size(size))
end

-- What was left in the middle: nil where nothing was.
local function uploads_line(found, deleted)
  local n, size = #found.uploads, 0
  for _, upload in ipairs(found.uploads) do
    size = size + upload.size
  end
  return n > 0 and ("%d upload%s that nobody has finished (%s) %s"):format(n, n == 1 and "" or "s",
    manifest.human_size(size), deleted and "given up" or "can be given up") or nil
end

-- What there is to know besides the list.
local function say(job, home, found)
  for i = 1, math.min(#found.doubts, SHOWN) do
    job:say("epoch: gc: " .. tostring(found.doubts[i]))
  end
  if #found.doubts > 0 then
    job:say(("epoch: gc: nothing would be removed because of %s; epoch fsck says what else is broken"):format(
      #found.doubts == 1 and "this" or ("these %d"):format(#found.doubts)))
  end
  local line = "%s can be removed from %s"
  if job.args.delete then
    line = "%s removed from %s"
  elseif #found.blobs > 0 then
    line = line .. " (--delete does that)"
  end
  if found.young > 0 then
    line = ("%s; %d more %s too young"):format(line, found.young, found.young == 1 and "is" or "are")
  end
  local n, size = #found.blobs, found.size
  if job.args.delete then
    n, size = found.removed, found.freed
  end
  job:say("epoch: gc: " .. line:format(blobs(n, size), text.printable(home:describe())))
  local left = uploads_line(found, job.args.delete)
  if left then
    job:say("epoch: gc: " .. left)
  end
end

function M.run(_, args)
  return jobs.run("gc", nil, args, function(job)
    local home, err = job:open()
    local found
    if home then
      found, err = gc(job.task, home, {
        delete = args.delete, grace = args.grace, concurrency = job.settings.values.concurrency,
        on_event = args.delete and job:watch(home:describe()).on_event or nil,
      })
    end
    if not found then
      return nil, err
    end
    job:unwatch()
    say(job, home, found)
    return args.json and output.write_json(as_json(home, found)) or not args.json and output.write(as_text(found))
  end)
end

return M
