--- An OCI registry over HTTP, as a home: blobs, manifests, tags, and how to get at them.
--
--     local registry = assert(client.new(task, { url = "https://registry.example/vms" }))
--     local manifest, err = registry:get_manifest("demo", "v1")
--
-- Whatever waits, waits in the task. What may be retried is, a few times. Credentials go to
-- the registry they were given for and to the token server it names, and nowhere else.
local address = require "epoch.client.address"
local auth = require "epoch.client.auth"
local blobs = require "epoch.client.blobs"
local credentials = require "epoch.client.credentials"
local errors = require "epoch.errors"
local listing = require "epoch.client.listing"
local manifests = require "epoch.client.manifests"
local options_of = require "epoch.options"
local retry = require "epoch.client.retry"
local sessions = require "epoch.client.session"
local transport = require "epoch.client.transport"
local version = require "epoch.version"

local Client = {}
Client.__index = Client

for _, methods in ipairs { blobs, manifests, listing.methods } do
  for name, method in pairs(methods) do
    Client[name] = method
  end
end

local M = {}

local SECONDS = { type = "number", min = 0 }

local SCHEMA = {
  url = { type = "string", required = true },
  plain_http = { type = "boolean" },
  ca_cert = { type = "string" },
  client_cert = { type = "string" },
  client_key = { type = "string" },
  token = { type = "string" },
  credentials = { type = "function" },
  docker_config = { type = { "string", "boolean" } },
  retries = { type = "integer", min = 0, max = 20, default = retry.TRIES - 1 },
  connect_timeout = SECONDS,
  header_timeout = SECONDS,
  low_speed_limit = { type = "integer", min = 0 },
  low_speed_time = SECONDS,
  user_agent = { type = "string", default = "epoch/" .. version },
  proxy = { type = "string" },
  page_size = { type = "integer", min = 1, max = 1000, default = 1000 },
  spool_dir = { type = "string" },
}

-- A token as it goes into a header; files with one end in a newline.
local function check_token(token, at, plain_http)
  token = token:match("^%s*(.-)%s*$")
  if token == "" then
    return false
  elseif token:find("[^\33-\126]") then
    return errors.fail("invalid", ("the token for %s has characters that no token has"):format(at.name))
  end
  local ok, err = address.may_confide(at.root, plain_http)
  if not ok then
    return nil, err
  end
  return token
end

-- What holds for every request, in the core's words.
local function request_options(options)
  return {
    ca_file = options.ca_cert, client_cert = options.client_cert, client_key = options.client_key,
    proxy = options.proxy, connect_timeout = options.connect_timeout, header_timeout = options.header_timeout,
    low_speed_limit = options.low_speed_limit, low_speed_time = options.low_speed_time,
  }
end

---@class epoch.client.Options
---@field url string [http[s]://]HOST[:PORT][/PATH]: https, but http for this machine's own addresses
---@field plain_http boolean? http where the url does not say; credentials go over it
---@field ca_cert string? PEM file, trusted beside the system's
---@field client_cert string?
---@field client_key string?
---@field token string? a bearer token, sent with every request
---@field credentials (fun(host: string): string|table|nil, string?)? name and password, or a table
---@field docker_config string|false|nil path of docker's config.json; false: not read
---@field retries integer? how often what failed is tried again: 4
---@field connect_timeout number? seconds, as all times
---@field header_timeout number?
---@field low_speed_limit integer?
---@field low_speed_time number?
---@field user_agent string?
---@field proxy string? by default from the environment; "": none
---@field page_size integer? of lists: 1000
---@field spool_dir string? for what a script's own reader gives

--- A registry. Nothing is sent yet.
---@param task epoch.task stays the caller's
---@param options epoch.client.Options
---@return epoch.client?
---@return epoch.Error?
function M.new(task, options)
  options = options_of.check("epoch.client", SCHEMA, options)
  local at, err = address.parse(options.url, options.plain_http)
  if not at then
    return nil, err
  end
  local token
  if options.token then
    token, err = check_token(options.token, at, options.plain_http)
    if token == nil then
      return nil, err
    end
  end
  local config = options.docker_config
  if config == true then
    config = nil
  end
  local wire = transport.new(task, request_options(options), {
    tries = options.retries + 1, user_agent = options.user_agent,
  })
  local who = credentials.new(task, { lookup = options.credentials, path = config })
  local permits = auth.new {
    address = at, transport = wire, credentials = who, token = token or nil, plain_http = options.plain_http,
  }
  return setmetatable({
    task = task, address = at, transport = wire, page_size = options.page_size, spool_dir = options.spool_dir,
    session = sessions.new { address = at, transport = wire, auth = permits },
  }, Client)
end

-- The name of a repository as the registry knows it.
function Client:full(name)
  return self.address.prefix .. name
end

-- What a token must be good for.
function Client:scope(name, actions)
  return ("repository:%s:%s"):format(self:full(name), actions)
end

--- Is it a registry, and does it take our credentials?
---@return true?
---@return epoch.Error?
function Client:ping()
  local answer, err = self.session:ask { method = "GET", path = "", scopes = {}, expect = { [200] = true } }
  if not answer then
    return nil, err
  end
  answer:discard()
  return true
end

--- For messages.
---@return string
function Client:describe()
  return self.address.url
end

--- Ends the use of the registry; the task goes on.
function Client:close()
  self.session = nil
end

return M
