--- The part of nginx's configuration that gets blobs from a bucket, as text. Pure.
--
-- The values of what is asked come from epoch.gateway.origin. Nothing of the client's is passed on but
-- what that puts there; a store that stalls is given up after 15 seconds, without anybody waiting for
-- it but who has asked.
local M = {}

---@class epoch.gateway.conf.origin
---@field scheme "http"|"https"
---@field host string HOST[:PORT], as epoch.s3.endpoint has it
---@field ca string? PEM: who signs the store's certificate

local UPSTREAM = [[
  upstream epoch_origin {
    server %s max_fails=0;
    keepalive 32;
  }
]]

-- In the order of proxy_set_header: what an empty value stands for is not sent. That goes for the length of
-- the client's body, too, which nginx would announce without the body: the store would take the next request
-- on the connection, somebody else's, for it.
local LOCATION = [[
    location /_epoch/s3/ {
      internal;
      set $epoch_s3_method "GET";
      set $epoch_s3_path "/";
      set $epoch_s3_host "";
      set $epoch_s3_authorization "";
      set $epoch_s3_date "";
      set $epoch_s3_payload "";
      set $epoch_s3_token "";
      set $epoch_s3_range "";
      access_by_lua_block { require("epoch.gateway.origin").sign() }
      header_filter_by_lua_block { require("epoch.gateway.origin").filter() }
      proxy_pass ${scheme}://epoch_origin$epoch_s3_path;
      proxy_method $epoch_s3_method;
      proxy_http_version 1.1;
      proxy_pass_request_headers off;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Transfer-Encoding "";
      proxy_set_header Host $epoch_s3_host;
      proxy_set_header Connection "";
      proxy_set_header Authorization $epoch_s3_authorization;
      proxy_set_header X-Amz-Date $epoch_s3_date;
      proxy_set_header X-Amz-Content-Sha256 $epoch_s3_payload;
      proxy_set_header X-Amz-Security-Token $epoch_s3_token;
      proxy_set_header Range $epoch_s3_range;
      proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset
        Expires Cache-Control Set-Cookie Vary;
      proxy_buffering off;
      proxy_buffer_size 64k;
      proxy_buffers 8 64k;
      proxy_connect_timeout 5s;
      proxy_send_timeout 15s;
      proxy_read_timeout 15s;
      proxy_intercept_errors on;
      error_page 301 302 303 304 307 308 400 401 403 404 405 408 409 411 412 416 429 500 501 502 503 504 505
        = @epoch_s3_failed;
${tls}    }
    location @epoch_s3_failed { content_by_lua_block { require("epoch.gateway.origin").failed() } }
]]

local TLS = [[
      proxy_ssl_server_name on;
      proxy_ssl_name ${name};
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 5;
      proxy_ssl_trusted_certificate ${ca};
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
]]

local function with_port(origin)
  return origin.host:find(":%d+$") and origin.host or origin.host .. (origin.scheme == "https" and ":443" or ":80")
end

--- The upstream, for the http block.
---@param origin epoch.gateway.conf.origin
---@return string
function M.upstream(origin)
  return UPSTREAM:format(with_port(origin))
end

--- The locations, for the server block.
---@param origin epoch.gateway.conf.origin
---@param word fun(value: string): string a word of nginx.conf
---@return string
function M.location(origin, word)
  local values = { scheme = origin.scheme, tls = "" }
  if origin.scheme == "https" then
    local name = origin.host:gsub(":%d+$", ""):gsub("[%[%]]", "")
    values.tls = (TLS:gsub("%${(%w+)}", { name = word(name), ca = word(assert(origin.ca)) }))
  end
  return (LOCATION:gsub("%${(%w+)}", values))
end

return M
