--- A server that answers as the API of Kubernetes does where ConfigMaps are asked for, and pods that
--- ask it.
--
--     local api = kubernetes.start { ["prod/configmaps/agent-env"] = '{"kind":"ConfigMap", …}' }
--     local pod = api:pod(dir)   -- what epoch.kubernetes is given in a pod; its token is in dir
--     … api:stop()
--
-- A map called answers-NNN is answered with that status.

local server = require "spec.support.server"
local work = require "spec.support.work"

local M = {}

M.TOKEN = "the-token"

local API = [[
  if ngx.var.http_authorization ~= "Bearer the-token" then
    ngx.status = 401
    return ngx.say('{"kind":"Status","code":401}')
  end
  local what = ngx.var.uri:match("^/api/v1/namespaces/(.*)$")
  local status = tonumber(what:match("/answers%-(%d+)$"))
  local file = io.open("${dir}/" .. what:gsub("/", "+"))
  ngx.status = status or file and 200 or 404
  ngx.header["Location"] = status == 302 and "https://" .. ngx.var.http_host .. "/elsewhere" or nil
  ngx.say(file and file:read("*a") or '{"kind":"Status"}')
  if file then
    file:close()
  end
]]

local Api = {}
Api.__index = Api

--- Has a map, by what its URL ends with, from now on.
---@param what string NAMESPACE/configmaps/NAME
---@param json string
function Api:put(what, json)
  work.write_file(self.web.dir .. "/" .. what:gsub("/", "+"), json)
end

--- Where the server is, as a pod's environment has it; its service account has `dir` to itself.
---@param dir string
---@return table given
function Api:pod(dir)
  local host, port = self.web.tls_url:match("^https://(.*):(%d+)$")
  local env = { KUBERNETES_SERVICE_HOST = host, KUBERNETES_SERVICE_PORT = port }
  work.write_file(dir .. "/token", M.TOKEN .. "\n")
  work.write_file(dir .. "/ca.crt", work.read_file(self.web.ca))
  return { getenv = function(name) return env[name] end, service_account = dir, kubectl = "/nonexistent" }
end

function Api:stop()
  self.web:stop()
end

--- Starts one that has these maps.
---@param maps table<string, string>
function M.start(maps)
  local self = setmetatable({ web = server.start { tls = true, locations = { ["/api/"] = server.lua(API) } } }, Api)
  for what, json in pairs(maps) do
    self:put(what, json)
  end
  return self
end

return M
