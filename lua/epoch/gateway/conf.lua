--- The configuration of an nginx that is a gateway and nothing else, as a text: for `epoch serve`.
-- examples/openresty/nginx.conf is the same for people, with what each line is for.
--
-- Values are quoted where nginx and Lua can quote them. What neither can carry is refused.
local downloads = require "epoch.gateway.conf.downloads"
local errors = require "epoch.errors"
local origins = require "epoch.gateway.conf.origin"
local text = require "epoch.text"

local M = {}

--- Threads that work with the store, and threads that hash and move: each keeps a Lua state.
M.STORE_THREADS = 4
M.BYTES_THREADS = 4
--- Threads that send files, so that nobody else waits for what has to be read from the disk.
M.FILE_THREADS = 8

local function refuse(what, value, why)
  return errors.fail("usage", ("%s %s cannot be given to nginx: %s"):format(what, text.quote(value), why))
end

-- A word of nginx.conf. In double quotes only these two mean something everywhere; "$" does where
-- a directive takes variables, and cannot be escaped there.
local function word(value)
  return '"' .. value:gsub('[\\"]', "\\%0") .. '"'
end

-- Inside a Lua block: only letters, digits and what cannot end a string stand for themselves.
local function lua_string(value)
  return '"' .. value:gsub("[^%w _./:@,+-]", function(c) return ("\\%03d"):format(c:byte()) end) .. '"'
end

local function lua_value(value, indent)
  if type(value) == "string" then
    return lua_string(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  end
  local names, lines = {}, {}
  for name in pairs(value) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    lines[i] = ("%s  [%s] = %s,\n"):format(indent, lua_string(name), lua_value(value[name], indent .. "  "))
  end
  return "{\n" .. table.concat(lines) .. indent .. "}"
end

-- Whether values are what nginx can be given: what each of them is, and what may not be in it.
local PATHS = {
  { "directory", "the private directory" },
  { "body_directory", "the directory for what is uploaded" },
  { "store", "the store" },
}

local function check_path(value, what, dollar)
  if value:sub(1, 1) ~= "/" then
    return refuse(what, value, "it must be an absolute path")
  elseif value:find("%c") then
    return refuse(what, value, "it has a control character")
  elseif not dollar and value:find("$", 1, true) then
    return refuse(what, value, 'nginx would take what follows the "$" for a variable')
  end
  return true
end

-- Lists of Lua's own, which have no escapes.
local function check_search_path(what, value)
  if value:find("[%c$]") then
    return refuse(what, value, 'it has a control character or a "$"')
  end
  return true
end

local function check(values)
  local ca = values.origin and values.origin.ca
  if ca then
    local ok, err = check_path(ca, "the file of the store's certificates")
    if not ok then
      return nil, err
    end
  end
  for _, entry in ipairs(PATHS) do
    local value = values[entry[1]]
    if value then
      local ok, err = check_path(value, entry[2], true)
      if not ok then
        return nil, err
      end
    end
  end
  for _, name in ipairs { "certificate", "key" } do
    local ok, err = true, nil
    if values.tls then
      ok, err = check_path(values.tls[name], "the file of the " .. name)
    end
    if not ok then
      return nil, err
    end
  end
  for _, name in ipairs { "lua_path", "lua_cpath" } do
    local ok, err = check_search_path("the search path of Lua", values[name])
    if not ok then
      return nil, err
    end
  end
  for _, name in ipairs(values.environment) do
    assert(name:find("^[%a_][%w_]*$"), name)
  end
  return true
end

local function each(list, form)
  local lines = {}
  for i, one in ipairs(list) do
    lines[i] = form:format(one)
  end
  return table.concat(lines)
end

local function modules(values)
  local quoted = {}
  for i, path in ipairs(values.modules) do
    quoted[i] = word(path)
  end
  return each(quoted, "load_module %s;\n")
end

local MAIN = [[
${modules}${user}daemon off;
worker_processes ${workers};
worker_rlimit_nofile ${files};
worker_shutdown_timeout ${shutdown}s;
pid ${pid};
lock_file ${lock};
error_log stderr ${level};
${env}thread_pool epoch_store threads=${store_threads};
thread_pool epoch_bytes threads=${bytes_threads};
thread_pool epoch_files threads=${file_threads};
events { worker_connections ${connections}; }
http {
  access_log off;
  server_tokens off;
  default_type application/octet-stream;
  client_max_body_size 0;
  client_body_temp_path ${body};
  proxy_temp_path ${proxy};
  fastcgi_temp_path ${fastcgi};
  uwsgi_temp_path ${uwsgi};
  scgi_temp_path ${scgi};
  reset_timedout_connection on;
${dollar}${resolver}  lua_package_path ${lua_path};
  lua_package_cpath ${lua_cpath};
  lua_shared_dict epoch 8m;
  lua_shared_dict epoch_api 8m;
  lua_worker_thread_vm_pool_size ${threads};
  lua_socket_log_errors off;
  lua_socket_buffer_size 64k;
  init_by_lua_block {
    require("epoch.gateway").setup ${setup}
  }
  init_worker_by_lua_block { require("epoch.gateway").start() }
${upstream}  server {
${listen}    merge_slashes off;
    uninitialized_variable_warn off;
    location @epoch_failed { content_by_lua_block { require("epoch.gateway").failed() } }
    location / {
      error_page 500 503 @epoch_failed;
      set $epoch_action "";
      set $epoch_name "";
      access_by_lua_block { require("epoch.gateway").access() }
      content_by_lua_block { require("epoch.gateway").content() }
      client_body_in_file_only clean;
      client_body_buffer_size 64k;
    }
${dl}${blobs}    log_by_lua_block { require("epoch.gateway").log() }
  }
${inside}}
]]

-- Blobs of a directory store.
local FILE = [[
    location /_epoch/file/ {
      internal;
      alias ${root};
      types {}
      etag off;
      sendfile on;
      sendfile_max_chunk 512k;
      aio threads=epoch_files;
      tcp_nopush on;
    }
]]

local TLS = [[
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:epoch_tls:1m;
]]

local function fill(form, values)
  return (form:gsub("%${([%w_]+)}", function(name)
    return (assert(values[name], name))
  end))
end

-- A "$" where nginx takes variables is one, whose value is a "$".
local function in_variables(value)
  return (word(value):gsub("%$", "${epoch_dollar}"))
end

local function listen(values)
  local tls = values.tls
  local flags = not tls and "" or tls.http2_directive and " ssl" or " ssl http2"
  if values.receive_buffer then
    flags = ("%s rcvbuf=%d"):format(flags, values.receive_buffer)
  end
  local lines = { ("    listen %s%s;\n"):format(values.listen, flags) }
  if tls then
    lines[2] = fill(TLS, { certificate = word(tls.certificate), key = word(tls.key) })
    lines[3] = tls.http2_directive and "    http2 on;\n" or nil
  end
  return table.concat(lines)
end

---@class epoch.gateway.conf.values
---@field modules string[] paths of modules to load
---@field root boolean? the master is root, and so are the workers to be
---@field workers integer
---@field files integer how many files a worker may have open
---@field directory string a private directory that is there
---@field body_directory string where request bodies are spooled
---@field level string of the error log
---@field environment string[] names of variables that workers see
---@field lua_path string
---@field lua_cpath string
---@field setup table what epoch.gateway.setup gets: plain values
---@field listen string ADDRESS:PORT
---@field receive_buffer integer? bytes that the system keeps of what a client sends, at most
---@field tls { certificate: string, key: string, http2_directive: boolean? }?
---@field store string? the directory that is served
---@field origin epoch.gateway.conf.origin? where the bucket is that is served
---@field resolvers string[] addresses of name servers
---@field shutdown integer seconds for what is going on at the end

--- The text, or nil and what nginx cannot be given.
---@param values epoch.gateway.conf.values
---@return string?
---@return epoch.Error?
function M.text(values)
  local ok, err = check(values)
  if not ok then
    return nil, err
  end
  local function inside(name)
    return word(values.directory .. "/" .. name)
  end
  local dollar = (values.store or ""):find("$", 1, true)
  local blobs = values.store and fill(FILE, { root = in_variables(values.store:gsub("/*$", "/", 1)) })
    or values.origin and origins.location(values.origin, word) or ""
  return fill(MAIN, {
    modules = modules(values),
    user = values.root and "user root root;\n" or "",
    workers = ("%d"):format(values.workers),
    files = ("%d"):format(values.files),
    connections = ("%d"):format(math.floor(values.files / 2)),
    shutdown = ("%d"):format(values.shutdown),
    level = values.level,
    pid = inside "nginx.pid", lock = inside "nginx.lock", proxy = inside "proxy", fastcgi = inside "fastcgi",
    uwsgi = inside "uwsgi", scgi = inside "scgi",
    body = word(values.body_directory),
    env = each(values.environment, "env %s;\n"),
    store_threads = ("%d"):format(M.STORE_THREADS),
    bytes_threads = ("%d"):format(M.BYTES_THREADS),
    file_threads = ("%d"):format(M.FILE_THREADS),
    threads = ("%d"):format(M.STORE_THREADS + M.BYTES_THREADS),
    dollar = dollar and '  geo $epoch_dollar { default "$"; }\n' or "",
    resolver = #values.resolvers > 0 and ("  resolver %s;\n"):format(table.concat(values.resolvers, " ")) or "",
    lua_path = word(values.lua_path), lua_cpath = word(values.lua_cpath),
    setup = lua_value(values.setup, "    "),
    listen = listen(values),
    upstream = values.origin and origins.upstream(values.origin) or "",
    dl = downloads.location(values.directory, word),
    blobs = blobs,
    inside = downloads.server(values.directory, word, blobs),
  })
end

return M
