--- What a snapshot's manifest is annotated with: what the caller says of it, and when it was made.
local clock = require "epoch.snapshot.clock"
local core = require "epoch.core"
local errors = require "epoch.errors"
local manifest = require "epoch.manifest"
local media = require "epoch.media"

local M = {}

--- The annotations for the options of a push; names of their own go before what `annotations` has.
---@param opts { annotations: table?, base_image: string?, source: string?, revision: string? }
---@param created string
---@return table<string, string>
function M.of(opts, created)
  local out = { [media.CREATED] = created }
  for key, value in pairs(opts.annotations or {}) do
    out[key] = value
  end
  for key, value in pairs { [media.BASE_IMAGE] = opts.base_image or "", [media.SOURCE] = opts.source
                            or "", [media.REVISION] = opts.revision or "" } do
    if value ~= "" then
      out[key] = value
    end
  end
  return out
end

--- What no manifest can hold, even one without layers, is told before anything is moved.
---@param opts table
---@param now integer|string
---@return true?
---@return epoch.Error?
function M.check(opts, now)
  local ok, err = manifest.build {
    config = { media_type = media.SNAPSHOT_CONFIG, size = 0, digest = core.digest "" }, layers = {},
    annotations = M.of(opts, clock.format(now)),
  }
  if not ok then
    return errors.fail("usage", "annotations: " .. err.message)
  end
  return true
end

return M
