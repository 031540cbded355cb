--- The gateway: a registry inside nginx, a function for each of its phases.
--
--     init_by_lua_block        { require("epoch.gateway").setup { gateway = { store = "file:///srv/vms" } } }
--     init_worker_by_lua_block { require("epoch.gateway").start() }
--     location / {
--       access_by_lua_block    { require("epoch.gateway").access() }
--       content_by_lua_block   { require("epoch.gateway").content() }
--       error_page             500 503 @epoch_failed;
--     }
--     location @epoch_failed   { content_by_lua_block { require("epoch.gateway").failed() } }
--     log_by_lua_block         { require("epoch.gateway").log() }
--
-- examples/openresty/nginx.conf is complete. nginx moves the bytes, Lua decides, and what takes
-- time happens in threads (epoch.gateway.threads).
local access = require "epoch.gateway.access"
local audit = require "epoch.gateway.audit"
local core = require "epoch.core"
local errors = require "epoch.errors"
local metrics = require "epoch.gateway.metrics"
local ngx = require "ngx"
local origin = require "epoch.gateway.origin"
local reply = require "epoch.gateway.reply"
local routes = require "epoch.gateway.routes"
local settings = require "epoch.gateway.settings"
local store = require "epoch.gateway.store"
local threads = require "epoch.gateway.threads"

local M = {}

local UMASK = tonumber("022", 8)

-- Which module has a route's action; they are loaded before there are workers, which share them.
local HANDLERS = {
  blob_delete = "blobs", blob_get = "blobs", blob_put = "uploads",
  catalog = "listings", tags = "listings", referrers = "listings",
  download = "download",
  api_delete = "api", api_repositories = "api", api_repository = "api", api_stats = "api", api_tag = "api",
  api_tags = "api",
  healthz = "status", ping = "status", readyz = "status",
  metrics = "metrics", token = "access.flow",
  manifest_delete = "manifests", manifest_get = "manifests", manifest_put = "manifests",
  upload_append = "uploads", upload_cancel = "uploads", upload_finish = "uploads", upload_start = "uploads",
  upload_status = "uploads",
}

local function handler_of(action)
  local module = "epoch.gateway." .. HANDLERS[action]
  return require(module)[action]
end

--- Loads the configuration: for init_by_lua. Raises what is wrong with it, so nginx does not start.
---@param options table? settings, and `config`, the file that has the others
function M.setup(options)
  local ok, err = settings.load(options)
  if ok then
    ok, err = origin.setup()
  end
  if ok then
    ok, err = access.configure()
  end
  if not ok then
    error(tostring(err), 2)
  end
  for action in pairs(HANDLERS) do
    handler_of(action)
  end
end

-- nginx as a daemon has no umask: what it stores would be everybody's to change.
local function protect_files()
  local before = core.umask(UMASK)
  if before ~= 0 then
    core.umask(before)
  end
end

--- For init_worker_by_lua: opens what each worker has of its own.
function M.start()
  protect_files()
  store.here()
  metrics.start()
end

-- What is known of a request from here to its end.
local function begin(route, method)
  route.method = method
  ngx.ctx.epoch = route
  ngx.var.epoch_action = route.action
  ngx.var.epoch_name = route.name or ""
  metrics.begin(route.action)
  audit.begin(route)
end

--- Finds out what is asked for, and whether it may be: for access_by_lua.
function M.access()
  local method = ngx.req.get_method()
  local ok, err, code = access.arrive(method)
  if ok == "answered" then
    return ngx.exit(ngx.HTTP_OK)
  end
  local route, allow
  if ok then
    ok, err, code = routes.check_sent(ngx.var.request_uri)
  end
  if ok then
    route, err, code, allow = routes.parse(method, ngx.var.uri)
    ok = route
  end
  if ok then
    begin(route, method)
    ok, err, code = access.admit(route)
  end
  if not ok then
    reply.header("Allow", allow)
    reply.fail(err, code)
    return ngx.exit(ngx.HTTP_OK)
  end
end

--- Answers: for content_by_lua.
function M.content()
  local request = ngx.ctx.epoch
  local ok, err, code = handler_of(request.action)(request)
  if not ok then
    reply.fail(err, code)
  end
end

--- Says what nginx could not do by itself, such as spooling a body to a disk that is full, as the
--- specification has it: for an error_page.
function M.failed()
  reply.fail(errors.new(ngx.status == 503 and "busy" or "internal",
    ("nginx answers %d; its log says why"):format(ngx.status)))
end

--- For log_by_lua.
function M.log()
  threads.release()
  local status, seconds = ngx.status, math.max(0, ngx.now() - ngx.req.start_time())
  metrics.finish(ngx.var.epoch_action, status, seconds, tonumber(ngx.var.request_length), tonumber(ngx.var.bytes_sent))
  local request = audit.ending()
  local event = request and audit.tell(request, status, seconds)
  if event then
    metrics.event(event, request.refused)
  end
end

return M
