--- The nginx that is here, and whether it can be a gateway.
local core = require "epoch.core"
local errors = require "epoch.errors"
local text = require "epoch.text"

local M = {}

-- Where distributions put it; people's PATH often lacks these.
local PLACES = "/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin:/usr/local/openresty/nginx/sbin:"
  .. "/usr/local/openresty/bin:/sbin"

local INSTALL = "on Debian: apt-get install nginx libnginx-mod-http-lua"

-- In this order: the second needs the first.
local MODULES = { "ndk_http_module.so", "ngx_http_lua_module.so" }

local function find(named)
  for _, name in ipairs(named and { named } or { "nginx", "openresty" }) do
    local path = core.which(name) or core.which(name, PLACES)
    if path then
      return path
    end
  end
  if named then
    return errors.fail("unsupported", ("EPOCH_NGINX is %s, and there is no such program"):format(text.quote(named)))
  end
  return errors.fail("unsupported", "nginx is not here: install it with its Lua module (" .. INSTALL
    .. "), or name it as EPOCH_NGINX")
end

-- What it says of itself, which goes to stderr.
local function ask(task, path)
  local process, message, code = task.loop:spawn { argv = { path, "-V" }, stdout = "null", stderr = false }
  if not process then
    return errors.fail(code, message)
  end
  local ended, err = task:await(process, "wait")
  process:close()
  if ended and ended.code ~= 0 then
    return errors.fail("unsupported", ("%s is no nginx: it does not know -V"):format(path))
  end
  return ended and ended.stderr, err
end

local function is_file(path)
  local stat = core.stat(path)
  return stat ~= nil and stat.type ~= "directory"
end

-- Modules that are files; none where they are built in.
local function modules(path, said)
  if said:find("lua%-nginx%-module") or said:find("ngx_lua") then
    return {}
  end
  local dir = said:match("%-%-modules%-path=(%S+)") or (said:match("%-%-prefix=(%S+)") or "") .. "/modules"
  local list = {}
  for i, name in ipairs(MODULES) do
    list[i] = dir .. "/" .. name
    if not is_file(list[i]) then
      return errors.fail("unsupported", ("%s has no Lua module: there is no %s; install it (%s), or name an "
        .. "OpenResty as EPOCH_NGINX"):format(path, text.printable(list[i]), INSTALL))
    end
  end
  return list
end

-- Since 1.25.1 HTTP/2 is a directive of its own.
local function is_since(said, major, minor, patch)
  local a, b, c = said:match("nginx version: %S-/(%d+)%.(%d+)%.(%d+)")
  local wanted, is = { major, minor, patch }, { tonumber(a), tonumber(b), tonumber(c) }
  for i = 1, 3 do
    if is[i] ~= wanted[i] then
      return (is[i] or 0) > wanted[i]
    end
  end
  return true
end

---@class epoch.cli.serve.nginx
---@field path string
---@field version string
---@field modules string[] files to load
---@field lualib string? where an OpenResty has its own modules
---@field http2_directive boolean

--- Finds it; what it lacks is an error that says what to install.
---@param task epoch.task
---@param getenv? fun(name: string): string?
---@return epoch.cli.serve.nginx?
---@return epoch.Error?
function M.find(task, getenv)
  local named = (getenv or os.getenv)("EPOCH_NGINX")
  local path, err = find(named ~= "" and named or nil)
  local said
  if path then
    said, err = ask(task, path)
  end
  if not said then
    return nil, err
  elseif not said:find("--with-threads", 1, true) then
    return errors.fail("unsupported", path .. " was built without threads (--with-threads), which the gateway needs")
  end
  local files
  files, err = modules(path, said)
  local lualib = (said:match("%-%-prefix=(%S+)") or ""):gsub("/nginx$", "") .. "/lualib"
  return files and {
    path = path, version = text.printable(said:match("nginx version: (%S+)") or "?"), modules = files,
    lualib = core.stat(lualib) and lualib or nil,
    http2_directive = is_since(said, 1, 25, 1),
  }, err
end

return M
