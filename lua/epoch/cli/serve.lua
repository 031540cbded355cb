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
local plans = require "epoch.cli.serve.plan"
local policy = require "epoch.cli.serve.policy"
local server = require "epoch.cli.serve.server"
local settings = require "epoch.cli.settings"
local system = require "epoch.cli.serve.system"
local tasks = require "epoch.task"
local text = require "epoch.text"

local M = {}

local SHUTDOWN = 60 -- seconds for transfers that are under way
-- What clients on this machine send is there at once, and nginx reads all that waits in one turn: tens
-- of megabytes, if the system lets them wait.
local NEAR_BUFFER = 512 * 1024
local TRIES = 5 -- to get a free port
local MODE = tonumber("600", 8)

local function write(path, bytes)
  local sink, message, code = core.create(path, { mode = MODE, sync = false })
  local ok = sink
  if sink then
    ok, message, code = sink:write(bytes)
    if ok then
      ok, message, code = sink:finish()
    end
    sink:close()
  end
  if not ok then
    return errors.fail(code, message)
  end
  return true
end

-- Writes what nginx reads, and answers its environment. The settings are those in force now.
local function configure(job, plan, loaded, home, directory)
  local rules, said = policy.of {
    host = plan.at.host, loopback = plan.at.loopback, anonymous_push = job.args.anonymous_push, settings = loaded,
    home = home,
  }
  if not rules then
    return nil, said
  elseif said then
    job:say("epoch: " .. said)
  end
  rules.store = plan.store.name
  local values, names = environment.of(loaded.files, config.MAX)
  local bytes, err = conf.text {
    modules = plan.nginx.modules, root = system.uid() == "0", workers = plan.workers, files = system.files(),
    directory = directory, body_directory = plan.store.spool or directory .. "/body",
    level = job.args.verbose and "info" or "warn", environment = names, lua_path = plan.search.lua,
    lua_cpath = plan.search.c, setup = { config = plan.config, gateway = rules }, listen = plan.listen,
    receive_buffer = plan.at.loopback and NEAR_BUFFER or nil, tls = plan.tls or nil,
    store = plan.store.root, origin = plan.store.origin,
    resolvers = plan.store.root and {} or system.name_servers(), shutdown = SHUTDOWN,
  }
  local ok
  if bytes then
    ok, err = write(directory .. "/nginx.conf", bytes)
  end
  return ok and values, err
end

-- Writes it anew, in a task that knows nothing of signals: they are for who waits for the next.
local function renew(job, plan, directory)
  local loaded, err = settings.load(job.args)
  if not loaded then
    return nil, err
  end
  return tasks.with(nil, function(task)
    local home, why = locate.open_home(task, plan.store.name, loaded)
    local done
    if home then
      done, why = configure(job, plan, loaded, home, directory)
      home:close()
    end
    return done, why
  end)
end

-- One try with one address: true when it has served and ended well.
local function serve(job, plan, directory)
  local running
  local values, err = configure(job, plan, job.settings, plan.store.home, directory)
  if values then
    running, err = server.start { path = plan.nginx.path, directory = directory, environment = values }
  end
  if not running then
    return nil, err
  end
  local ready, ok
  ready, err = running:ready()
  if ready then
    job:say(("epoch: serving %s on %s://%s"):format(text.printable(plan.store.name), plan.tls and "https" or "http",
      plan.listen))
    ok, err = running:run(function()
      local done, why = renew(job, plan, directory)
      job:say("epoch: " .. (done and "the configuration is read again"
        or "the configuration stays as it was: " .. tostring(why)))
      return done ~= nil
    end)
  elseif ready == false then
    ok, err = running:stop()
  end
  running:close()
  return ok, err
end

-- The same in a directory that exists for that long.
local function serve_privately(job, plan)
  local directory, lock = directories.make_private(job.task, plan.parent)
  if not directory then
    return nil, lock
  end
  local ok, err = serve(job, plan, directory)
  directories.remove(directory)
  lock:close()
  return ok, err
end

-- Between looking and binding another may have come.
local function is_taken(err)
  return err ~= nil and tostring(err):find("Address already in use", 1, true) ~= nil
end

function M.run(_, args)
  return jobs.run("serve", nil, args, function(job)
    local plan, err = plans.make(job)
    if not plan then
      return nil, err
    end
    directories.sweep(job.task, plan.parent, system.uid())
    local ok
    for _ = 1, plan.at.port == 0 and TRIES or 1 do
      local port = plan.at.port == 0 and address.free_port() or plan.at.port
      plan.listen = ("%s:%d"):format(plan.at.host, port)
      if not address.is_taken(plan.at.host, port) then
        ok, err = serve_privately(job, plan)
        if ok or not is_taken(err) then
          return ok, err
        end
      end
    end
    return errors.fail("busy", plan.listen .. " is in use: stop what listens there, or give another address with "
      .. "--addr (port 0 is one that is free)")
  end)
end

return M
