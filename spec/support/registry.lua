--- A real registry for one spec file: Debian's docker-registry on a free port of loopback, with
-- its storage in a directory of its own; or another program that is started the same way.
--
--     local r = registry.start { auth = true }
--     … r.url, r.host, r.user, r.password … r:stop()
--
-- It ends with the process that started it.

local core = require "epoch.core"
local http = require "spec.support.http"
local server = require "spec.support.server"
local work = require "spec.support.work"

local M = {}

local PROGRAM = "docker-registry"
local TRIES, WAITS = 5, 200

--- Whether the program is here at all.
function M.missing()
  return not core.which(PROGRAM) and "docker-registry is not installed"
end

local CONF = [[
version: 0.1
log: { level: warn, accesslog: { disabled: true } }
storage:
  filesystem: { rootdirectory: %s/data }
  delete: { enabled: %s }
  maintenance: { uploadpurging: { enabled: false } }
http:
  addr: "%s"
]]

local AUTH = [[
auth:
  htpasswd: { realm: spec, path: %s/htpasswd }
]]

-- docker-registry takes bcrypt only; this is that of "baggins".
local USER, PASSWORD = "frodo", "baggins"
local HTPASSWD = "frodo:$2y$05$926C3y10Quzn/LnqQH86VOEVh/18T6RnLaS.khre96jLNL/7e.K5W\n"

-- The token server is at /auth/token, by https, of the host that the client has asked.
local TOKEN = [[
auth:
  token: { autoredirect: true, realm: "http://replaced.invalid/", service: %s, issuer: %s, rootcertbundle: %s }
]]

local PAGES = [[
catalog: { maxentries: %d }
]]

local TLS = [[
  tls: { certificate: %s, key: %s }
]]

local Registry = {}
Registry.__index = Registry

--- What it has said.
function Registry:log()
  return work.read_file(self.dir .. "/log") or ""
end

--- Ends it and removes its storage; may be called again.
function Registry:stop()
  if self.process then
    http.await(self.loop, self.process, "stop", { grace = 2 })
    self.process:close()
    self.loop:close()
    os.execute("rm -rf " .. self.dir)
    self.process = nil
  end
end

local function answers(url, ca)
  local status
  work.with_loop({ threads = 0 }, function(loop)
    local response = http.fetch(loop, { url = url .. "/v2/", proxy = "", ca_file = ca })
    status = response and response.status
  end)
  return status == 200 or status == 401
end

local function configuration(self, options)
  local conf = CONF:format(self.dir, tostring(options.delete ~= false), self.host)
  local certs, token = options.certificates, options.token
  if certs then
    conf = conf .. TLS:format(certs.server, certs.server_key)
    self.ca = certs.ca
  end
  if options.page_size then
    conf = conf .. PAGES:format(options.page_size)
  end
  if options.auth then
    conf = conf .. AUTH:format(self.dir)
    self.user, self.password = USER, PASSWORD
    work.write_file(self.dir .. "/htpasswd", HTPASSWD)
  elseif token then
    conf = conf .. TOKEN:format(token.service, token.issuer, token.certificate)
  end
  return conf
end

-- It is not to look for a collector of its traces.
local SERVE = 'OTEL_TRACES_EXPORTER=none exec "$2" serve "$1/config.yml" >"$1/log" 2>&1'

local function launch(self, options)
  self.host = ("127.0.0.1:%d"):format(server.free_ports(1)[1])
  self.url = (options.certificates and "https://" or "http://") .. self.host
  work.write_file(self.dir .. "/config.yml", (options.configuration or configuration)(self, options))
  self.process = assert(self.loop:spawn {
    argv = { "/bin/sh", "-c", SERVE, "sh", self.dir, options.program or PROGRAM },
  })
  for _ = 1, WAITS do
    if answers(self.url, self.ca) then
      return true
    end
    local ended = self.process:wait()
    if ended then
      break
    end
    server.sleep(0.03)
    assert(self.loop:step())
  end
  http.await(self.loop, self.process, "stop", { grace = 2 })
  self.process:close()
  return false
end

---@class spec.RegistryOptions
---@field program string? docker-registry
---@field configuration (fun(self: table, options: table): string)? of another program; dir and host are known
---@field auth boolean? with htpasswd
---@field token { service: string, issuer: string, certificate: string }? takes signed tokens
---@field page_size integer? it lists no more repositories at once
---@field delete boolean? deleting is allowed: true
---@field certificates table? of spec.support.certificates: it speaks https

--- Starts one.
---@param options spec.RegistryOptions?
function M.start(options)
  local dir = os.tmpname()
  os.remove(dir)
  assert(core.mkdir(dir .. "/data", tonumber("700", 8)))
  local self = setmetatable({ dir = dir, loop = assert(core.loop { threads = 0 }) }, Registry)
  for _ = 1, TRIES do
    if launch(self, options or {}) then
      return self
    end
  end
  local log = self:log()
  self.loop:close()
  os.execute("rm -rf " .. dir)
  error((options and options.program or PROGRAM) .. " does not start:\n" .. log, 2)
end

return M
