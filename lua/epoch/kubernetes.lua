--- ConfigMaps of Kubernetes: in a pod from the API server, as the pod's service account; anywhere
-- else through kubectl, as whoever that is.
--
--     local data = assert(kubernetes.config_map(task, "prod", "agent-env"))
--     data.EPOCH_S3_BUCKET   --> "vms"
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local options = require "epoch.options"
local text = require "epoch.text"

local M = {}

local SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
local MAX_TOKEN, MAX_MAP = 64 * 1024, 4 * 1024 * 1024 -- a ConfigMap has at most 1 MiB

local KIND = { [401] = "unauthorized", [403] = "denied", [404] = "not_found", [429] = "rate_limited" }
local WHY = {
  [401] = "the API server does not know this service account",
  [403] = "this service account may not read it: it needs the verb get on configmaps",
  [404] = "there is none of that name",
}

local GIVEN = {
  getenv = { type = "function" },
  service_account = { type = "string", default = SERVICE_ACCOUNT }, -- the directory of its token
  kubectl = { type = "string", default = "kubectl" },
}

-- Names that are parts of a URL and arguments: DNS labels, of ConfigMaps with dots between.
local function check(what, name, pattern, longest)
  if type(name) ~= "string" or #name > longest or not name:find("^" .. pattern .. "*$")
      or not name:find("^[a-z0-9]") or not name:find("[a-z0-9]$") then
    return errors.fail("invalid", ("the %s %s is none"):format(what, text.quote(tostring(name))))
  end
  return true
end

-- What the JSON of a ConfigMap has as data, texts by name.
local function data_of(bytes, what)
  local map, err = json.decode(bytes, MAX_MAP)
  if err then
    return nil, errors.wrap(err, what)
  elseif type(map) ~= "table" or map.kind ~= "ConfigMap" then
    return errors.fail("invalid", what .. ": what came is no ConfigMap")
  end
  local data = {}
  for name, value in pairs(type(map.data) == "table" and map.data or {}) do
    data[name] = type(name) == "string" and type(value) == "string" and value or nil
  end
  return data
end

local function collect(task, source, what)
  local sink = core.collect(MAX_MAP)
  local moved, err = task:flow { source = source, sink = sink, limit = MAX_MAP, what = what }
  local bytes = moved and sink:bytes()
  sink:close()
  return bytes or nil, err
end

local function answer(task, request, what)
  local response, err = task:await(request, "response")
  if not response then
    return nil, errors.wrap(err, what)
  elseif response.status ~= 200 then
    local status = response.status
    return errors.fail(KIND[status] or status >= 500 and "unavailable" or "invalid",
      ("%s: %s"):format(what, WHY[status] or ("the API server answers %d"):format(status)), { status = status })
  end
  local bytes
  bytes, err = collect(task, request:body(), what)
  if not bytes then
    return nil, err
  end
  return data_of(bytes, what)
end

-- From the API server, as the service account in `dir`.
local function from_api(task, server, dir, namespace, name, what)
  local token, message, code = core.read_trusted(dir .. "/token", MAX_TOKEN)
  if not token then
    return errors.fail(code, ("%s: the service account's token: %s"):format(what, message))
  end
  local request
  request, message, code = task.loop:request {
    url = ("https://%s/api/v1/namespaces/%s/configmaps/%s"):format(server, namespace, name),
    authorization = "Bearer " .. token:match("^%s*(.-)%s*$"), headers = { Accept = "application/json" },
    ca_file = dir .. "/ca.crt", redirects = 0,
  }
  if not request then
    return errors.fail(code, message)
  end
  local data, err = answer(task, request, what)
  request:close()
  return data, err
end

local function from_kubectl(task, program, namespace, name, what)
  local path = core.which(program)
  if not path then
    return errors.fail("not_found", ("%s: this is no pod ($KUBERNETES_SERVICE_HOST is not set) and %s is "
      .. "not in PATH"):format(what, program))
  end
  local p, message, code = task.loop:spawn {
    argv = { path, "get", "configmap", "--namespace=" .. namespace, "--output=json", "--", name },
    stdout = "pipe", stderr = false,
  }
  if not p then
    return errors.fail(code, message)
  end
  local bytes, err = collect(task, p:stdout(), what)
  local result
  if bytes then
    result, err = task:await(p, "wait")
  end
  p:close()
  if not result then
    return nil, errors.wrap(err, what)
  elseif result.code ~= 0 then
    local said = result.stderr:match("([^\r\n]*%S)%s*$") or "it says nothing, " .. (result.code
      and ("exit code %d"):format(result.code) or "ended by SIG" .. tostring(result.signal or result.number))
    return errors.fail(said:find("NotFound", 1, true) and "not_found" or "process",
      ("%s: kubectl: %s"):format(what, said))
  end
  return data_of(bytes, what)
end

--- The texts of a ConfigMap, by name.
---@param task epoch.task
---@param namespace string
---@param name string
---@param given { getenv: function?, service_account: string?, kubectl: string? }?
---@return table<string, string>?
---@return epoch.Error?
function M.config_map(task, namespace, name, given)
  local opts = options.check("kubernetes.config_map", GIVEN, given)
  local ok, err = check("namespace", namespace, "[a-z0-9-]", 63)
  if ok then
    ok, err = check("ConfigMap", name, "[a-z0-9.-]", 253)
  end
  if not ok then
    return nil, err
  end
  local what, getenv = ("ConfigMap %s/%s"):format(namespace, name), opts.getenv or os.getenv
  local host = getenv "KUBERNETES_SERVICE_HOST"
  if not host or host == "" then
    return from_kubectl(task, opts.kubectl, namespace, name, what)
  end
  local server = (host:find(":", 1, true) and "[" .. host .. "]" or host) .. ":"
    .. (getenv "KUBERNETES_SERVICE_PORT" or "443")
  return from_api(task, server, opts.service_account, namespace, name, what)
end

return M
