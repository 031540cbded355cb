--- A gateway for one spec file: `epoch serve` as people run it, on a free port of loopback, with a
-- store of its own.
--
--     local g = gateway.start { options = { anonymous_pull = false }, workers = 2 }
--     … g.url .. "/v2/" … g.root .. "/blobs/" …
--     g:kill_worker()      -- SIGKILL; nginx starts another
--     g:stop()             -- SIGTERM, as init does: its exit code
--
-- It ends with the process that started it.

local certificates = require "spec.support.certificates"
local core = require "epoch.core"
local example = require "spec.support.gateway_example"
local http = require "spec.support.http"
local interpreter = require "spec.support.interpreter"
local lfs = require "lfs"
local work = require "spec.support.work"

local M = {}

local LIMIT = 30 -- seconds for a start, and for an end

--- Why there can be none, or false. `by`: which Lua tries it where both are run side by side (see
--- interpreter.leaves_to).
---@param by "lua5.4"|"luajit"|nil
function M.missing(by)
  if (os.getenv("EPOCH_BUILD") or "build") ~= "build" then
    return "needs the plain build: Debian's nginx cannot load an instrumented library"
  end
  return not core.which("nginx", os.getenv("PATH") .. ":/usr/sbin") and "nginx is not installed"
    or by ~= nil and interpreter.leaves_to(by)
end

local Gateway = {}
Gateway.__index = Gateway

-- Looks every few milliseconds, for a bounded time.
local function eventually(self, what, look)
  local found
  http.step(self.loop, LIMIT, function()
    found = look()
    return found and true
  end)
  return found or error(what .. " takes too long; it has said:\n" .. self:log(), 0)
end

--- What it has said on stderr: its own lines and nginx's.
function Gateway:log()
  return work.read_file(self.dir .. "/log") or ""
end

Gateway.error_log = Gateway.log

--- Asks it: the answer, with its body as a string in `body`.
---@param path string
---@param more table? of loop:request
function Gateway:get(path, more)
  local options = { url = self.url .. path, ca_file = self.ca, proxy = "" }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  local answer
  work.with_loop({ threads = 0 }, function(loop)
    answer = assert(http.fetch(loop, options))
  end)
  return answer
end

-- Of every process: its parent, and its command.
local function processes()
  local all = {}
  for id in lfs.dir("/proc") do
    local stat = id:find("^%d+$") and work.read_file("/proc/" .. id .. "/stat")
    local state, parent = (stat or ""):match("^.*%) (%S) (%d+)")
    if state and state ~= "Z" then
      all[tonumber(id)] = { parent = tonumber(parent), command = work.read_file("/proc/" .. id .. "/cmdline") or "" }
    end
  end
  return all
end

local function is_below(all, id, ancestor)
  while all[id] and id ~= ancestor do
    id = all[id].parent
  end
  return id == ancestor
end

--- The processes of nginx: of all kinds, or "master" or "worker" ones; sorted.
---@param kind string?
---@return integer[]
function Gateway:pids(kind)
  local all, list = processes(), {}
  for id, one in pairs(all) do
    local is = one.command:match("^nginx: (%a+)")
    if is and (kind == nil or is == kind) and is_below(all, id, self.pid) then
      list[#list + 1] = id
    end
  end
  table.sort(list)
  return list
end

--- Ends a worker with SIGKILL and waits until nginx has started another.
---@return integer pid of the one that was
function Gateway:kill_worker()
  local before = self:pids("worker")
  local victim = assert(before[1], "there is no worker")
  os.execute(("kill -9 %d"):format(victim))
  eventually(self, "starting another worker", function()
    local now = self:pids("worker")
    return #now >= #before and now[1] ~= victim
  end)
  return victim
end

--- The most memory that each of its processes has had at a time, summed up, in bytes.
function Gateway:vm_hwm()
  local all, sum = processes(), 0
  for id in pairs(all) do
    local status = is_below(all, id, self.pid) and work.read_file(("/proc/%d/status"):format(id)) or ""
    sum = sum + 1024 * tonumber(status:match("VmHWM:%s+(%d+)") or 0)
  end
  return sum
end

--- How many connections there are to the listener inside, by which downloads get their blobs.
function Gateway:inside()
  local n, pattern = 0, "^%x+: %x+ %x+ %x+ %x+ 03 .* " .. self.dir:gsub("%p", "%%%0") .. "/[^/]+/inside$"
  for line in work.read_file("/proc/net/unix"):gmatch("[^\n]+") do
    n = n + (line:find(pattern) and 1 or 0)
  end
  return n
end

--- Sends a signal to the program itself.
---@param signal string "TERM", …
function Gateway:signal(signal)
  os.execute(("kill -%s %d"):format(signal, self.pid))
end

--- Waits for its end: its exit code, or 128 and the number of the signal that ended it.
function Gateway:wait()
  local ended = eventually(self, "the end", function()
    return (self.process:wait())
  end)
  self.ended = true
  return ended.code or 128 + ended.number
end

local function forget(self)
  self.process:close()
  self.loop:close()
  self.process = nil
  os.execute(("rm -rf '%s'"):format(self.dir))
end

-- What tokens, headers with them and signed URLs look like.
local SECRETS = { "epoch_" .. ("[%w_-]"):rep(43), "epoch1%.[%w_-]", "[Aa]uthorization: ?%a", "Bearer [%w_-]",
                  "X%-Amz%-Signature=%x" }

-- Nothing of the kind may be in what it has said, nor what it was given as one.
local function check_log(self)
  local log = self:log()
  for _, pattern in ipairs(SECRETS) do
    assert(not log:find(pattern), "a secret is in the log: " .. pattern)
  end
  for name, value in pairs(self.secrets) do
    assert(not log:find(value, 1, true), name .. " is in the log")
  end
end

--- Stops it with SIGTERM and removes what it had; its exit code. May be called again. There is no
--- secret in what it has said.
---@return integer?
function Gateway:stop()
  if self.process then
    if not self.ended then
      self:signal("TERM")
    end
    local ok, code = pcall(self.wait, self)
    local clean, why = pcall(check_log, self)
    forget(self)
    if not (ok and clean) then
      error(ok and why or code, 0)
    end
    return code
  end
end

--- Ends it with SIGKILL, which it cannot notice, and waits until nginx has ended, too. The store
--- stays until `stop`.
function Gateway:kill()
  local left = self:pids()
  self:signal("KILL")
  self:wait()
  eventually(self, "the end of nginx", function()
    for _, id in ipairs(left) do
      local stat = work.read_file(("/proc/%d/stat"):format(id))
      if stat and not stat:find("%) Z ") then
        return false
      end
    end
    return true
  end)
end

local function literal(value)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
  end
  local parts = {}
  for key, one in pairs(value) do
    parts[#parts + 1] = ("[%s] = %s"):format(literal(key), literal(one))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- Only what a run needs and what the spec says: nothing of the caller's homes and secrets.
local function environment(self, given)
  local env = {
    PATH = os.getenv("PATH"), LC_ALL = "C.UTF-8", HOME = self.dir, EPOCH_CONFIG = self.dir .. "/config.lua",
  }
  for name, value in pairs(given or {}) do
    env[name] = value
  end
  return env
end

local function words_of(self, options)
  local words = {
    interpreter.path(), "epoch.lua", "serve", "--store", self.store,
    "--addr", options.addr or "127.0.0.1:0", "--workers", tostring(options.workers or 1),
  }
  if options.tls then
    self.certs = certificates.make(self.dir)
    self.ca = self.certs.ca
    words[#words + 1] = "--tls-cert=" .. self.certs.server
    words[#words + 1] = "--tls-key=" .. self.certs.server_key
  end
  for _, word in ipairs(options.words or {}) do
    words[#words + 1] = word
  end
  return words
end

local KNOWN = { addr = true, config = true, env = true, example = true, options = true, store = true, tls = true,
                umask = true, words = true, workers = true }

---@class spec.GatewayOptions
---@field store string? a home; by default a new directory, `root`
---@field options table? the table `gateway` of the configuration: plain values
---@field config string? more of the configuration, as Lua
---@field workers integer? 1
---@field tls boolean? https; `ca` and `certs` say what to trust
---@field env table<string, string>?
---@field words string[]? more words for the command line
---@field addr string? 127.0.0.1:0
---@field umask string? "022"
---@field example boolean? not epoch serve, but examples/openresty/nginx.conf; of the others it takes store,
--- options, config, workers and env

--- Starts one, and waits until it says that it serves. With `log`, `url`, `host`, `store` (a home),
--- `root` (of a directory), `dir` and `pid`.
---@param options spec.GatewayOptions?
function M.start(options)
  options = options or {}
  for key in pairs(options) do
    assert(KNOWN[key], "unknown option '" .. tostring(key) .. "'")
  end
  local dir = os.tmpname()
  os.remove(dir)
  assert(core.mkdir(dir, tonumber("700", 8)))
  local self = setmetatable({
    dir = dir, store = options.store or "file://" .. dir .. "/store", secrets = {},
  }, Gateway)
  for name, value in pairs(options.env or {}) do
    self.secrets[name] = (name:find("TOKEN", 1, true) or name:find("SECRET", 1, true)) and value or nil
  end
  self.root = self.store:match("^file://(/.*)$")
  work.write_file(dir .. "/config.lua", ("spool_dir = %q\n"):format(dir)
    .. (options.options and "gateway = " .. literal(options.options) .. "\n" or "") .. (options.config or ""))
  local argv = { "/bin/sh", "-c", ("umask %s; exec \"$@\" 2>\"$0/log\""):format(options.umask or "022"), dir }
  for _, word in ipairs((options.example and example.words or words_of)(self, options)) do
    argv[#argv + 1] = word
  end
  self.loop = assert(core.loop { threads = 0 })
  self.process = assert(self.loop:spawn { argv = argv, env = environment(self, options.env), stdout = "null" })
  self.pid = self.process:pid()
  local ok, why = pcall(eventually, self, "the start", function()
    self.url = options.example and example.url(self) or self:log():match("epoch: serving [^\n]+ on (%S+)\n")
    if not self.url and self.process:wait() then
      error("it does not start:\n" .. self:log(), 0)
    end
    return self.url and #self:pids("worker") == (options.workers or 1)
  end)
  if not ok then
    self.process:kill("KILL")
    self:wait()
    forget(self)
    error(why, 2)
  end
  self.host = self.url:match("//(.*)$")
  if options.tls then
    self.url = self.url:gsub("//[%d.]+", "//localhost")
  end
  return self
end

return M
