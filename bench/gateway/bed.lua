--- What the gateway is measured beside: docker-registry, and nginx that serves files; each on
-- loopback, with the same blob and the same manifest. Uploads go to all of them with curl.

local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local registry = require "spec.support.registry"
local report = require "bench.report"
local server = require "spec.support.server"
local work = require "spec.support.work"

local MIB = 2 ^ 20
local WORKERS = 2
local NAME = "bench"

local Bed = { SIZE = report.MIB * MIB }
Bed.__index = Bed

local M = {}

local CURL = "curl -qsf --noproxy '*' -o /dev/null"

--- A file of random bytes: its path and digest.
function Bed:file(name, size)
  local path = self.dir .. "/" .. name
  report.time(self.loop, ("head -c %.0f /dev/urandom > '%s'"):format(size, path))
  local flow = assert(work.flow(self.loop, { source = assert(core.file(path)), hash = true }))
  return path, flow.digest
end

--- Begins an upload: where it goes on, ready for "digest=…".
function Bed:begin(url, name)
  local _, place = report.time(self.loop, ("%s -X POST -w '%%header{location}' '%s/v2/%s/blobs/uploads/'"):format(CURL,
    url, name or NAME))
  place = place:find("^/") and url .. place or place
  return place .. (place:find("?", 1, true) and "&" or "?")
end

--- The command that sends a file to where an upload was begun. `more` is for curl, too.
function Bed.put(_, place, path, digest, more)
  return ("%s %s -H Expect: -T '%s' '%sdigest=%s'"):format(CURL, more or "", path, place, digest)
end

--- The command that fetches a blob. `more` is for curl, too.
function Bed.get(_, url, digest, more)
  return ("%s %s '%s/v2/%s/blobs/%s'"):format(CURL, more or "", url, NAME, digest)
end

--- The command that fetches the same bytes as a file.
function Bed:get_file()
  return ("%s '%s/blob'"):format(CURL, self.static.url)
end

--- Makes a registry forget a blob: the next upload of it is one.
function Bed:forget(digest)
  local hex = digest:match("%x+$")
  report.time(self.loop, ("rm -rf '%s/blobs/sha256/%s' '%s/data/docker/registry/v2/blobs/sha256/%s/%s' "
    .. "'%s/data/docker/registry/v2/repositories/%s/_layers/sha256/%s'; sync"):format(self.gateway.root, hex,
    self.registry.dir, hex:sub(1, 2), hex, self.registry.dir, NAME, hex))
end

local MANIFEST = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":'
  .. '{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%.0f},"layers":[]}'

-- The same manifest in both registries, with a config of its own.
local function put_manifest(self)
  local path, digest = self:file("config", 1000)
  work.write_file(self.dir .. "/manifest", MANIFEST:format(digest, 1000))
  for _, one in ipairs { self.registry, self.gateway } do
    report.time(self.loop, self:put(self:begin(one.url), path, digest))
    report.time(self.loop, ("%s -T '%s/manifest' -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' "
      .. "'%s/v2/%s/manifests/v1'"):format(CURL, self.dir, one.url, NAME))
  end
end

--- The load generator against a server: what it printed, as numbers by name.
function Bed:load(url, method, path, connections, seconds, rate)
  local _, printed = report.time(self.loop, ("build/bench/load %s %s '%s' %d %g %g"):format(url:match("%d+$"), method,
    path, connections, seconds, rate or 0))
  local found = {}
  for name, value in printed:gmatch("(%w+) ([%d.]+)") do
    found[name] = tonumber(value)
  end
  return found
end

--- The path of the manifest, of both registries.
function Bed.manifest_path()
  return ("/v2/%s/manifests/v1"):format(NAME)
end

--- Runs `use(bed)` with all of it: `gateway`, `registry`, `static`, and the blob `path`, `digest`.
function M.with(loop, dir, use)
  local self = setmetatable({ loop = loop, dir = dir }, Bed)
  local ok, err = pcall(function()
    self.path, self.digest = self:file("blob", Bed.SIZE)
    self.gateway = gateway.start { workers = WORKERS }
    self.registry = registry.start()
    self.static = server.start { workers = WORKERS, http = "tcp_nopush on; sendfile_max_chunk 2m;" }
    report.time(loop, ("cp '%s' '%s/www/blob'"):format(self.path, self.static.dir))
    put_manifest(self)
    use(self)
  end)
  for _, one in ipairs { "gateway", "registry", "static" } do
    if self[one] then
      self[one]:stop()
    end
  end
  if not ok then
    error(err, 0)
  end
end

return M
