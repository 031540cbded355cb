--- The configuration of a private nginx for specs (see server.lua).

local M = {}

local MODULES = { "/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules" }

local function read_file(path)
  local f = io.open(path, "rb")
  if not f then
    return nil
  end
  local text = f:read("*a")
  f:close()
  return text
end

--- A location whose answer is this Lua code.
---@param code string
---@return string
function M.lua(code)
  return "content_by_lua_block {\n" .. code .. "\n}"
end

--- A location that takes the connection over: `sock` is the raw socket, the request's head
-- has been read. The connection is closed at the end of the code.
---@param code string
---@return string
function M.raw(code)
  return M.lua("local sock = assert(ngx.req.socket(true))\n" .. code)
end

-- Sends a file as the whole answer, head and all.
local SEND_AS_IS = [[
  local f = io.open(%q, "rb")
  local bytes = f:read("*a")
  f:close()
  sock:send(bytes)]]

local function modules()
  for _, dir in ipairs(MODULES) do
    if read_file(dir .. "/ngx_http_lua_module.so") then
      return ("load_module %s/ndk_http_module.so;\nload_module %s/ngx_http_lua_module.so;\n")
        :format(dir, dir)
    end
  end
  return "" -- built in, as in OpenResty
end

local function user_line()
  local uid = assert(read_file("/proc/self/status")):match("Uid:%s+(%d+)")
  return uid == "0" and "user root root;\n" or ""
end

local CONF = [[
${modules}${user}worker_processes ${workers};
pid ${dir}/nginx.pid;
lock_file ${dir}/nginx.lock;
error_log ${dir}/error.log notice;
${main}
events { worker_connections 512; }
http {
  log_format spec '$server_port $connection $server_protocol $request_method $request_uri $status';
  access_log ${dir}/access.log spec;
  client_body_temp_path ${dir}/tmp/body;
  proxy_temp_path ${dir}/tmp/proxy;
  fastcgi_temp_path ${dir}/tmp/fastcgi;
  uwsgi_temp_path ${dir}/tmp/uwsgi;
  scgi_temp_path ${dir}/tmp/scgi;
  client_max_body_size 0;
  keepalive_requests 10000;
  sendfile on;
  default_type application/octet-stream;
  lua_shared_dict store 4m;
  lua_socket_log_errors off;
  ${http}
  init_worker_by_lua_block {
    ngx.timer.every(1, function()
      local owner = io.open("/proc/${owner}/stat")
      if owner then
        owner:close()
      else
        local pid = io.open("${dir}/nginx.pid")
        os.execute("kill " .. pid:read("*l") .. "; rm -rf ${dir}")
      end
    end)
  }
${servers}}
]]

local function server_block(listen, ...)
  local lines = { "  server {", "    listen " .. listen .. ";", "    root ${dir}/www;", ... }
  lines[#lines + 1] = "  }\n"
  return table.concat(lines, "\n")
end

local function key_lines(certs, name)
  return ("    ssl_certificate %s;\n    ssl_certificate_key %s;"):format(certs[name], certs[name .. "_key"])
end

--- Which listeners there are: the server's field with the URL, what is in it, what the block
-- says.
---@param opts spec.ServerOptions
---@param certs table?
---@return table[]
function M.listeners(opts, certs)
  local list = {
    { field = "url", scheme = "http", host = "127.0.0.1" },
    { field = "other_url", scheme = "http", host = "127.0.0.1" },
  }
  local function tls(field, extra)
    list[#list + 1] = { field = field, scheme = "https", host = "localhost", extra = extra,
      flags = opts.http2 and " ssl http2" or " ssl" }
  end
  if opts.tls then
    tls("tls_url", key_lines(certs, "server"))
    tls("stranger_url", key_lines(certs, "stranger"))
    tls("client_url", key_lines(certs, "server")
      .. ("\n    ssl_client_certificate %s;\n    ssl_verify_client on;"):format(certs.ca))
  end
  return list
end

local function locations_text(opts)
  local lines, i = {}, 0
  for path in pairs(opts.answers or {}) do
    i = i + 1
    lines[i] = ("    location = %s {\n%s\n    }"):format(path, M.raw(SEND_AS_IS:format("${dir}/answers" .. path)))
  end
  for match, directives in pairs(opts.locations or {}) do
    lines[#lines + 1] = ("    location %s {\n%s\n    }"):format(match, directives)
  end
  return table.concat(lines, "\n")
end

--- nginx.conf for listeners that have got their addresses.
---@param opts spec.ServerOptions
---@param list table[]
---@param dir string
---@return string
function M.text(opts, list, dir)
  local blocks = {}
  for i, l in ipairs(list) do
    blocks[i] = server_block(l.address .. (l.flags or ""), l.extra or "", locations_text(opts))
  end
  local values = {
    modules = modules(), user = user_line(), http = opts.http or "",
    main = opts.main or "", workers = ("%d"):format(opts.workers or 1), servers = table.concat(blocks),
    owner = assert(read_file("/proc/self/stat")):match("^%d+"),
  }
  local conf = CONF:gsub("%${(%w+)}", values)
  -- last, as locations may speak of the directory, too
  conf = conf:gsub("%${dir}", function() return dir end)
  return conf
end

return M
