--- Snapshots that a machine needs, on that machine before they are needed.
--
--     local p = assert(puller.new_from_config({ home = "s3://vms" }, "/var/lib/cocoon"))
--     local warming = assert(p:prewarm { "agent", "agent-diagnosis:v2" })  -- at once, goes on by itself
--     assert(p:ensure_snapshot "agent")                                    -- now it is there
--     print(warming:status().done)
--
-- A snapshot of that name that cocoon has already is the one that is meant, whatever its tag was:
-- it is not asked for again, and nothing that runs is replaced. Who asks for one that another
-- coroutine, process or worker is pulling waits for that: each name has a lock.
local background = require "epoch.puller.background"
local cocoon = require "epoch.cocoon"
local core = require "epoch.core"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local locate = require "epoch.locate"
local lock = require "epoch.lock"
local options = require "epoch.options"
local ports = require "epoch.ports"
local reference = require "epoch.reference"
local registry_pull = require "epoch.registry.pull"
local settings = require "epoch.registry.settings"
local snapshot = require "epoch.snapshot"
local tasks = require "epoch.task"
local text = require "epoch.text"

local M = {}

local LATEST = "latest"
local LONGEST = 300 -- bytes of what is no name, for messages
local DIR_MODE = tonumber("750", 8)

local CONFIG = {
  home = { type = "string", required = true, min = 1 }, -- as epoch.home has it
  options = { type = "table" }, -- those of that home: texts, numbers, true and false; else what is configured
  cocoon_binary = { type = "string", min = 1 },
  concurrency = { type = "integer", min = 1, max = 64, default = 3 }, -- snapshots at once, in the background
  interpreter = { type = "string", min = 1 }, -- the Lua for what goes on in the background
  task = { type = "table" },
}

local Puller = { __name = "epoch.puller" }
Puller.__index = Puller

--- Pulls from a home into cocoon's root (by default where cocoon's files are).
---@param given { home: string, options: table?, task: epoch.task? } and what else is in CONFIG
---@param root_dir string?
---@return table
function M.new_from_config(given, root_dir)
  local opts = options.check("puller.new_from_config", CONFIG, given)
  local here = cocoon.paths.new { root_dir = root_dir, task = opts.task }
  return setmetatable({ config = opts, here = here, task = opts.task, running = {} }, Puller)
end

--- Pulls from the bucket that a ConfigMap of Kubernetes names, by EPOCH_S3_… as in the environment.
---@param root_dir string?
---@param namespace string
---@param configmap string
---@param given table? of epoch.kubernetes
---@return table?
---@return epoch.Error?
function M.new(root_dir, namespace, configmap, given)
  local found, err = tasks.with(nil, function(task)
    return settings.config_from_configmap(task, namespace, configmap, given)
  end)
  if not found then
    return nil, err
  end
  return M.new_from_config(found, root_dir)
end

-- Opens the home with the options that were given, else with what is configured for it.
local function open_home(task, config)
  if config.options or config.home:find("^file:") or config.home:find("^oci:") then
    return homes.open(task, config.home, config.options)
  end
  return locate.open_home(task, config.home)
end

-- Runs `use(task, home)` with the home opened.
local function with_home(self, use)
  return tasks.with(self.task, function(task)
    local home, err = open_home(task, self.config)
    if not home then
      return nil, err
    end
    local value, why = use(task, home)
    home:close()
    return value, why
  end)
end

-- Into cocoon: generation 1 as files, the other by way of the program.
local function pull(self, task, home, name, tag)
  local downloader = ports.downloader(home)
  local m, err = ports.fetch_manifest(downloader, name, tag)
  if not m then
    return nil, err
  elseif m.generation == 1 then
    local here = cocoon.paths.new { root_dir = self.here.root_dir, task = task }
    return registry_pull.pull(task, home, here, { name = name, tag = tag })
  end
  local runner
  runner, err = cocoon.exec_cocoon {
    binary = self.config.cocoon_binary, root_dir = self.here.root_dir, stderr = "null",
  }
  if not runner then
    return nil, err
  end
  return snapshot.puller { downloader = downloader, cocoon = runner, task = task }:pull {
    name = name, tag = tag, manifest = m,
  }
end

-- The lock on a name: whoever has it is the only one who pulls that.
local function take_lock(self, task, name)
  local dir = self.here.root_dir .. "/epoch/locks"
  local ok, message, code = core.mkdir(dir, DIR_MODE)
  if not ok then
    return errors.fail(code, message)
  end
  return lock.take(task, ("%s/%s"):format(dir, core.digest(name):match(":(.*)")), math.huge)
end

local function pull_alone(self, task, home, name, tag)
  local held, err = take_lock(self, task, name)
  if not held then
    return nil, err
  end
  local there
  there, err = self.here:snapshot_exists(name)
  if there == false then -- nobody has pulled it meanwhile
    there, err = pull(self, task, home, name, tag)
  end
  held:close()
  return there and true, err
end

--- Makes sure that cocoon has a snapshot; pulls it with this tag when it has not.
---@param name string
---@param tag string
---@return true?
---@return epoch.Error?
function Puller:ensure_snapshot_tag(name, tag)
  local there, err = ports.check_names(name, tag)
  if there then
    there, err = self.here:snapshot_exists(name)
  end
  if there or there == nil then
    return there, err
  end
  local ok
  ok, err = with_home(self, function(task, home)
    return pull_alone(self, task, home, name, tag)
  end)
  return ok, err and errors.wrap(err, ("ensure %s:%s"):format(name, tag))
end

--- The same for the tag "latest".
---@param name string
---@return true?
---@return epoch.Error?
function Puller:ensure_snapshot(name)
  return self:ensure_snapshot_tag(name, LATEST)
end

--- The repositories of the home, sorted.
---@return string[]?
---@return epoch.Error?
function Puller:list_remote()
  return with_home(self, function(_, home)
    return home:repositories()
  end)
end

-- Names and tags, each once, in their order. One that is none is asked for like any other, as it was
-- given, and refused then: it harms no other.
local function read_names(names)
  local out, seen = {}, {}
  for _, given in ipairs(names) do
    local ref = reference.parse(given)
    if not ref or ref.host or ref.digest then
      ref = { name = text.printable(given, LONGEST), tag = LATEST }
    end
    local key = ref.name .. ":" .. ref.tag
    if not seen[key] then
      seen[key] = true
      out[#out + 1] = { name = ref.name, tag = ref.tag }
    end
  end
  return out
end

local PREWARM = {
  names = { array = { type = "string" }, required = true, max = background.MAX },
  on_end = { type = "function" },
}

--- Pulls several snapshots in the background, and answers at once. What fails is said on stderr
--- and keeps no other from being pulled. It goes on while the caller does something else, for as
--- long as this puller lives.
---@param names string[] NAME[:TAG]
---@param on_end fun(name: string, err: epoch.Error?)? told by wait and status, once for each
---@return epoch.puller.prewarm?
---@return epoch.Error?
function Puller:prewarm(names, on_end)
  options.check("puller:prewarm", PREWARM, { names = names, on_end = on_end })
  local own = self.config
  return background.start({
    home = own.home, options = own.options, cocoon_binary = own.cocoon_binary,
    concurrency = own.concurrency, root_dir = self.here.root_dir, names = read_names(names),
  }, { interpreter = own.interpreter, task = self.task, on_end = on_end, running = self.running })
end

return M
