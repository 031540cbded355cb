--- epoch get REF
local cloudimg = require "epoch.cloudimg"
local core = require "epoch.core"
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local manifest = require "epoch.manifest"
local ports = require "epoch.ports"
local snapshot = require "epoch.snapshot"

local M = {}

local STDOUT = 1

-- Where the bytes go: a file that appears when it is whole, or stdout.
local function open_sink(args)
  local path = args.output
  if path == "/dev/stdout" then -- no file to replace
    path = "-"
  end
  if not path and core.terminal(STDOUT) then
    return errors.fail("usage", "this would write a disk to the terminal; give -o FILE (or -o - if that is meant)")
  end
  local sink, message, code
  if path and path ~= "-" then
    sink, message, code = core.create(path)
  else
    sink, message, code = core.fd_sink(STDOUT)
  end
  if not sink then
    return errors.fail(code, message .. (code == "exists" and "; for what is no file, -o - and the shell's >" or ""))
  end
  return sink
end

-- A disk: the sink's end is said here.
local function write_disk(job, m, downloader, ref, given)
  local done, err = cloudimg.stream_parsed(job.task, m, ports.blob_reader(downloader, ref.name), given)
  if done then
    done, err = job.task:await(given.writer, "finish")
  end
  return done, err
end

-- An archive. One that failed ends in what no reader takes for its end.
local function write_archive(job, m, downloader, ref, given)
  given.name, given.spool_dir = ref.name, job.settings.values.spool_dir
  local done, err, poison = snapshot.stream_parsed(job.task, m, downloader, given)
  if not done and poison and poison ~= "" then
    job.task:flow { source = core.bytes(poison), sink = given.writer, more = true }
  end
  return done, err
end

local function get(job, args)
  local home, ref = job:find(args.ref)
  if not home then
    return nil, ref
  end
  local shown, downloader = job:watch(args.ref), ports.downloader(home)
  local m, err = ports.fetch_manifest(downloader, ref.name, ref.digest or ref.tag, shown.on_line)
  if not m then
    return nil, err
  end
  local wanted, kind = args.tar and "snapshot" or "cloud-image", manifest.classify(m)
  if kind ~= wanted then
    local wrong = manifest.wrong_kind(m, args.ref, wanted)
    local hint = kind == "snapshot" and "; only cloud images can be streamed via get; --tar gives "
      .. "its archive, pull brings it into cocoon"
      or kind == "cloud-image" and "; its disk comes without --tar" or ""
    return errors.fail(wrong.kind, wrong.message .. hint)
  end
  local sink
  sink, err = open_sink(args)
  if not sink then
    return nil, err
  end
  local write, done = args.tar and write_archive or write_disk
  done, err = write(job, m, downloader, ref, {
    writer = sink, name = args.ref, on_event = shown.on_event,
  })
  sink:close()
  return done, err
end

function M.run(_, args)
  return jobs.run("get", args.ref, args, function(job)
    return get(job, args)
  end)
end

return M
