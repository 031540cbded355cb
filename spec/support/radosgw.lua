--- A real S3 store for one spec file: Ceph's gateway on a cluster of one, in memory, on free
-- ports of loopback.
--
--     local s = radosgw.start()
--     local bucket = s:bucket()       -- a new one
--     local store = s3.open(task, s:options { bucket = bucket })
--     … s:stop()
--
-- Or on a larger one, whose daemons ("mon.0", "osd.0", "client.rgw.0", …) can be killed:
--
--     local s = radosgw.start { monitors = 3, osds = 3, gateways = 2, store = "bluestore" }
--     s:kill("osd.1")
--     s:restart("osd.1")
--
-- It ends with the process that started it.

local children = require "spec.support.children"
local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"
local work = require "spec.support.work"

local M = {}

local TRIES = 3
local LIMIT = 120 -- seconds; on a machine with nothing else to do it takes 3, with bluestore 20
local OSD_PORTS = 60 -- each OSD takes eight of them or more

local ACCESS_KEY, SECRET_KEY = "SPECKEY0000000000000", "spec/secret+of=forty.characters.and.no.more"

local ONE = { monitors = 1, osds = 1, gateways = 1, store = "memstore" }

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
---@param url string? of another gateway than the first
function Store:curl(method, path, url)
  local p = assert(io.popen(("curl -s -X %s --noproxy '*' -w '\\n%%{http_code}' --aws-sigv4 aws:amz:us-east-1:s3 "
    .. "--user '%s:%s' -H 'x-amz-content-sha256: %s' '%s%s'"):format(method, ACCESS_KEY, SECRET_KEY,
    core.digest(""):match("%x+$"), url or self.url, path)))
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
  os.execute(("CEPH_CONF='%s/ceph.conf' radosgw-admin -n client.rgw.0 --admin-socket= gc process --include-all "
    .. ">'%s/gc' 2>&1"):format(self.dir, self.dir))
end

--- The process id of a daemon that runs, or nil.
---@param name string
---@return integer?
function Store:pid(name)
  return tonumber(((work.read_file(("%s/run/%s.id"):format(self.dir, name)) or ""):match("%d+")))
end

--- Kills a daemon with SIGKILL.
function Store:kill(name)
  os.execute(("kill -9 %d"):format(assert(self:pid(name), name .. " does not run")))
  assert(children.eventually(function() return not self:pid(name) end, 10))
end

--- Starts a daemon that was killed.
function Store:restart(name)
  work.write_file(("%s/run/%s.again"):format(self.dir, name), "")
  assert(children.eventually(function() return self:pid(name) end, 10))
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

--- Do all gateways answer?
function Store:answers()
  for _, url in ipairs(self.urls) do
    if self:curl("GET", "/", url) ~= 200 then
      return false
    end
  end
  return true
end

local function launch(self)
  self.dir = os.tmpname()
  os.remove(self.dir)
  assert(core.mkdir(self.dir, tonumber("700", 8)))
  local shape = self.shape
  local ports = server.free_ports(shape.monitors + shape.gateways + 1)
  self.urls = {}
  for i = 1, shape.gateways do
    self.urls[i] = ("http://127.0.0.1:%d"):format(ports[i])
  end
  self.url = self.urls[1]
  self.process = assert(self.loop:spawn {
    argv = {
      "/bin/sh", "-c", [[PATH=$PATH:/usr/sbin:/sbin exec sh spec/support/radosgw.sh "$0" "$@" >"$0/log" 2>&1]],
      self.dir, ACCESS_KEY, SECRET_KEY, shape.store, tostring(shape.osds),
      tostring(ports[#ports]), tostring(ports[#ports] + shape.osds * OSD_PORTS),
      table.concat(ports, " ", shape.gateways + 1, #ports - 1), table.concat(ports, " ", 1, shape.gateways),
    }, grace = 0,
  })
  local deadline = core.now() + LIMIT
  while core.now() < deadline do
    if core.stat(self.dir .. "/ready") and self:answers() then
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
---@param shape { monitors: integer, osds: integer, gateways: integer, store: "memstore"|"bluestore" }?
function M.start(shape)
  local self = setmetatable({ loop = assert(core.loop { threads = 0 }), shape = shape or ONE }, Store)
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
