--- Snapshots: from cocoon into a registry, and back.
--
--     local result = assert(snapshot.pusher { uploader = port, cocoon = runner }:push {
--       name = "vms/demo", tag = "v1" })
--     assert(snapshot.puller { downloader = port, cocoon = runner }:pull { name = "vms/demo" })
--
-- Uploader, downloader and runner are ports (epoch.ports, epoch.cocoon): what a script hands
-- in is as good as what this project has.
local calendar = require "epoch.calendar"
local cocoon = require "epoch.cocoon"
local core = require "epoch.core"
local manifest = require "epoch.manifest"
local options = require "epoch.options"
local ports = require "epoch.ports"
local push = require "epoch.snapshot.push"
local stream = require "epoch.snapshot.stream"

local M = {}

M.cocoon_binary_env = cocoon.cocoon_binary_env
M.resolve_cocoon_binary = cocoon.resolve_cocoon_binary
M.exec_cocoon = cocoon.exec_cocoon
M.fetch_snapshot_config = stream.fetch_snapshot_config

local Pusher = { __name = "epoch.pusher" }
Pusher.__index = Pusher

--- Pushes snapshots.
---@param given { uploader: table, cocoon: table, task: epoch.task? }
function M.pusher(given)
  local opts = options.check("snapshot.pusher", {
    uploader = { type = "table", required = true }, cocoon = { type = "table", required = true },
    task = { type = "table" },
  }, given)
  return setmetatable(opts, Pusher)
end

-- Seconds, or RFC 3339 as it is to be written.
local function is_time(time)
  return type(time) == "number" or calendar.is_strict(time), "must be seconds since 1970, or a time such as "
    .. "2026-11-21T05:16:18.5Z"
end

local PUSH = {
  name = { type = "string", required = true },
  tag = { type = "string", default = "latest" },
  snapshot = { type = "string" }, -- its name in cocoon; the repository's when not given
  base_image = { type = "string" },
  source = { type = "string" },
  revision = { type = "string" },
  annotations = { map = { type = "string" } },
  created_at = { type = { "integer", "string" }, min = 0, check = is_time }, -- seconds; SOURCE_DATE_EPOCH, or now
  concurrency = { type = "integer", min = 1, max = 64, default = 3 },
  spool_dir = { type = "string" },
  progress = { type = "function" }, -- (line)
  on_event = { type = "function" }, -- (epoch.event)
}

---@class epoch.push.result
---@field name string
---@field tag string
---@field manifest_digest string
---@field manifest_bytes string
---@field total_size integer
---@field layer_count integer
---@field layers table[] {title=, media_type=, digest=, size=, transferred=}

--- Pushes one snapshot.
---@param given table
---@return epoch.push.result?
---@return epoch.Error?
function Pusher:push(given)
  local opts = options.check("push", PUSH, given)
  opts.snapshot = opts.snapshot or opts.name
  local ok, err = ports.check_names(opts.name, opts.tag, nil, opts.snapshot)
  if not ok then
    return nil, err
  end
  return ports.with_task(self.task, function(task)
    return push.push(task, self.uploader, self.cocoon, opts)
  end)
end

local Puller = { __name = "epoch.puller" }
Puller.__index = Puller

--- Pulls snapshots.
---@param given { downloader: table, cocoon: table, task: epoch.task? }
function M.puller(given)
  local opts = options.check("snapshot.puller", {
    downloader = { type = "table", required = true }, cocoon = { type = "table", required = true },
    task = { type = "table" },
  }, given)
  return setmetatable(opts, Puller)
end

local PULL = {
  name = { type = "string", required = true },
  tag = { type = "string", default = "latest" },
  digest = { type = "string" }, -- wins over the tag
  local_name = { type = "string" },
  description = { type = "string" },
  manifest = { type = "table" }, -- one that has been parsed
  spool_dir = { type = "string" }, -- for files of generation 1, whose holes have to be found
  progress = { type = "function" },
  on_event = { type = "function" },
}

-- For a runner that cannot fail: its sink ends in what nobody takes for a good archive.
local function spoil(task, sink, poison, wait)
  if poison and poison ~= "" then
    task:flow { source = core.bytes(poison), sink = sink, more = true }
  end
  sink:close()
  return select(2, wait())
end

-- A plan into cocoon: committed whole, or not at all.
local function import(task, runner, plan, opts)
  local sink, wait, fail = runner:import(task, {
    name = opts.local_name or opts.name, description = opts.description,
  })
  if not sink then
    return nil, wait
  end
  local ok, err, poison = stream.write(task, plan, sink, opts)
  if ok then
    ok, err = wait()
    if ok or not fail or err.kind ~= "cancelled" then
      return ok, err
    end
  end
  -- the child has gone by itself: what it says is the reason
  local gone = err.kind == "process"
  local child
  if fail then
    child = fail(poison, gone)
  else
    child = spoil(task, sink, poison, wait)
  end
  return nil, cocoon.both(err, child, gone)
end

--- Pulls one snapshot into cocoon.
---@param given table
---@return true?
---@return epoch.Error?
function Puller:pull(given)
  local opts = options.check("pull", PULL, given)
  local ok, err = ports.check_names(opts.name, opts.tag, opts.digest, opts.local_name)
  if not ok then
    return nil, err
  end
  return ports.with_task(self.task, function(task)
    local m, plan
    m, err = ports.manifest_of(self.downloader, opts)
    if m then
      plan, err = stream.plan(task, m, self.downloader, opts)
    end
    if not plan then
      return nil, err
    end
    return import(task, self.cocoon, plan, opts)
  end)
end

local STREAM = {
  name = { type = "string", required = true },
  tag = { type = "string" }, -- for messages
  local_name = { type = "string" },
  writer = { type = "userdata", required = true },
  media_type = { type = "string" }, -- what the manifest came as
  spool_dir = { type = "string" },
  progress = { type = "function" },
  on_event = { type = "function" },
}

local function run(task, m, downloader, opts)
  local ok, err = ports.check_names(opts.name, opts.tag, nil, opts.local_name)
  if not ok then
    return nil, err
  end
  local plan
  plan, err = stream.plan(task, m, downloader, opts)
  if not plan then
    return nil, err
  end
  return stream.write(task, plan, opts.writer, opts)
end

--- Writes the stream that cocoon imports into `options.writer`, a sink of the core, and
-- finishes it. When it fails after its first byte, a third answer are the bytes to send before
-- the sink is closed, so that nobody takes the end for a good one.
---@param task epoch.task
---@param raw string the manifest
---@param downloader table
---@param given { name: string, local_name: string?, writer: userdata, progress: function? }
---@return true?
---@return epoch.Error?
---@return string? poison
function M.stream(task, raw, downloader, given)
  local opts = options.check("snapshot.stream", STREAM, given)
  local m, err = manifest.parse(raw, opts.media_type)
  if not m then
    return nil, err
  end
  return run(task, m, downloader, opts)
end

--- The same for a manifest that has been parsed.
function M.stream_parsed(task, m, downloader, given)
  return run(task, m, downloader, options.check("snapshot.stream_parsed", STREAM, given))
end

return M
