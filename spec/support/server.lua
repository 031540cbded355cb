--- A private nginx for one spec file: the real server, and with its Lua module the scripted
-- one for faults.
--
--     local s = server.start{
--       files = { ["small.txt"] = "hello", ["big.bin"] = 64 * 1024 * 1024 },
--       locations = { ["= /slow"] = server.lua [[ ngx.sleep(1) ngx.say("ok") ]] },
--       tls = true, http2 = true,
--     }
--     … s.url .. "/slow" … s.tls_url, s.ca … s:stop()
--
-- It runs as the calling user in a directory of its own, listens on loopback only, and ends
-- by itself when the process that started it is gone.

local certificates = require("spec.support.certificates")
local nginx_conf = require("spec.support.nginx_conf")

local M = { lua = nginx_conf.lua, raw = nginx_conf.raw }

local FIRST_PORT, PORTS = 20000, 12000 -- below the range of ephemeral ports
local TRIES, WAITS = 5, 250

local function read_file(path)
  local f = io.open(path, "rb")
  if not f then
    return nil
  end
  local text = f:read("*a")
  f:close()
  return text
end

local function write_file(path, text)
  local f = assert(io.open(path, "wb"))
  assert(f:write(text))
  assert(f:close())
end

-- Lua 5.1 answers a number, later ones true.
local function run(command)
  local ok = os.execute(command)
  return ok == true or ok == 0
end

local function output_of(command)
  local p = assert(io.popen(command, "r"))
  local text = p:read("*a")
  p:close()
  return text
end

local function alive(pid)
  local stat = read_file("/proc/" .. pid .. "/stat")
  return stat ~= nil and not stat:find("%) Z ")
end

--- A pause with nothing but the shell.
function M.sleep(seconds)
  run(("sleep %g"):format(seconds))
end

local function used_ports()
  local used = {}
  for _, path in ipairs { "/proc/net/tcp", "/proc/net/tcp6" } do
    for port in (read_file(path) or ""):gmatch("%d+: %x+:(%x+) ") do
      used[tonumber(port, 16)] = true
    end
  end
  return used
end

--- Ports on which nobody listens now; whoever uses them may still find them taken.
---@param n integer
---@return integer[]
function M.free_ports(n)
  local used, found = used_ports(), {}
  local urandom = assert(io.open("/dev/urandom", "rb"))
  while #found < n do
    local a, b = urandom:read(2):byte(1, 2)
    local port = FIRST_PORT + (a * 256 + b) % PORTS
    if not used[port] then
      used[port] = true
      found[#found + 1] = port
    end
  end
  urandom:close()
  return found
end

local function make_files(dir, files)
  for name, content in pairs(files or {}) do
    local path = dir .. "/" .. name
    if type(content) == "number" then
      assert(run(("head -c %.0f /dev/urandom > %s"):format(content, path)))
    else
      write_file(path, content)
    end
  end
end

local Server = {}
Server.__index = Server

--- What the server has logged: "port connection protocol method uri status" a line.
---@return string
function Server:access_log()
  return read_file(self.dir .. "/access.log") or ""
end

---@return string
function Server:error_log()
  return read_file(self.dir .. "/error.log") or ""
end

--- The digest of a file it serves, as "sha256:…".
---@param name string
function Server:digest(name)
  return "sha256:" .. output_of("sha256sum < " .. self.dir .. "/www/" .. name):match("^%x+")
end

--- Ends the server and removes its directory; may be called again.
function Server:stop()
  local pid = self.pid
  self.pid = nil
  if not pid then
    return
  end
  run("kill " .. pid .. " 2>/dev/null")
  for _ = 1, WAITS do
    if not alive(pid) then
      break
    end
    M.sleep(0.02)
  end
  if alive(pid) then
    run("kill -9 " .. pid)
  end
  run("rm -rf " .. self.dir)
end

local function configure(self, opts)
  local list = nginx_conf.listeners(opts, self.certs)
  local ports = M.free_ports(#list)
  for i, l in ipairs(list) do
    l.address = ("127.0.0.1:%d"):format(ports[i])
    self[l.field] = ("%s://%s:%d"):format(l.scheme, l.host, ports[i])
  end
  write_file(self.dir .. "/nginx.conf", nginx_conf.text(opts, list, self.dir))
end

-- nginx returns when its sockets are bound, so it can be connected to from then on.
local function launch(self)
  local dir = self.dir
  if not run(("nginx -p %s -c %s/nginx.conf -e %s/error.log 2>>%s/start.log"):format(dir, dir, dir, dir)) then
    return false
  end
  for _ = 1, WAITS do
    self.pid = (read_file(dir .. "/nginx.pid") or ""):match("^(%d+)\n")
    if self.pid then
      return true
    end
    M.sleep(0.02)
  end
  return false
end

local KNOWN = { locations = true, files = true, answers = true, tls = true, http2 = true, http = true, main = true,
  workers = true }

---@class spec.ServerOptions
---@field locations table<string, string>? what nginx.conf says inside them: see `lua` and `raw`
---@field files table<string, string|integer>? contents, or sizes of random ones
---@field answers table<string, string>? by path: sent as they stand, head and all; then the connection ends
---@field tls boolean?
---@field http2 boolean?
---@field http string? more lines of nginx.conf in its http block; ${dir} is the directory
---@field main string? more lines outside of it
---@field workers integer? 1

--- Starts a server.
---@param opts spec.ServerOptions
---@return table server with url and other_url (the same on another port); with `tls` also
---  tls_url, stranger_url (the certificate names another host), client_url (asks for a
---  client's certificate), ca and certs
function M.start(opts)
  for key in pairs(opts) do
    assert(KNOWN[key], "unknown option '" .. tostring(key) .. "'")
  end
  local dir = output_of("mktemp -d /tmp/epoch-spec.XXXXXX"):match("^%S+")
  assert(dir, "no temporary directory")
  local self = setmetatable({ dir = dir }, Server)
  assert(run(("mkdir -p %s/www %s/answers %s/tmp"):format(dir, dir, dir)))
  make_files(dir .. "/www", opts.files)
  make_files(dir .. "/answers", opts.answers)
  if opts.tls then
    self.certs = certificates.make(dir)
    self.ca = self.certs.ca
  end
  local why
  for _ = 1, TRIES do
    configure(self, opts)
    if launch(self) then
      return self
    end
    why = read_file(dir .. "/start.log") or ""
    if not why:find("Address already in use", 1, true) then
      break
    end
  end
  run("rm -rf " .. dir)
  error("nginx does not start:\n" .. why, 2)
end

return M
