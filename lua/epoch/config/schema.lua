--- What can be configured: the names, what each may be, its default, its environment
-- variable, and which values nobody may see.
local gateway = require "epoch.config.gateway"
local hosts = require "epoch.host"

local M = {}

local function check_hosts(given)
  for host in pairs(given) do
    local ok, err = hosts.check(host)
    if not ok then
      return nil, "has a wrong key: " .. err.message
    end
  end
  return true
end

local HOST = {
  ca_cert = { type = "string", min = 1 },
  client_cert = { type = "string", min = 1 },
  client_key = { type = "string", min = 1 },
  credentials = { type = "function" },
  mirrors = { array = { type = "string", min = 1 } },
  plain_http = { type = "boolean" },
  proxy = { type = "string" },
  token = { type = "string", min = 1 },
}

local S3 = {
  access_key = { type = "string", min = 1 },
  bucket = { type = "string", min = 1 },
  endpoint = { type = "string", min = 1 },
  env_file = { type = "string", min = 1 },
  path_style = { type = "boolean" },
  prefix = { type = "string" },
  region = { type = "string", min = 1 },
  secret_key = { type = "string", min = 1 },
  secure = { type = "boolean" },
  session_token = { type = "string", min = 1 },
}

--- For epoch.options.
M.OPTIONS = {
  ca_cert = { type = "string", min = 1 },
  client_cert = { type = "string", min = 1 },
  client_key = { type = "string", min = 1 },
  cocoon_binary = { type = "string", min = 1 },
  concurrency = { type = "integer", min = 1, max = 64 },
  credentials = { type = "function" },
  gateway = { fields = gateway.FIELDS },
  hosts = { map = { fields = HOST }, check = check_hosts },
  on_pushed = { type = "function" },
  plain_http = { type = "boolean" },
  progress = { enum = { "auto", "bar", "plain", "json", "none" } },
  proxy = { type = "string" },
  public_url = { type = "string", min = 1 },
  registry = { type = "string", min = 1 },
  s3 = { fields = S3 },
  spool_dir = { type = "string", min = 1 },
  token = { type = "string", min = 1 },
  upload_dir = { type = "string", min = 1 },
}

M.DEFAULTS = {
  concurrency = 4,
  plain_http = false,
  progress = "auto",
  s3 = { prefix = "epoch/" },
  spool_dir = "/var/tmp",
}

--- Environment variables: where each goes, "boolean" where it is not a string.
M.ENVIRONMENT = {
  EPOCH_CA_CERT = { "ca_cert" },
  EPOCH_COCOON_BINARY = { "cocoon_binary" },
  EPOCH_PUBLIC_URL = { "public_url" },
  EPOCH_REGISTRY_TOKEN = { "token" },
  EPOCH_S3_ACCESS_KEY = { "s3", "access_key" },
  EPOCH_S3_BUCKET = { "s3", "bucket" },
  EPOCH_S3_ENDPOINT = { "s3", "endpoint" },
  EPOCH_S3_ENV_FILE = { "s3", "env_file" },
  EPOCH_S3_PATH_STYLE = { "s3", "path_style", boolean = true },
  EPOCH_S3_PREFIX = { "s3", "prefix" },
  EPOCH_S3_REGION = { "s3", "region" },
  EPOCH_S3_SECRET_KEY = { "s3", "secret_key" },
  EPOCH_S3_SECURE = { "s3", "secure", boolean = true },
  EPOCH_S3_SESSION_TOKEN = { "s3", "session_token" },
  EPOCH_SERVER = { "registry" },
  EPOCH_UPLOAD_DIR = { "upload_dir" },
}

--- Their last names, wherever they stand.
M.SECRET = { token = true, access_key = true, secret_key = true, session_token = true }

return M
