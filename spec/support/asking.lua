--- Asking a gateway, a request at a time, as specs of it do.
--
--     local answer = asking.ask(g, "/v2/vms/a/manifests/v1", { token = t })
--     answer.status, answer.headers["www-authenticate"], answer.body, answer:json()

local base64 = require "epoch.client.base64"
local http = require "spec.support.http"
local json = require "epoch.json"
local work = require "spec.support.work"

local M = {}

local Answer = {}
Answer.__index = Answer

--- The body as a value.
function Answer:json()
  return assert(json.decode(self.body))
end

--- The code of the first error in it.
function Answer:code()
  return self:json().errors[1].code
end

--- One request. `token`: as Bearer; `password`: the same with Basic.
---@param g table a gateway, or a table with its url
---@param path string
---@param given { method: string?, token: string?, password: string?, headers: table?, body: string? }?
function M.ask(g, path, given)
  given = given or {}
  local headers = {}
  for name, value in pairs(given.headers or {}) do
    headers[name] = value
  end
  if given.token then
    headers.Authorization = "Bearer " .. given.token
  elseif given.password then
    headers.Authorization = "Basic " .. base64.encode("anyone:" .. given.password)
  end
  local answer
  work.with_loop({ threads = 0 }, function(loop)
    answer = assert(http.fetch(loop, {
      url = g.url .. path, method = given.method, headers = headers, body = given.body, redirects = 0, proxy = "",
    }))
  end)
  local by_name = {}
  for _, pair in ipairs(answer.headers) do
    by_name[pair[1]:lower()] = pair[2]
  end
  return setmetatable({ status = answer.status, headers = by_name, body = answer.body }, Answer)
end

return M
