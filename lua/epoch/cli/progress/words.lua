--- Sizes, speeds and times in words, and the sentences that plain lines and bars share.
local manifest = require "epoch.manifest"
local text = require "epoch.text"

local M = {}

local PAST = {
  push = "pushed", pull = "pulled", copy = "copied", get = "got", migrate = "migrated", fsck = "checked",
}
local THING = { fsck = "blob" } -- others have layers
local PHASE = { send = "sent" } -- others are their own past

local SHORT = 0.1 -- seconds: what took less says nothing about speed
local LONG = 100 * 3600 -- seconds: who waits longer does not count them

local TITLE_MAX = 255

--- A layer's name, or what there is instead.
---@param layer { title: string?, digest: string? }
---@return string
function M.title(layer)
  return text.printable(layer.title or layer.digest or "a layer", TITLE_MAX)
end

--- What has been done with bytes in a phase: "read", "sent".
---@param phase string?
---@return string?
function M.past(phase)
  return PHASE[phase or ""] or phase
end

--- "310.0M/s"
---@param per_second number
---@return string
function M.speed(per_second)
  return manifest.human_size(per_second) .. "/s"
end

--- "0:07", "1:02:03"
---@param seconds number
---@return string
function M.clock(seconds)
  local whole = math.ceil(seconds)
  local minutes, hours = math.floor(whole / 60), math.floor(whole / 3600)
  if hours > 0 then
    return ("%.0f:%02.0f:%02.0f"):format(hours, minutes % 60, whole % 60)
  end
  return ("%.0f:%02.0f"):format(minutes, whole % 60)
end

--- "ETA 0:07", or nil when that cannot be told.
---@param left integer bytes
---@param per_second number?
---@return string?
function M.eta(left, per_second)
  if not per_second or left <= 0 or per_second * LONG < left then
    return nil
  end
  return "ETA " .. M.clock(left / per_second)
end

--- How much of it is done, in whole percent, never more than 100. What is empty is done.
---@param bytes integer
---@param total integer
---@return integer
function M.percent(bytes, total)
  return total <= 0 and 100 or math.min(math.floor(bytes / total * 100), 100)
end

-- What is true of these, with commas.
local function list(...)
  local words = {}
  for i = 1, select("#", ...) do
    words[#words + 1] = (select(i, ...)) or nil
  end
  return table.concat(words, ", ")
end

--- "disk.raw: 45% of 3.0G, 310.0M/s, ETA 0:07"
---@param layer epoch.cli.progress.Layer
---@param now number
---@return string
function M.under_way(layer, now)
  local speed = layer.rate:per_second(now)
  local done = manifest.human_size(layer.bytes)
  if layer.total then
    done = ("%d%% of %s"):format(M.percent(layer.bytes, layer.total), manifest.human_size(layer.total))
  end
  local phase = layer.phase and M.past(layer.phase) .. " " or ""
  return ("%s: %s"):format(M.title(layer), list(phase .. done, speed and M.speed(speed),
    layer.total and M.eta(layer.total - layer.bytes, speed)))
end

--- "disk.raw: 3.0G, 310.0M/s". `transferred` and `note` as in the events.
---@param layer epoch.cli.progress.Layer
---@param now number
---@return string
function M.done(layer, now)
  local size = manifest.human_size(layer.bytes)
  if layer.transferred == false then
    return ("%s: %s, %s"):format(M.title(layer), size, layer.note or "is there already")
  end
  local took = now - layer.began
  return ("%s: %s"):format(M.title(layer), list(size .. (layer.transferred and " sent" or ""),
    took >= SHORT and M.speed(layer.bytes / took)))
end

--- "pull demo:v1"
---@param op string
---@param subject string?
---@return string
function M.label(op, subject)
  return op .. (subject and " " .. text.printable(subject, TITLE_MAX) or "")
end

--- "pushed demo:v1 sha256:…, 3 layers, 1.2G, 300.0M sent in 4.1 s"
---@param done { op: string, subject: string?, digest: string?, tally: epoch.cli.progress.Tally, seconds: number }
---@return string
function M.summary(done)
  local tally, seconds = done.tally, done.seconds
  local layers = tally.finished > 0
    and ("%d %s%s"):format(tally.finished, THING[done.op] or "layer", tally.finished == 1 and "" or "s")
  return list(
    M.label(PAST[done.op] or done.op, done.subject)
      .. (done.digest and " " .. text.printable(done.digest, TITLE_MAX) or ""),
    layers, layers and manifest.human_size(tally.size),
    tally.sent and manifest.human_size(tally.sent) .. " sent"
  ) .. " in " .. (seconds < 60 and ("%.1f s"):format(seconds) or M.clock(seconds))
end

return M
