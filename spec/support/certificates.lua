--- Keys and certificates for the servers of specs, made with the openssl program.

local M = {}

local function write_file(path, text)
  local f = assert(io.open(path, "wb"))
  assert(f:write(text))
  assert(f:close())
end

local NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

--- Writes a CA, a certificate for localhost and 127.0.0.1 ("server"), one for another host
-- ("stranger") and one for a client ("client") into `dir`.
---@param dir string
---@return table<string, string> paths ca, server, server_key, stranger, stranger_key, client, client_key
function M.make(dir)
  local function path(name)
    return dir .. "/" .. name
  end
  local function openssl(...)
    local command = "openssl " .. string.format(...)
    local ok = os.execute(command .. " >>" .. path("openssl.log") .. " 2>&1")
    assert(ok == true or ok == 0, "openssl failed: see " .. path("openssl.log"))
  end
  local function sign(name, extension)
    write_file(path(name .. ".ext"), extension .. "\n")
    openssl("req %s -subj /CN=%s -keyout %s -out %s", NEW_KEY, name, path(name .. ".key"), path(name .. ".csr"))
    openssl("x509 -req -in %s -CA %s -CAkey %s -CAcreateserial -days 30 -extfile %s -out %s",
      path(name .. ".csr"), path("ca.pem"), path("ca.key"), path(name .. ".ext"), path(name .. ".pem"))
  end
  openssl("req -x509 %s -days 30 -subj /CN=spec-ca -keyout %s -out %s", NEW_KEY, path("ca.key"), path("ca.pem"))
  sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
  sign("stranger", "subjectAltName=DNS:stranger.invalid")
  sign("client", "extendedKeyUsage=clientAuth")
  return {
    ca = path("ca.pem"),
    server = path("server.pem"),
    server_key = path("server.key"),
    stranger = path("stranger.pem"),
    stranger_key = path("stranger.key"),
    client = path("client.pem"),
    client_key = path("client.key"),
  }
end

return M
