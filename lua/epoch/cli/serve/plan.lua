--- What `epoch serve` is going to do: all that can be found wrong with its words, with the settings
-- and with this machine, before anything is started.
local address = require "epoch.cli.serve.address"
local directories = require "epoch.cli.serve.directories"
local errors = require "epoch.errors"
local locate = require "epoch.locate"
local nginx = require "epoch.cli.serve.nginx"
local origins = require "epoch.cli.serve.origin"
local paths = require "epoch.cli.serve.paths"
local text = require "epoch.text"
local working_directory = require "epoch.cli.serve.working_directory"

local M = {}

local ADDRESS = "127.0.0.1:8080"
local WORKERS, MAX_WORKERS = 2, 64

local SERVED = { file = true, s3 = true }

-- The home to serve: its name, and its directory when it is one.
local function store_of(job)
  local given, err = job.args.store or (job.settings.values.gateway or {}).store, nil
  if not given then
    given, err = locate.default()
  end
  if not given then
    return nil, err
  elseif not SERVED[given:match("^(%w+):")] then
    return errors.fail("usage", ("%s cannot be served: --store must be file:///DIR or s3://BUCKET[/PREFIX]"):format(
      text.quote(given)))
  end
  local home
  home, err = job:open_home(given)
  if not home then
    return nil, err
  end
  local root = given:match("^file://(/.*)$")
  root = root and (root:gsub("/+$", ""))
  if root then
    local spool
    spool, err = directories.prepare_store(root)
    return spool and { name = given, root = root, spool = spool, home = home }, err
  end
  local origin
  origin, err = origins.of(home)
  return origin and { name = given, home = home, origin = origin }, err
end

local function check_readable(option, path)
  local file, why = io.open(path, "rb")
  local ok = file and file:read(1)
  if file then
    file:close()
  end
  if ok then
    return true
  end
  return errors.fail("usage", ("%s %s cannot be read: %s"):format(option, text.quote(path),
    why and why:match("[^:]*$"):gsub("^ ", "") or "it is empty, or no file"))
end

-- Certificate and key; false: http.
local function tls_of(args, http2_directive)
  if not args.tls_cert and not args.tls_key then
    return false
  elseif not (args.tls_cert and args.tls_key) then
    return errors.fail("usage", "--tls-cert and --tls-key go together: the certificate with its chain, and its key")
  end
  local ok, err = check_readable("--tls-cert", args.tls_cert)
  if ok then
    ok, err = check_readable("--tls-key", args.tls_key)
  end
  local certificate, key
  if ok then
    certificate, err = working_directory.absolute(args.tls_cert)
  end
  if certificate then
    key, err = working_directory.absolute(args.tls_key)
  end
  return key and { certificate = certificate, key = key, http2_directive = http2_directive }, err
end

local function workers_of(given)
  local n = given and (given:find("^%d%d?$") and tonumber(given) or 0) or WORKERS
  if n < 1 or n > MAX_WORKERS then
    return errors.fail("usage", ("--workers %s: it must be a number from 1 to %d"):format(text.quote(given),
      MAX_WORKERS))
  end
  return n
end

---@class epoch.cli.serve.plan
---@field at { host: string, port: integer, loopback: boolean }
---@field nginx epoch.cli.serve.nginx
---@field search { lua: string, c: string } where LuaJIT finds modules
---@field store { name: string, root: string?, spool: string?, origin: epoch.gateway.conf.origin?, home: table }
---@field tls table|false
---@field workers integer
---@field config string? the configuration that was named
---@field parent string where its own directory is to be

--- Makes it.
---@param job epoch.cli.Job
---@return epoch.cli.serve.plan?
---@return epoch.Error?
function M.make(job)
  local args, plan = job.args, {}
  local err
  plan.at, err = address.parse(args.addr or ADDRESS)
  if not err then
    plan.workers, err = workers_of(args.workers)
  end
  if not err then
    plan.nginx, err = nginx.find(job.task)
  end
  if not err then
    plan.search, err = paths.find(plan.nginx.lualib)
  end
  if not err then
    plan.tls, err = tls_of(args, plan.nginx.http2_directive)
  end
  if not err and args.config_file then
    plan.config, err = working_directory.absolute(args.config_file)
  end
  if not err then
    plan.parent, err = working_directory.absolute((job.settings.values.spool_dir:gsub("(.)/+$", "%1")))
  end
  if not err then
    plan.store, err = store_of(job)
  end
  return not err and plan or nil, err
end

return M
