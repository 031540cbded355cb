--- epoch pull REF
local cloudimg = require "epoch.cloudimg"
local jobs = require "epoch.cli.job"
local manifest = require "epoch.manifest"
local ports = require "epoch.ports"
local results = require "epoch.cli.result"
local snapshot = require "epoch.snapshot"

local M = {}

local PULLERS = { snapshot = snapshot.puller, ["cloud-image"] = cloudimg.puller }

-- What the pull has fetched of an artifact.
local function fetched(m, kind)
  local layers = {}
  for i, layer in ipairs(m.layers) do
    layers[i] = {
      title = layer.title, media_type = layer.media_type, digest = layer.digest, size = layer.size,
      transferred = kind == "snapshot" or manifest.is_disk(m, layer),
    }
  end
  return layers
end

-- A stream has no base images, which generation 1 stored with a snapshot.
local function mention_bases(m, say)
  local titles = {}
  for i, layer in ipairs(m.base_images or {}) do
    titles[i] = layer.title
  end
  if #titles > 0 then
    say(("cocoon needs its base images, too, and a stream has none: %s; epoch migrate makes cloud images of them")
      :format(table.concat(titles, ", ")))
  end
end

local function pull(job, args)
  local ref, err = job:reference(args.ref)
  local name, cocoon, home
  if ref then
    name, err = job:local_name(args.local_name or ref.name)
  end
  if name then
    cocoon, err = job:cocoon()
  end
  if cocoon then
    home, err = job:open(ref, true)
  end
  if not home then
    return nil, err
  end
  local shown, downloader = job:watch(args.ref), ports.downloader(home)
  local m
  m, err = ports.fetch_manifest(downloader, ref.name, ref.digest or ref.tag, shown.on_line)
  if not m then
    return nil, err
  end
  local kind = manifest.classify(m)
  if not PULLERS[kind] then
    return nil, manifest.wrong_kind(m, args.ref)
  elseif kind ~= "snapshot" and args.description then
    shown.on_line("cocoon keeps no description of images; --description is left out")
  end
  mention_bases(m, shown.on_line)
  local ok
  ok, err = PULLERS[kind] { downloader = downloader, cocoon = cocoon, task = job.task }:pull {
    name = ref.name, tag = ref.tag, digest = ref.digest, local_name = name, manifest = m,
    description = kind == "snapshot" and args.description or nil,
    spool_dir = kind == "snapshot" and job.settings.values.spool_dir or nil,
    on_event = shown.on_event,
  }
  return ok and {
    name = ref.name, tag = ref.tag, digest = m.digest, kind = kind, size = manifest.total_size(m),
    layers = fetched(m, kind),
  }, err
end

function M.run(_, args)
  return jobs.run("pull", args.ref, args, function(job)
    job:save_memory()
    local pulled, err = pull(job, args)
    if not pulled then
      return nil, err
    end
    return results.finish(job, pulled)
  end)
end

return M
