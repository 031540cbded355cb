--- A registry that works, and goes wrong where a test wants it: in its next answers to one
-- request of one repository. What it has of vms/demo it has of every copies/NAME, too, and
-- the bytes of nothing else.

local core = require "epoch.core"
local json = require "epoch.json"
local http = require "spec.support.http"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"

local M = {}

local INIT = [[
  local ffi = require "ffi"
  ffi.cdef "unsigned char *SHA256(const unsigned char *bytes, size_t n, unsigned char *digest);"

  local function digest_of(bytes)
    local raw = ffi.new("unsigned char[32]")
    ffi.C.SHA256(bytes, #bytes, raw)
    return "sha256:" .. ffi.string(raw, 32):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  end

  local function find(kind, repo, key)
    return store:get(kind .. repo .. ":" .. key)
      or repo:find("^copies/") and store:get(kind .. "vms/demo:" .. key) or nil
  end

  -- Until the test says so, or the client is gone.
  local function hold(repo)
    store:set("held:" .. repo, true)
    while not store:get("go:" .. repo) do
      ngx.sleep(0.02)
    end
  end

  -- What goes wrong now with this request, if anything; what all requests have in common is
  -- done here, and answered with true.
  local function fault(repo, what)
    local how = store:lpop("fault:" .. repo .. ":" .. what)
    if store:get("guarded:" .. repo) and authorization() ~= "Bearer fresh" then
      how = "401"
    end
    if how == "401" then
      store:set("guarded:" .. repo, true)
      body()
      return true, answer(401, "", { ["WWW-Authenticate"] = ('Bearer realm="http://%s/token"'):format(host()) })
    elseif how == "307" then
      body()
      return true, answer(307, "", { Location = store:get("url:other") .. ngx.var.request_uri })
    elseif how and how:find("^%d+$") then
      body()
      return true, answer(tonumber(how))
    elseif how == "hang up" then
      return true, ngx.exit(444)
    elseif how == "hold" then
      hold(repo)
    end
    return how
  end

  local CHANGED = {
    flip = function(bytes) return bytes:sub(1, -2) .. string.char((bytes:byte(-1) + 1) % 256) end,
    longer = function(bytes) return bytes .. "x" end,
    shorter = function(bytes) return bytes:sub(1, -2) end,
  }

  -- The half of an answer that comes before its fault.
  local function give(repo, bytes, how)
    bytes = CHANGED[how] and CHANGED[how](bytes) or bytes
    local first = ngx.req.get_method() == "GET" and (ngx.req.get_headers().range or ""):match("^bytes=(%d+)%-")
    local from = how == "whole" and 0 or tonumber(first) or 0
    ngx.status = from > 0 and 206 or 200
    ngx.header["Content-Range"] = from > 0 and ("bytes %d-%d/%d"):format(from, #bytes - 1, #bytes) or nil
    ngx.header["Content-Length"] = #bytes - from
    local half = from + math.ceil((#bytes - from) / 2)
    ngx.print(bytes:sub(from + 1, half))
    if how == "cut" or how == "reset" or how == "slow" or how == "hold half" then
      ngx.flush(true)
      ngx.sleep(how == "slow" and 0.3 or 0.02)
    end
    if how == "hold half" then
      hold(repo)
    elseif how == "cut" then
      return ngx.exit(ngx.ERROR)
    elseif how == "reset" then
      return ngx.exit(444)
    end
    ngx.print(bytes:sub(half + 1))
    return ngx.exit(ngx.OK)
  end

  local function end_session(repo, id)
    local key = "session:" .. repo .. ":" .. id
    if store:get(key) then
      store:delete(key)
      store:incr("open:" .. repo, -1)
    end
  end

  local function take_blob(repo, id, digest, how)
    if how == "reset" or how == "hold half" then
      ngx.req.socket():receive(math.ceil(tonumber(ngx.var.http_content_length) / 2))
      if how == "hold half" then hold(repo) end
      return ngx.exit(444)
    end
    local bytes = body()
    if how == "slow" then
      ngx.sleep(0.3)
    elseif how == "session lost" then
      end_session(repo, id)
      return answer(404, '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
    end
    if digest_of(how == "flip" and bytes .. "x" or bytes) ~= digest then
      return answer(400, '{"errors":[{"code":"DIGEST_INVALID"}]}')
    end
    store:set("size:" .. repo .. ":" .. digest, #bytes)
    if repo == "vms/demo" then store:set("blob:" .. repo .. ":" .. digest, bytes) end
    end_session(repo, id)
    if how == "answer lost" then return ngx.exit(444) end
    return answer(201)
  end

  local function uploads(repo, id, method)
    if method == "POST" then
      local how, result = fault(repo, "POST")
      if how == true then return result end
      local new = store:incr("ids", 1, 0)
      store:set("session:" .. repo .. ":" .. new, true)
      store:incr("open:" .. repo, 1, 0)
      if how == "late" then
        store:set("held:" .. repo, true)
        ngx.sleep(1.5)
      end
      return answer(202, "", { Location = ("/v2/%s/blobs/uploads/%d?state=x"):format(repo, new) })
    elseif method == "DELETE" then
      end_session(repo, id)
      return answer(204)
    end
    local digest = ngx.var.arg_digest
    local how, result = fault(repo, "PUT " .. digest)
    if how == true then return result end
    return take_blob(repo, id, digest, how)
  end

  local function blobs(repo, digest, method)
    local how, result = fault(repo, method .. " " .. digest)
    local size = find("size:", repo, digest)
    if how == true then
      return result
    elseif not size then
      return answer(404, '{"errors":[{"code":"BLOB_UNKNOWN"}]}')
    elseif method == "HEAD" then
      ngx.header["Content-Length"] = size
      return ngx.exit(200)
    end
    return give(repo, find("blob:", repo, digest), how)
  end

  local function put_manifest(repo, tag, bytes, how)
    for digest in bytes:gmatch("sha256:%x+") do
      if not store:get("size:" .. repo .. ":" .. digest) or how == "blob missing" then
        return answer(404, '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}')
      end
    end
    store:set("manifest:" .. repo .. ":" .. tag, bytes)
    if how == "answer lost" then return ngx.exit(444) end
    return answer(201)
  end

  local function manifests(repo, tag, method)
    local how, result = fault(repo, method .. " manifest")
    local bytes = find("manifest:", repo, tag)
    if how == true then
      return result
    elseif method == "PUT" then
      return put_manifest(repo, tag, body(), how)
    elseif not bytes then
      return answer(404, '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
    end
    ngx.header["Content-Type"] = "application/vnd.oci.image.manifest.v1+json"
    return give(repo, bytes, how)
  end

  function registry()
    local uri, method = ngx.var.uri, ngx.req.get_method()
    if "http://" .. host() == store:get("url:other") and authorization() ~= "-" then
      note("leaks", uri)
    end
    for pattern, serve in pairs {
      ["^/v2/(.-)/blobs/uploads/(%d*)$"] = uploads,
      ["^/v2/(.-)/blobs/(sha256:%x+)$"] = blobs,
      ["^/v2/(.-)/manifests/([^/]+)$"] = manifests,
    } do
      local repo, key = uri:match(pattern)
      if repo then return serve(repo, key, method) end
    end
    return answer(uri == "/v2/" and 200 or 404)
  end

  function plan(repo, what, steps)
    for how in steps:gmatch("[^,]+") do
      store:rpush("fault:" .. repo .. ":" .. what, how)
    end
  end

  function drop(repo, what)
    store:delete("fault:" .. repo .. ":" .. what)
    store:delete("guarded:" .. repo)
    store:set("go:" .. repo, true)
  end

  function state(repo, what)
    ngx.print(('{"open":%d,"tagged":%s,"held":%s,"left":%d}'):format(store:get("open:" .. repo) or 0,
      tostring(store:get("manifest:" .. repo .. ":v1") ~= nil), tostring(store:get("held:" .. repo) ~= nil),
      store:llen("fault:" .. repo .. ":" .. what)))
  end
]]

local ARGUMENTS = "local a = ngx.req.get_uri_args()\n"

local Registry = {}
Registry.__index = Registry

function M.start()
  local s = script.start({}, {
    ["/v2/"] = server.lua "registry()",
    ["= /token"] = server.lua [[ answer(200, '{"token":"fresh"}') ]],
    ["= /plan"] = server.lua(ARGUMENTS .. "plan(a.repo, a.what, a.steps)"),
    ["= /drop"] = server.lua(ARGUMENTS .. "drop(a.repo, a.what)"),
    ["= /state"] = server.lua(ARGUMENTS .. "state(a.repo, a.what)"),
  }, { init = INIT, http = "reset_timedout_connection on;\nlua_check_client_abort on;" })
  script.set(s, "url:other", s.other_url)
  return setmetatable({ server = s, url = s.url, loop = assert(core.loop { threads = 0 }) }, Registry)
end

local function ask(self, path, arguments)
  local words = {}
  for key, value in pairs(arguments) do
    words[#words + 1] = key .. "=" .. value:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
  end
  local url = self.url .. path .. "?" .. table.concat(words, "&")
  local answer = assert(http.fetch(self.loop, { url = url, proxy = "" }))
  assert(answer.status == 200, answer.body)
  return answer.body
end

--- What the answers to a request ("GET sha256:…", "PUT sha256:…", "HEAD sha256:…", "POST",
--- "GET manifest", "PUT manifest") are to be, one after the other: a status, "flip", "longer",
--- "shorter", "cut", "reset", "slow", "hold", "hold half", "hang up", "whole" (and no range),
--- "session lost", "answer lost", "blob missing", "late" (done, and answered after a while).
function Registry:plan(repo, what, steps)
  ask(self, "/plan", { repo = repo, what = what, steps = steps })
end

--- From now on all goes well.
function Registry:drop(repo, what)
  ask(self, "/drop", { repo = repo, what = what or "-" })
end

--- How it is: upload sessions that are open, is v1 there, is a request held, how many steps of
--- a plan have not been asked for.
---@return { open: integer, tagged: boolean, held: boolean, left: integer }
function Registry:state(repo, what)
  return assert(json.decode(ask(self, "/state", { repo = repo, what = what or "-" })))
end

--- The manifest of vms/demo.
function Registry:manifest()
  return ask(self, "/v2/vms/demo/manifests/v1", {})
end

--- What came to the other host with credentials.
function Registry:leaks()
  return script.seen(self.server, "leaks")
end

function Registry:stop()
  self.loop:close()
  self.server:stop()
end

return M
