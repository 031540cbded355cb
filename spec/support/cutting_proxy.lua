--- Between a client and a registry: a proxy that cuts one transfer in the middle, when told.

local script = require "spec.support.registry_script"

local M = {}

-- What comes from the client goes on as far as it may, then both connections end.
local UP = [[
  access_by_lua_block {
    local n = ngx.req.get_method() == "PUT" and tonumber(ngx.var.http_content_length or 0) > 0
      and ngx.shared.store:get("up")
    if n and n ~= "" then
      ngx.shared.store:delete("up")
      local registry = ngx.socket.tcp()
      assert(registry:connect("127.0.0.1", %d))
      assert(registry:send(ngx.req.raw_header()))
      assert(registry:send(assert(ngx.req.socket():receive(tonumber(n)))))
      ngx.sleep(0.1)
      registry:close()
      return ngx.exit(444)
    end
  }
]]

-- The same for an answer of more than that many bytes.
local DOWN = [[
  body_filter_by_lua_block {
    local n = tonumber(ngx.shared.store:get("down"))
    local length = tonumber(ngx.header["Content-Length"]) or 0
    if not n or ngx.req.get_method() ~= "GET" or length <= n then
      return
    end
    local passed = (ngx.ctx.passed or 0)
    if passed >= n then
      ngx.shared.store:delete("down")
      return ngx.ERROR
    end
    ngx.arg[1] = ngx.arg[1]:sub(1, n - passed)
    ngx.ctx.passed = passed + #ngx.arg[1]
  }
]]

local Proxy = {}
Proxy.__index = Proxy

--- The next upload that is one PUT ends after so many bytes.
function Proxy:cut_up(bytes)
  script.set(self.server, "up", bytes)
end

--- The next answer that is longer ends after so many bytes.
function Proxy:cut_down(bytes)
  script.set(self.server, "down", bytes)
end

--- How often the registry was asked for this: see registry_script.requests.
function Proxy:requests(what)
  return script.requests(self.server, what)
end

function Proxy:stop()
  self.server:stop()
end

--- Starts one in front of a registry (spec/support/registry.lua); its `url` is to be used.
function M.start(registry)
  local port = registry.host:match("%d+$")
  local s = script.start({}, {
    ["/v2/"] = UP:format(port) .. DOWN .. ([[
      proxy_pass http://127.0.0.1:%d;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Host $http_host;]]):format(port),
  })
  return setmetatable({ server = s, url = s.url }, Proxy)
end

return M
