--- The part of nginx's configuration for downloads that are made of several blobs, as text. Pure.
--
-- They get the blobs from nginx itself, by a socket in the private directory: only who may enter that,
-- these workers, reaches it. So nothing there asks who comes.
local M = {}

-- The kernel takes no longer names of sockets. Without one, threads read the blobs.
local MAX_SOCKET = 107

local LOCATION = [[
    location /dl/ {
      set $epoch_action "";
      set $epoch_name "";
      set $epoch_inside %s;
      access_by_lua_block { require("epoch.gateway").access() }
      content_by_lua_block { require("epoch.gateway").content() }
      lua_check_client_abort on;
      lua_socket_buffer_size 32k;
    }
]]

local SERVER = [[
  server {
    listen %s;
    uninitialized_variable_warn off;
    location / { content_by_lua_block { require("epoch.gateway.download").inside() } }
%s  }
]]

-- The address of the socket, "" where it cannot have one.
local function address(directory)
  local path = directory .. "/inside"
  return #path <= MAX_SOCKET and not path:find("$", 1, true) and "unix:" .. path or ""
end

--- The location, for the server block.
---@param directory string the private one
---@param word fun(value: string): string a word of nginx.conf
---@return string
function M.location(directory, word)
  return LOCATION:format(word(address(directory)))
end

--- The listener inside, for the http block.
---@param directory string
---@param word fun(value: string): string
---@param blobs string the locations that blobs come from
---@return string
function M.server(directory, word, blobs)
  local at = address(directory)
  return at ~= "" and SERVER:format(word(at), blobs) or ""
end

return M
