--- The store that is served: what threads need to open it, and, for a directory, itself: what is
-- small is read there and then.
local directory = require "epoch.objectstore.directory"
local registry = require "epoch.registry"
local tasks = require "epoch.task"

local M = {}

-- How patient a thread is with a bucket: a store that stalls must not keep all of them.
local PATIENCE = { connect_timeout = 5, header_timeout = 15, low_speed_limit = 1024, low_speed_time = 15, retries = 2 }

local spec, root, here

local function impatient(options)
  local given = {}
  for _, from in ipairs { options or {}, PATIENCE } do
    for name, value in pairs(from) do
      given[name] = value
    end
  end
  return given
end

--- Says what is served: once, before the workers are.
---@param name string a home: file:///DIR or s3://BUCKET[/PREFIX]
---@param options table? of epoch.home.open
function M.use(name, options)
  spec = { name = name, options = name:find("^s3:") and impatient(options) or options }
  root = name:match("^file://(/.*)$")
  root = root and root:gsub("/+$", "")
  here = nil
end

--- What a thread opens.
---@return { name: string, options: table? }
function M.spec()
  return spec
end

-- The rest of a place: a prefix, a key.
local REST = "^[%w._/-]*"

--- A message for who is not to know where the store is.
---@param message string
---@return string
function M.conceal(message)
  local place = spec.name:gsub("/+$", "")
  local from, to = message:find(place, 1, true)
  while from do
    to = select(2, message:find(REST, to + 1))
    message = message:sub(1, from - 1) .. "this registry" .. message:sub(to + 1)
    from, to = message:find(place, from, true)
  end
  return message
end

--- The directory that is served, without a slash at its end; nil for a bucket.
---@return string?
function M.root()
  return root
end

--- The registry in that directory, for this worker: only for what is small, as it waits.
---@return table? home nil for a bucket
function M.here()
  if root and not here then
    local task = assert(tasks.new { threads = 0 })
    here = registry.new(task, directory.open(task, root))
  end
  return here
end

return M
