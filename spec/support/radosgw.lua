--- A real S3 store for one spec file: Ceph's gateway on a cluster of one, in memory, on free
-- ports of loopback.
--
--     local s = radosgw.start()
--     local bucket = s:bucket()       -- a new one
--     local store = s3.open(task, s:options { bucket = bucket })
--     … s:stop()
--
-- It ends with the process that started it.

local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"
local work = require "spec.support.work"

local M = {}

local TRIES = 3
local LIMIT = 60 -- seconds; on a machine with nothing else to do it takes 3
local OSD_PORTS = 60 -- the OSD takes eight of them or more

local ACCESS_KEY, SECRET_KEY = "SPECKEY0000000000000", "spec/secret+of=forty.characters.and.no.more"

local PROGRAMS = { "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "curl" }

--- What is missing for it to start, or false.
function M.missing()
  for _, name in ipairs(PROGRAMS) do
    if not core.which(name) and not core.which(name, "/usr/sbin:/usr/bin:/sbin:/bin") then
      return name .. " is not installed"
    end
  end
  return false
end

local Store = {}
Store.__index = Store

--- Options of epoch.objectstore.s3 for it, with others laid over.
function Store:options(more)
  local options = {
    endpoint = self.url, access_key = ACCESS_KEY, secret_key = SECRET_KEY, proxy = "",
  }
  for name, value in pairs(more) do
    options[name] = value
  end
  return options
end

--- Asks with curl, whose signatures are its own: the status, and what came.
---@param method string
---@param path string with a query that is coded and sorted
function Store:curl(method, path)
  local p = assert(io.popen(("curl -s -X %s --noproxy '*' -w '\\n%%{http_code}' --aws-sigv4 aws:amz:us-east-1:s3 "
    .. "--user '%s:%s' -H 'x-amz-content-sha256: %s' '%s%s'"):format(method, ACCESS_KEY, SECRET_KEY,
    core.digest(""):match("%x+$"), self.url, path)))
  local text = p:read("*a")
  p:close()
  local body, status = text:match("^(.*)\n(%d+)$")
  return tonumber(status), body
end

--- The name of a new bucket.
function Store:bucket()
  self.buckets = (self.buckets or 0) + 1
  local name = ("spec-%d"):format(self.buckets)
  local status, body = self:curl("PUT", "/" .. name)
  assert(status == 200, ("PUT /%s: %s %s"):format(name, status, body))
  return name
end

--- Frees what deleted and replaced objects took, which it would do some time later by itself.
function Store:collect()
  os.execute(("CEPH_CONF='%s/ceph.conf' radosgw-admin -n client.rgw --admin-socket= gc process --include-all "
    .. ">'%s/gc' 2>&1"):format(self.dir, self.dir))
end

--- What its programs have said.
function Store:log()
  return work.read_file(self.dir .. "/log") or ""
end

local function kill(self)
  self.process:kill("KILL")
  http.await(self.loop, self.process, "wait")
  self.process:close()
  os.execute("rm -rf " .. self.dir)
end

--- Ends it; may be called again.
function Store:stop()
  if self.process then
    kill(self)
    self.loop:close()
    self.process = nil
  end
end

local function launch(self)
  self.dir = os.tmpname()
  os.remove(self.dir)
  assert(core.mkdir(self.dir, tonumber("700", 8)))
  local ports = server.free_ports(3)
  self.url = ("http://127.0.0.1:%d"):format(ports[1])
  local command = ([[PATH=$PATH:/usr/sbin:/sbin
    exec sh spec/support/radosgw.sh "$0" %d %d %d %d "$1" "$2" >"$0/log" 2>&1]]):format(
    ports[1], ports[2], ports[3], ports[3] + OSD_PORTS)
  self.process = assert(self.loop:spawn {
    argv = { "/bin/sh", "-c", command, self.dir, ACCESS_KEY, SECRET_KEY }, grace = 0,
  })
  local deadline = core.now() + LIMIT
  while core.now() < deadline do
    if core.stat(self.dir .. "/ready") and self:curl("GET", "/") == 200 then
      return true
    elseif self.process:wait() then
      break
    end
    server.sleep(0.05)
    assert(self.loop:step())
  end
  return false
end

--- Starts one.
function M.start()
  local self = setmetatable({ loop = assert(core.loop { threads = 0 }) }, Store)
  local log
  for _ = 1, TRIES do
    if launch(self) then
      return self
    end
    log = self:log()
    kill(self)
  end
  self.loop:close()
  error("radosgw does not start:\n" .. log, 2)
end

return M
