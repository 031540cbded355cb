--- The bucket that settings speak of, for the registry in it: of the files and the environment, or of
-- a ConfigMap of Kubernetes. Both answer what epoch.puller.new_from_config takes, and epoch.home.open
-- as two arguments: { home = "s3://BUCKET", options = those of epoch.objectstore.s3 }.
local config = require "epoch.config"
local errors = require "epoch.errors"
local kubernetes = require "epoch.kubernetes"

local M = {}

local NO_FILE = "/nonexistent" -- what is asked for is all there is to it
local NEEDED = { "bucket", "endpoint", "access_key", "secret_key" }

---@class epoch.registry.Settings
---@field home string
---@field options table

--- What epoch.objectstore.s3 takes of what is configured; the bucket among it, where one is.
---@param settings epoch.Settings
---@return table
function M.s3_options(settings)
  local given = { spool_dir = settings.values.spool_dir }
  for key, value in pairs(settings.values.s3) do
    given[key] = value
  end
  given.env_file = nil
  local host = settings:host(given.endpoint and settings.host_of(given.endpoint) or "")
  for _, key in ipairs { "ca_cert", "client_cert", "client_key", "proxy" } do
    given[key] = host[key]
  end
  return given
end

local function config_of(settings, what)
  local opts, missing = M.s3_options(settings), {}
  for _, name in ipairs(NEEDED) do
    missing[#missing + 1] = not opts[name] and "EPOCH_S3_" .. name:upper() or nil
  end
  if #missing > 0 then
    return errors.fail("config", ("%s has no %s"):format(what, table.concat(missing, ", no ")))
  end
  return { home = "s3://" .. opts.bucket, options = opts }
end

--- The bucket of the settings in force; with `getenv`, of what that says in place of the environment.
---@param getenv (fun(name: string): string?)?
---@return epoch.registry.Settings?
---@return epoch.Error?
function M.config_from_env(getenv)
  local settings, err
  if getenv then
    settings, err = config.load { getenv = getenv }
  else
    settings, err = config.current()
  end
  if not settings then
    return nil, err
  end
  return config_of(settings, "the environment")
end

--- The bucket that a ConfigMap of Kubernetes names, by EPOCH_S3_… as in the environment.
---@param task epoch.task
---@param namespace string
---@param configmap string
---@param given table? of epoch.kubernetes
---@return epoch.registry.Settings?
---@return epoch.Error?
function M.config_from_configmap(task, namespace, configmap, given)
  local data, err = kubernetes.config_map(task, namespace, configmap, given)
  if not data then
    return nil, err
  end
  local what = ("ConfigMap %s/%s"):format(namespace, configmap)
  local settings
  settings, err = config.load {
    system_file = NO_FILE,
    getenv = function(name)
      return name:find("^EPOCH_S3_") and name ~= "EPOCH_S3_ENV_FILE" and data[name] or nil
    end,
  }
  if not settings then
    return nil, errors.wrap(err, what)
  end
  return config_of(settings, what)
end

return M
