--- What pushes and pulls are measured on: docker-registry on loopback, big files, exports made
-- of them, and the commands that move them, ours and those of curl.

local core = require "epoch.core"
local registry = require "spec.support.registry"
local report = require "bench.report"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local ENVELOPE = '{"version":1,"config":{"id":"ID","name":"vm"}}'

local Bed = {}
Bed.__index = Bed

local M = {}

--- Runs `use(bed)` with a registry of its own and two different files, `one` and `two`.
function M.with(loop, dir, use)
  local self = setmetatable({ loop = loop, dir = dir, registry = registry.start(), digests = {} }, Bed)
  local ok, err = pcall(function()
    for _, name in ipairs { "one", "two" } do
      report.time(loop, ("head -c %.0f /dev/urandom > '%s/%s'"):format(report.MIB * 2 ^ 20, dir, name))
      local flow = assert(work.flow(loop, { source = assert(core.file(dir .. "/" .. name)), hash = true }))
      self.digests[name] = flow.digest
    end
    use(self)
  end)
  self.registry:stop()
  if not ok then
    error(err, 0)
  end
end

--- An export of these files, which are not copied.
function Bed:export(name, files)
  local dir = ("%s/%s"):format(self.dir, name)
  local header = "%s/%d-header"
  assert(core.mkdir(dir))
  work.write_file(header:format(dir, 0), tar.file("snapshot.json", ENVELOPE))
  for i, file in ipairs(files) do
    work.write_file(header:format(dir, i), tar.header {
      name = ("disk%d.raw"):format(i), size = tar.octal(report.MIB * 2 ^ 20) })
    report.time(self.loop, ("ln -s ../%s '%s/%d-piece'"):format(file, dir, i))
  end
  work.write_file(("%s/%d-trailer"):format(dir, #files + 1), tar.trailer)
end

-- This program with nothing in its environment but what it has to have; what it took itself is
-- in what it prints.
function Bed:program(words, env)
  return ("env -i PATH=\"$PATH\" HOME='%s' LUA_INIT=@bench/watch.lua %s %s epoch.lua %s --progress none"):format(
    self.dir, env, report.LUA, words)
end

--- The command that pushes an export as NAME.
function Bed:push(export, name)
  return self:program(("push vm '%s/%s'"):format(self.registry.host, name),
    ("EPOCH_COCOON_BINARY=\"$PWD/bench/cocoon\" BENCH_EXPORT='%s/%s'"):format(self.dir, export))
end

--- The command that pulls NAME.
function Bed:pull(name)
  return self:program(("pull '%s/%s'"):format(self.registry.host, name),
    'EPOCH_COCOON_BINARY="$PWD/bench/cocoon"')
end

--- Begins the uploads that `put` finishes, and makes the registry forget what it has.
function Bed:prepare()
  report.time(self.loop, ("rm -rf '%s/data/docker' && sync"):format(self.registry.dir))
  for name in pairs(self.digests) do
    report.time(self.loop, ("curl -qsf --noproxy '*' -X POST -o /dev/null -w '%%header{location}' "
      .. "%s/v2/theirs/blobs/uploads/ > '%s/%s.place'"):format(self.registry.url, self.dir, name))
  end
end

--- The command with which curl sends a file into an upload that was begun.
function Bed:put(name)
  return ("curl -qsf --noproxy '*' -o /dev/null -T '%s/%s' \"$(cat '%s/%s.place')&digest=%s\""):format(
    self.dir, name, self.dir, name, self.digests[name])
end

--- The command with which curl fetches the blob of a file.
function Bed:get(name, file)
  return ("curl -qsf --noproxy '*' -o /dev/null '%s/v2/%s/blobs/%s'"):format(
    self.registry.url, name, self.digests[file])
end

--- The command with which openssl hashes a file.
function Bed:hash(name)
  return ("openssl dgst -sha256 '%s/%s'"):format(self.dir, name)
end

return M
