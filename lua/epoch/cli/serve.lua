--- epoch serve [--addr HOST:PORT] [--store HOME] [--workers N] [--tls-cert F --tls-key F]
-- [--anonymous-push]: a private nginx that is a gateway, until a signal.
local address = require "epoch.cli.serve.address"
local conf = require "epoch.gateway.conf"
local config = require "epoch.config"
local core = require "epoch.core"
local directories = require "epoch.cli.serve.directories"
local environment = require "epoch.cli.serve.environment"
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local locate = require "epoch.locate"
local nginx = require "epoch.cli.serve.nginx"
local paths = require "epoch.cli.serve.paths"
local server = require "epoch.cli.serve.server"
local text = require "epoch.text"
local working_directory = require "epoch.cli.serve.working_directory"

local M = {}

local ADDRESS = "127.0.0.1:8080"
local SHUTDOWN = 60 -- seconds for transfers that are under way
local MAX_FILES = 8192
local TRIES = 5 -- to get a free port

-- The home to serve, and its directory when it is one.
local function store_of(job)
  local given = job.settings.values.gateway
  local name, err = job.args.store or given and given.store, nil
  if not name then
    name, err = locate.default()
  end
  if not name then
    return nil, err
  end
  local scheme = name:match("^(%a+):")
  if scheme ~= "file" and scheme ~= "s3" then
    return errors.fail("usage", ("%s cannot be served: --store must be file:///DIR or s3://BUCKET[/PREFIX]"):format(
      text.quote(name)))
  end
  local home
  home, err = job:open_home(name)
  return home and name, home and name:match("^file://(/.*)$") or err
end

local function certificate_of(args, found)
  if not args.tls_cert and not args.tls_key then
    return false
  elseif not (args.tls_cert and args.tls_key) then
    return errors.fail("usage", "--tls-cert and --tls-key go together: the certificate with its chain, and its key")
  end
  local tls = { http2_directive = found.http2_directive }
  for name, path in pairs { certificate = args.tls_cert, key = args.tls_key } do
    local file, why = io.open(path, "rb")
    local ok = file and file:read(1)
    if file then
      file:close()
    end
    if not ok then
      return errors.fail("usage", ("--tls-%s: %s cannot be read: %s"):format(name == "key" and name or "cert",
        text.quote(path), why and why:gsub("^.*: ", "") or "it is empty, or a directory"))
    end
    local err
    tls[name], err = working_directory.absolute(path)
    if err then
      return nil, err
    end
  end
  return tls
end

local function workers_of(args)
  if not args.workers then
    return 2
  end
  local n = args.workers:find("^%d+$") and tonumber(args.workers)
  if not n or n < 1 or n > 64 then
    return errors.fail("usage", ("--workers %s: it must be a number from 1 to 64"):format(text.quote(args.workers)))
  end
  return n
end

-- How many files a process may open here, up to what a worker can use.
local function files()
  local limits = io.open("/proc/self/limits")
  local all = limits and limits:read("*a") or ""
  if limits then
    limits:close()
  end
  return math.min(tonumber(all:match("Max open files%s+%d+%s+(%d+)")) or MAX_FILES, MAX_FILES)
end

local function is_root()
  local status = io.open("/proc/self/status")
  local uid = status and status:read("*a"):match("\nUid:%s+%d+%s+(%d+)")
  if status then
    status:close()
  end
  return uid == "0"
end

-- Who may write: everybody is right only where nobody else can come.
local function policy(job, at)
  if job.args.anonymous_push or job.settings.values.token then
    return { anonymous_push = job.args.anonymous_push or nil }
  elseif not at.loopback then
    return errors.fail("usage", ("on %s others could push: make a token (EPOCH_REGISTRY_TOKEN, or epoch token create), "
      .. "or say --anonymous-push"):format(at.host))
  end
  job:say("epoch: no token is configured, so everybody on this machine may push and delete")
  return { anonymous_push = true }
end

-- Everything that can be found wrong before there is a directory to remove.
local function plan(job)
  local args = job.args
  local at, err = address.parse(args.addr or ADDRESS)
  local found, search, store, root, tls, rules, workers
  if at then
    found, err = nginx.find(job.task)
  end
  if found then
    search, err = paths.find(found.lualib)
  end
  if search then
    tls, err = certificate_of(args, found)
  end
  if tls ~= nil then
    workers, err = workers_of(args)
  end
  if workers then
    store, root = store_of(job)
    err = root
  end
  if store then
    rules, err = policy(job, at)
  end
  if rules then
    rules.store = store
    return { at = at, nginx = found, search = search, store = store, root = root, tls = tls or nil, workers = workers,
             rules = rules }
  end
  return nil, err
end

-- Settings of the gateway that are not in the configuration.
local function setup(job, what)
  local file = job.args.config_file
  local absolute, err
  if file then
    absolute, err = working_directory.absolute(file)
    if not absolute then
      return nil, err
    end
  end
  return { config = absolute, gateway = what.rules }
end

local function write(path, bytes)
  local sink, message, code = core.create(path, { mode = tonumber("600", 8), sync = false })
  local ok = sink
  if sink then
    ok, message, code = sink:write(bytes)
    if ok then
      ok, message, code = sink:finish()
    end
    sink:close()
  end
  return ok and true, not ok and errors.from_core(message, code) or nil
end

-- One try with one address: true when it has served and ended well.
local function serve(job, what, directory)
  local own, err = setup(job, what)
  local spool = directory .. "/body"
  if own and what.root then
    spool, err = directories.prepare_store((what.root:gsub("/+$", "")))
  end
  if not own or not spool then
    return nil, err
  end
  local values, names = environment.of(job.settings.files, config.MAX)
  local listen = what.at.host .. ":" .. ("%d"):format(what.port)
  local bytes
  bytes, err = conf.text {
    modules = what.nginx.modules, root = is_root(), workers = what.workers, files = files(), directory = directory,
    body_directory = spool, level = job.args.verbose and "info" or "warn", environment = names,
    lua_path = what.search.lua, lua_cpath = what.search.c, setup = own, listen = listen, tls = what.tls,
    store = what.root, resolvers = {}, shutdown = SHUTDOWN,
  }
  local ok, running
  if bytes then
    ok, err = write(directory .. "/nginx.conf", bytes)
  end
  if ok then
    running, err = server.start { path = what.nginx.path, directory = directory, environment = values }
  end
  if not running then
    return nil, err
  end
  local ready
  ready, err = running:ready()
  if ready then
    job:say(("epoch: serving %s on %s://%s"):format(text.printable(what.store), what.tls and "https" or "http", listen))
    ok, err = running:run()
  else
    ok, err = ready == false and running:stop(), err
  end
  running:close()
  return ok, err
end

local function taken(what)
  return errors.fail("busy", ("%s:%d is in use: stop what listens there, or give another address with --addr (port 0 "
    .. "is one that is free)"):format(what.at.host, what.port))
end

local function is_taken(err)
  return err ~= nil and tostring(err):find("Address already in use", 1, true) ~= nil
end

function M.run(_, args)
  return jobs.run("serve", nil, args, function(job)
    local what, err = plan(job)
    if not what then
      return nil, err
    end
    local ok
    for _ = 1, what.at.port == 0 and TRIES or 1 do
      what.port = what.at.port == 0 and address.free_port() or what.at.port
      if address.is_taken(what.at.host, what.port) then
        return taken(what)
      end
      local directory
      directory, err = directories.make_private(job.task, job.settings.values.spool_dir)
      if not directory then
        return nil, err
      end
      ok, err = serve(job, what, directory)
      directories.remove(directory)
      if ok or not is_taken(err) then
        return ok, err
      end
    end
    return taken(what)
  end)
end

return M
