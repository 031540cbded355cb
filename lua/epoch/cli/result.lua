--- What push, pull and copy answer: as the contract of the command line has it in JSON.
local json = require "epoch.json"
local output = require "epoch.cli.output"

local M = {}

---@class epoch.cli.Result
---@field name string
---@field tag string?
---@field digest string
---@field kind epoch.kind
---@field size integer
---@field layers { title: string?, media_type: string, digest: string, size: integer, transferred: boolean }[]
---@field transferred integer bytes that were sent or fetched
---@field seconds number

local function or_null(value)
  if value == nil then
    return json.null
  end
  return value
end

-- The bytes of those layers that were moved.
local function transferred(layers)
  local sum = 0
  for _, layer in ipairs(layers) do
    sum = sum + (layer.transferred and layer.size or 0)
  end
  return sum
end

--- As a value for epoch.json.
---@param result epoch.cli.Result
function M.as_json(result)
  local layers = {}
  for i, layer in ipairs(result.layers) do
    layers[i] = json.object {
      { "title", or_null(layer.title) },
      { "mediaType", layer.media_type },
      { "digest", layer.digest },
      { "size", layer.size },
      { "transferred", layer.transferred or false },
    }
  end
  return json.object {
    { "name", result.name },
    { "tag", or_null(result.tag) },
    { "digest", result.digest },
    { "kind", result.kind },
    { "size", result.size },
    { "layers", json.array(layers) },
    { "transferred", result.transferred },
    { "seconds", math.floor(result.seconds * 1000 + 0.5) / 1000 },
  }
end

--- Completes a result, ends what is shown, tells `on_done`, and writes it to stdout where JSON
--- was asked for. When `on_done` fails, what was done stays done.
---@param job epoch.cli.Job
---@param result table
---@param on_done fun(result: epoch.cli.Result)?
---@return epoch.cli.Result?
---@return epoch.Error?
function M.finish(job, result, on_done)
  result.transferred = transferred(result.layers)
  result.seconds = job:seconds()
  job:unwatch(result)
  if on_done then
    local _, err = on_done(result)
    if err then
      output.say(("epoch: %s is done, what was to be told of it failed: %s"):format(job.command, tostring(err)))
    end
  end
  if job.args.json then
    local ok, err = output.write_json(M.as_json(result))
    return ok and result, err
  end
  return result
end

return M
