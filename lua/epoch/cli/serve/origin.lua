--- Where nginx finds the bucket that is served, and whose certificates it believes there.
local errors = require "epoch.errors"

local M = {}

-- Where systems keep the certificates that everybody believes.
local BUNDLES = {
  "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
}

local function is_there(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

local function bundle()
  local given = os.getenv("SSL_CERT_FILE")
  if given and is_there(given) then
    return given
  end
  for _, path in ipairs(BUNDLES) do
    if is_there(path) then
      return path
    end
  end
  return errors.fail("config", "there are no certificates to know the store by: install ca-certificates, or set "
    .. "ca_cert for its host in `hosts`")
end

--- For epoch.gateway.conf.
---@param home table a registry in a bucket
---@return epoch.gateway.conf.origin?
---@return epoch.Error?
function M.of(home)
  local at = home.store.endpoint
  local origin, err = { scheme = at.scheme, host = at.host }, nil
  if at.scheme == "https" then
    origin.ca = home.store.options.ca_cert
    if not origin.ca then
      origin.ca, err = bundle()
    end
  end
  return not err and origin or nil, err
end

return M
