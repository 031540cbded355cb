--- The registries that specs of spec/interop find on this machine, each with what is peculiar
-- to it. A spec runs on those that are here and says of the others what it would take.

local busted = require "busted"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local registry = require "spec.support.registry"
local work = require "spec.support.work"

local M = {}

--- What the environment says, trimmed; "" for nothing.
---@param name string
function M.setting(name)
  return (os.getenv(name) or ""):match("^%s*(.-)%s*$")
end

local function distribution()
  local wanted = M.setting "EPOCH_DISTRIBUTION_BINARY"
  local path = core.which(wanted ~= "" and wanted or "registry")
  local said = path and work.output(("'%s' --version 2>&1"):format(path)) or "nothing"
  if not said:find(" v3%.") then
    return nil, "SKIPPED: needs distribution v3: put its program `registry` into PATH or set "
      .. "EPOCH_DISTRIBUTION_BINARY"
  end
  return path
end

local function docker_registry()
  local why = registry.missing()
  return not why and core.which("docker-registry") or nil, why and "SKIPPED: " .. why
end

local function zot()
  local wanted = M.setting "EPOCH_ZOT_BINARY"
  local path = core.which(wanted ~= "" and wanted or "zot")
  return path, not path and "SKIPPED: needs zot: put it into PATH or set EPOCH_ZOT_BINARY" or nil
end

-- JSON is YAML, so the name of the file may stay.
local function zot_configuration(self)
  local address, port = self.host:match("^(.*):(%d+)$")
  return ([[{"storage":{"rootDirectory":"%s/data"},"http":{"address":"%s","port":"%s"},"log":{"level":"warn"}}]])
    :format(self.dir, address, port)
end

local function of_program(find, configuration)
  return function()
    local program, why = find()
    return program and function(options)
      local given = { program = program, configuration = configuration }
      for key, value in pairs(options or {}) do
        given[key] = value
      end
      return registry.start(given)
    end, why
  end
end

-- Our own, on a directory.
local function our_gateway()
  local why = gateway.missing()
  return not why and function() return gateway.start() end or nil, why and "SKIPPED: " .. why
end

-- One that runs already, and keeps what the specs push.
local function reference()
  local url, token = M.setting "EPOCH_REFERENCE_URL", M.setting "EPOCH_REFERENCE_TOKEN"
  if url == "" then
    return nil, "SKIPPED: needs the reference's server: set EPOCH_REFERENCE_URL and EPOCH_REFERENCE_TOKEN to one "
      .. "that runs"
  end
  return function()
    return { url = url, host = url:match("//([^/]+)"), user = "epoch", password = token, stop = function() end }
  end
end

---@class spec.Peculiar
---@field name string
---@field find fun(): function?, string? what starts it, or nil and why it is skipped
---@field takes_options boolean? it can be started with a password, tokens, certificates
---@field reference boolean? the reference's program pushes to it and nowhere else
---@field anonymous boolean? nobody needs credentials
---@field parts boolean it gives parts of blobs
---@field mounts boolean it links blobs of other repositories
---@field empty boolean it keeps blobs of no bytes
---@field deletes_tags boolean it deletes a tag and leaves the manifest
---@field wants_blobs boolean it refuses a manifest whose blobs it does not have
---@field knows_names boolean it knows which repositories it does not have
---@field sha512 boolean

---@type spec.Peculiar[]
M.list = {
  {
    name = "docker-registry", find = of_program(docker_registry), takes_options = true, anonymous = true,
    parts = true, mounts = true, empty = true, deletes_tags = false, wants_blobs = true, knows_names = true,
    sha512 = true,
  },
  {
    name = "distribution v3", find = of_program(distribution), takes_options = true, anonymous = true,
    parts = true, mounts = true, empty = true, deletes_tags = true, wants_blobs = true, knows_names = true,
    sha512 = true,
  },
  {
    name = "zot", find = of_program(zot, zot_configuration), anonymous = true,
    parts = true, mounts = true, empty = true, deletes_tags = true, wants_blobs = true, knows_names = true,
    sha512 = true,
  },
  {
    name = "our gateway", find = our_gateway, reference = true, anonymous = true,
    parts = true, mounts = true, empty = true, deletes_tags = true, wants_blobs = true, knows_names = true,
    sha512 = true,
  },
  {
    name = "the reference's server", find = reference, reference = true,
    parts = false, mounts = false, deletes_tags = true, wants_blobs = false, knows_names = false, sha512 = false,
    empty = false, -- some S3 servers refuse the way in which it sends none
  },
}

--- Calls `declare(one, start)` for each of them inside a describe of its name, or says there why it is
-- skipped.
---@param declare fun(one: spec.Peculiar, start: function)
---@param wanted (fun(one: spec.Peculiar): boolean)?
function M.each(declare, wanted)
  for _, one in ipairs(M.list) do
    if not wanted or wanted(one) then
      busted.describe(one.name, function()
        local start, why = one.find()
        if start then
          declare(one, start)
        else
          busted.pending(why)
        end
      end)
    end
  end
end

--- A name for a repository that no run had before.
---@param what string
function M.fresh(what)
  local urandom = assert(io.open("/dev/urandom", "rb"))
  local unique = core.digest(urandom:read(16)):sub(-12)
  urandom:close()
  return ("interop/%s/%s"):format(unique, what)
end

return M
