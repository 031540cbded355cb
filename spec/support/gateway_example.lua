--- examples/openresty/nginx.conf, with the paths of this machine (see gateway.lua).

local core = require "epoch.core"
local lfs = require "lfs"
local server = require "spec.support.server"
local work = require "spec.support.work"

local M = {}

--- The text with our modules, on this port and store, and where it may write.
---@param self { dir: string, root: string, port: integer }
---@param workers integer
---@return string
function M.text(self, workers)
  local here, temporary = work.here(), {}
  local function as(value)
    return function() return value end
  end
  for i, name in ipairs { "proxy", "fastcgi", "uwsgi", "scgi" } do
    temporary[i] = ("  %s_temp_path %s/%s;\n"):format(name, self.dir, name)
  end
  local conf = assert(work.read_file("examples/openresty/nginx.conf"))
  conf = conf:gsub("user www%-data;[^\n]*\n", lfs.attributes(self.dir, "uid") == 0 and "user root root;\n" or "")
  conf = conf:gsub("worker_processes %d+;", ("worker_processes %d;"):format(workers))
  conf = conf:gsub("listen 127%.0%.0%.1:8080;", as(("listen 127.0.0.1:%d;"):format(self.port)))
  conf = conf:gsub("/usr/local/share/lua/5%.1/", as(here .. "/lua/"))
  conf = conf:gsub("/usr/local/lib/lua/5%.1/", as(here .. "/build/lua/5.1/"))
  conf = conf:gsub("/srv/vms", as(self.root))
  conf = conf:gsub("unix:/run/epoch", as("unix:" .. self.dir))
  conf = conf:gsub("http {\n", function(line) return line .. table.concat(temporary) end)
  return conf .. ("daemon off;\npid %s/nginx.pid;\nlock_file %s/nginx.lock;\n"):format(self.dir, self.dir)
end

--- The command that runs it.
---@param self table with `dir` and `root`
---@param options { workers: integer? }
---@return string[]
function M.words(self, options)
  self.port = server.free_ports(1)[1]
  assert(core.mkdir(self.root))
  work.write_file(self.dir .. "/nginx.conf", M.text(self, options.workers or 1))
  return { assert(core.which("nginx", os.getenv("PATH") .. ":/usr/sbin")), "-c", self.dir .. "/nginx.conf", "-e",
           "stderr" }
end

--- Where it can be reached, once it can.
---@return string?
function M.url(self)
  local pid = work.read_file(self.dir .. "/nginx.pid")
  return pid and pid ~= "" and ("http://127.0.0.1:%d"):format(self.port) or nil
end

return M
