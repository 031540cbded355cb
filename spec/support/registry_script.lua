--- A registry that misbehaves on purpose: what the scripted nginx (server.lua) answers, by the
-- name of the repository asked for. `seen(key)` of it tells what arrived.

local http = require "spec.support.http"
local server = require "spec.support.server"
local work = require "spec.support.work"

local M = {}

-- On both sides: bytes of which no two parts are the same, so that one too many shows.
local NUMBERED = [[
  local made = {}
  return function(n)
    if not made[n] then
      local lines = {}
      for i = 1, n / 8 do
        lines[i] = ("%07d\n"):format(i)
      end
      made[n] = table.concat(lines)
    end
    return made[n]
  end
]]

M.numbered = (loadstring or load)(NUMBERED)() -- luacheck: ignore 113

local COMMON = [[
  local store = ngx.shared.store
  numbered = (function() ]] .. NUMBERED .. [[ end)()
  function note(key, value)
    store:set(key, (store:get(key) or "") .. tostring(value) .. "\n")
  end
  function count(key)
    return store:incr("n:" .. key, 1, 0)
  end
  function answer(status, body, headers)
    ngx.status = status
    for name, value in pairs(headers or {}) do
      ngx.header[name] = value
    end
    ngx.header["Content-Length"] = #(body or "")
    ngx.send_headers()
    ngx.print(body or "")
    return ngx.exit(ngx.OK) -- with the status nginx would act itself: on 408 it hangs up
  end
  function host() return ngx.var.http_host end
  function authorization() return ngx.req.get_headers().authorization or "-" end
  function body()
    ngx.req.read_body()
    local bytes = ngx.req.get_body_data()
    if not bytes and ngx.req.get_body_file() then
      local f = io.open(ngx.req.get_body_file(), "rb")
      bytes = f:read("*a")
      f:close()
    end
    return bytes or ""
  end
  -- a protected list of tags; the token must be the latest one that /token gave
  function guarded(repo, realm, scope)
    local current = store:get("token")
    note(repo, authorization())
    if current and authorization() == "Bearer " .. current and not (store:get("revoked") == current) then
      return answer(200, '{"name":"x","tags":["v1"]}')
    end
    return answer(401, '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', {
      ["WWW-Authenticate"] = ('Bearer realm="%s",service="spec"%s'):format(realm, scope or ""),
    })
  end
  -- uploads that go well; what is special of a repository comes before
  function upload(repo, rest)
    local method = ngx.req.get_method()
    note(repo, method .. " " .. authorization())
    if method == "HEAD" then
      local size = store:get(repo .. ":size")
      if not size then return answer(404) end
      ngx.header["Content-Length"] = size
      ngx.status = 200
      return ngx.exit(200)
    elseif method == "POST" then
      return answer(202, "", { Location = "/v2/" .. repo .. "/blobs/uploads/1?state=canary" })
    elseif method == "PUT" then
      store:set(repo .. ":size", #body())
      return answer(201)
    end
    return answer(405)
  end
  -- a blob, or the part of it that is asked for; of that `most` bytes, then the connection ends
  function blob(bytes, most, headers)
    local first, last = (ngx.req.get_headers().range or ""):match("^bytes=(%d+)%-(%d*)$")
    local from, to = tonumber(first) or 0, tonumber(last) or #bytes - 1
    ngx.status = first and 206 or 200
    ngx.header["Content-Range"] = first and ("bytes %d-%d/%d"):format(from, to, #bytes) or nil
    ngx.header["Content-Length"] = to - from + 1
    for name, value in pairs(headers or {}) do
      ngx.header[name] = value
    end
    ngx.print(bytes:sub(from + 1, math.min(to + 1, most and from + most or to + 1)))
    ngx.flush(true)
    return ngx.exit(most and 444 or ngx.OK)
  end
  function repeated(n) return ("x"):rep(n) end
]]

--- Starts it with `repositories`: Lua by name, which finds the path behind the name in `rest`;
--- `more` locations by path.
---@param repositories table<string, string>
---@param more table<string, string>?
---@param options table? of server.start, and `init`: functions for the Lua above
function M.start(repositories, more, options)
  local locations = {
    ["= /seen"] = server.lua "ngx.print(ngx.shared.store:get(ngx.var.arg_key) or '')",
    ["= /set"] = server.lua "ngx.shared.store:set(ngx.var.arg_key, ngx.var.arg_value)",
  }
  for name, code in pairs(repositories) do
    locations["^~ /v2/" .. name .. "/"] = server.lua(
      ("local repo, rest = %q, ngx.var.uri:sub(%d)\n"):format(name, #name + 6) .. code)
  end
  for path, code in pairs(more or {}) do
    locations[path] = code
  end
  options = options or {}
  local opts = { locations = locations }
  for key, value in pairs(options) do
    opts[key] = value
  end
  opts.init = nil
  opts.http = ("init_by_lua_block {%s%s}\n%s"):format(COMMON, options.init or "", options.http or "")
  return server.start(opts)
end

--- What the script has noted under a key: an array of lines.
function M.seen(s, key)
  local lines = {}
  work.with_loop({ threads = 0 }, function(loop)
    local text = assert(http.fetch(loop, { url = s.url .. "/seen?key=" .. key, proxy = "" })).body
    for line in text:gmatch("([^\n]*)\n") do
      lines[#lines + 1] = line
    end
  end)
  return lines
end

--- Sets a value that the script reads.
function M.set(s, key, value)
  work.with_loop({ threads = 0 }, function(loop)
    assert(http.fetch(loop, { url = ("%s/set?key=%s&value=%s"):format(s.url, key, value), proxy = "" }))
  end)
end

--- How often the server was asked for this, by its log: "GET /token" and the like.
function M.requests(s, what)
  M.seen(s, "-") -- its one worker has written about whatever came before this
  local n = 0
  for line in s:access_log():gmatch("[^\n]+") do
    if line:find(" " .. what, 1, true) then
      n = n + 1
    end
  end
  return n
end

return M
