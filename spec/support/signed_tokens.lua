--- Tokens as registries take them from a token server: JSON, signed with a key whose
-- certificate they trust.

local base64 = require "epoch.client.base64"
local json = require "epoch.json"
local work = require "spec.support.work"

local M = {}

M.service, M.issuer = "spec-registry", "spec-issuer"

local LIFETIME = 300

local function url_safe(bytes)
  return (base64.encode(bytes):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
end

local function openssl(...)
  local ok = os.execute(("openssl " .. string.format(...)) .. " 2>/dev/null")
  assert(ok == true or ok == 0, "openssl failed")
end

local Signer = {}
Signer.__index = Signer

--- A signer with a new key; `certificate` is the path of what a registry must trust.
---@param dir string
function M.signer(dir)
  local self = setmetatable({ dir = dir, certificate = dir .. "/token.pem" }, Signer)
  openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=spec-issuer -keyout %s/token.key -out %s", dir,
    self.certificate)
  self.chain = work.read_file(self.certificate):match("BEGIN CERTIFICATE%-+\n(.-)%-+END"):gsub("%s", "")
  return self
end

--- A token for what `access` lists: { type=, name=, actions= } each.
---@param access table[]
---@return string
function Signer:token(access)
  local now = os.time()
  for _, one in ipairs(access) do
    one.actions = json.array(one.actions)
  end
  local signed = url_safe(json.encode { typ = "JWT", alg = "RS256", x5c = json.array { self.chain } }) .. "."
    .. url_safe(json.encode {
      iss = M.issuer, sub = "frodo", aud = M.service, jti = "1", access = json.array(access), iat = now, nbf = now - 60,
      exp = now + LIFETIME,
    })
  work.write_file(self.dir .. "/signed", signed)
  openssl("dgst -sha256 -sign %s/token.key -out %s/signature %s/signed", self.dir, self.dir, self.dir)
  return signed .. "." .. url_safe(work.read_file(self.dir .. "/signature"))
end

return M
