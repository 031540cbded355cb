--- What the gateway has done, counted: GET /metrics, as Prometheus reads it.
--
-- A worker counts in its own tables, which costs a request next to nothing, and adds them once a
-- second to what all workers share. Names of repositories are no labels: there may be too many.
local reply = require "epoch.gateway.reply"
local threads = require "epoch.gateway.threads"
local version = require "epoch.version"
local ngx = require "ngx"

local M = {}

local EVERY = 1 -- seconds between two additions
local FORGOTTEN = 5 -- seconds after which a worker that says nothing is none
local BOUNDS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300 }
local PREFIX = "metrics:"

local ACTION = "none" -- what was no request of this registry
local UPLOADS = "^upload_"

local counts, in_flight, uploads = {}, 0, 0

local function add(key, n)
  counts[key] = (counts[key] or 0) + n
end

-- The key of a series: metric, labels as they are written.
local function key(metric, labels)
  return metric .. (labels and "{" .. labels .. "}" or "")
end

-- Keys of each action, made once.
local made = {}

local function keys_of(action)
  local keys = made[action]
  if not keys then
    local label = ('action="%s"'):format(action)
    keys = { status = {}, bucket = {}, label = label, sum = key("epoch_request_duration_seconds_sum", label) }
    for i, bound in ipairs(BOUNDS) do
      keys.bucket[i] = key("epoch_request_duration_seconds_bucket", ('%s,le="%g"'):format(label, bound))
    end
    keys.bucket[#BOUNDS + 1] = key("epoch_request_duration_seconds_bucket", label .. ',le="+Inf"')
    made[action] = keys
  end
  return keys
end

local function key_of_status(keys, status)
  local found = keys.status[status]
  if not found then
    found = key("epoch_requests_total", ('%s,status="%d"'):format(keys.label, status))
    keys.status[status] = found
  end
  return found
end

--- A request has come.
---@param action string
function M.begin(action)
  in_flight = in_flight + 1
  if action:find(UPLOADS) then
    uploads = uploads + 1
  end
end

local function bucket_of(seconds)
  for i, bound in ipairs(BOUNDS) do
    if seconds <= bound then
      return i
    end
  end
  return #BOUNDS + 1
end

--- A request has been answered. `action` "": it was none of this registry, and had not begun.
---@param action string
---@param status integer
---@param seconds number
---@param received number
---@param sent number
function M.finish(action, status, seconds, received, sent)
  if action == "" then
    action = ACTION
  else
    in_flight = in_flight - 1
    if action:find(UPLOADS) then
      uploads = uploads - 1
    end
  end
  local keys = keys_of(action)
  add(key_of_status(keys, status), 1)
  add(keys.bucket[bucket_of(seconds)], 1)
  add(keys.sum, seconds)
  add("epoch_request_bytes_total", received)
  add("epoch_response_bytes_total", sent)
end

--- Something has happened that operators count.
---@param event string
---@param reason string?
function M.event(event, reason)
  add(key("epoch_events_total", ('event="%s"%s'):format(event, reason and (',reason="%s"'):format(reason) or "")), 1)
end

-- Adds what this worker has counted to what all have, and says how much it is at.
local function share()
  local dict = ngx.shared.epoch
  for name, n in pairs(counts) do
    dict:incr(PREFIX .. name, n, 0)
    counts[name] = nil
  end
  local id = ngx.worker.id() or 0
  local function gauge(name, value)
    dict:set(PREFIX .. name .. ("#%d"):format(id), value, FORGOTTEN)
  end
  gauge("epoch_requests_in_flight", in_flight)
  gauge("epoch_uploads_in_flight", uploads)
  for pool, load in pairs(threads.load()) do
    gauge(key("epoch_thread_calls", ('pool="%s",state="busy"'):format(pool)), load.busy)
    gauge(key("epoch_thread_calls", ('pool="%s",state="waiting"'):format(pool)), load.waiting)
  end
end

--- For each worker, at its start.
function M.start()
  share()
  local ok, why = ngx.timer.every(EVERY, share)
  if not ok then
    ngx.log(ngx.ERR, "metrics are not shared: ", why)
  end
end

local KINDS = {
  { "epoch_requests_total", "counter", "Requests by action and status." },
  { "epoch_request_duration_seconds", "histogram", "Seconds until a request was answered." },
  { "epoch_request_bytes_total", "counter", "Bytes that came with requests." },
  { "epoch_response_bytes_total", "counter", "Bytes that were sent." },
  { "epoch_events_total", "counter", "Writes, and requests that were refused." },
  { "epoch_requests_in_flight", "gauge", "Requests that are being answered." },
  { "epoch_uploads_in_flight", "gauge", "Of these, those that bring bytes of blobs." },
  { "epoch_thread_calls", "gauge", "Calls of worker threads, under way and waiting for their turn." },
}

-- All series of all workers, by metric.
local function collect()
  local dict, series = ngx.shared.epoch, {}
  for _, name in ipairs(dict:get_keys(0)) do
    if name:sub(1, #PREFIX) == PREFIX then
      local full = name:sub(#PREFIX + 1):gsub("#%d+$", "") -- the workers' own are added up
      local metric = full:match("^[%w_]+")
      series[metric] = series[metric] or {}
      series[metric][full] = (series[metric][full] or 0) + (dict:get(name) or 0)
    end
  end
  return series
end

local function sorted(set)
  local list = {}
  for name in pairs(set or {}) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

local function line(name, value)
  return ("%s %s\n"):format(name, value % 1 == 0 and ("%.0f"):format(value) or ("%.6f"):format(value))
end

-- Buckets hold all that took no longer; ours hold what the smaller ones do not.
local function histogram(out, series, metric)
  local buckets, sums = series[metric .. "_bucket"] or {}, series[metric .. "_sum"] or {}
  for _, sum in ipairs(sorted(sums)) do
    local label, total = sum:match("{(.*)}$"), 0
    for i = 1, #BOUNDS + 1 do
      local name = keys_of(label:match('"(.*)"')).bucket[i]
      total = total + (buckets[name] or 0)
      out[#out + 1] = line(name, total)
    end
    out[#out + 1] = line(sum, sums[sum])
    out[#out + 1] = line(key(metric .. "_count", label), total)
  end
end

--- All of it, as text.
---@return string
function M.text()
  share()
  local series = collect()
  local out = {
    "# HELP epoch_build_info Which version answers.\n# TYPE epoch_build_info gauge\n",
    ('epoch_build_info{version="%s"} 1\n'):format(version),
  }
  for _, kind in ipairs(KINDS) do
    local metric = kind[1]
    out[#out + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(metric, kind[3], metric, kind[2])
    if kind[2] == "histogram" then
      histogram(out, series, metric)
    end
    for _, name in ipairs(sorted(series[metric])) do
      out[#out + 1] = line(name, series[metric][name])
    end
  end
  return table.concat(out)
end

--- The handler.
function M.metrics()
  return reply.bytes(200, M.text(), "text/plain; version=0.0.4")
end

return M
