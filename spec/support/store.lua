--- What specs of homes do over and over: a task, a home in a new directory, small artifacts.

local core = require "epoch.core"
local task = require "epoch.task"
local work = require "spec.support.work"

local M = {}

--- Runs `use(task, dir)` in a new directory.
function M.with_task(use)
  work.in_directory(function(dir)
    local t = assert(task.new())
    local ok, err = pcall(use, t, dir)
    t:close()
    if not ok then
      error(err, 0)
    end
  end)
end

--- The bytes of what get or get_blob answered.
function M.bytes(t, source, ...)
  assert(source, (...))
  local sink = core.collect(64 * 1024 * 1024)
  assert(t:flow { source = source, sink = sink })
  local bytes = sink:bytes()
  sink:close()
  return bytes
end

--- Stores blobs and a manifest of them: its bytes and digest.
---@param home table of any kind
---@param name string
---@param given string tag, digest, or "by digest"
---@param layers string[] the blobs
---@param more string? JSON members, with a comma behind
function M.put_artifact(home, name, given, layers, more)
  local list = {}
  local config = "{}"
  local function put(bytes)
    assert(home:put_blob(name, core.digest(bytes), #bytes, function() return core.bytes(bytes) end))
  end
  put(config)
  for i, bytes in ipairs(layers) do
    put(bytes)
    list[i] = ('{"mediaType":"application/octet-stream","digest":"%s","size":%d}')
      :format(core.digest(bytes), #bytes)
  end
  local manifest = ([[{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",]]
    .. [[%s"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":2},]]
    .. [["layers":[%s]}]]):format(more or "", core.digest(config), table.concat(list, ","))
  local digest = assert(home:put_manifest(name, given == "by digest" and core.digest(manifest)
    or given, manifest, "application/vnd.oci.image.manifest.v1+json"))
  return manifest, digest
end

--- Every path below a directory, sorted, directories left out.
function M.files(dir)
  local p = assert(io.popen(("cd '%s' 2>&- && find . -type f | LC_ALL=C sort"):format(dir)))
  local list = {}
  for line in p:lines() do
    if not line:find("^%./%.locks/") then
      list[#list + 1] = line:sub(3)
    end
  end
  p:close()
  return list
end

return M
