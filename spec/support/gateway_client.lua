--- curl against a gateway, and the small things that go into a registry.
--
--     local ask = client.of(g)                         -- of spec.support.gateway
--     local answer = ask("PUT", "/v2/a/manifests/v1", { headers = { "Content-Type: …" }, body = bytes })
--     answer.status, answer.headers["docker-content-digest"], answer.body

local core = require "epoch.core"
local json = require "epoch.json"
local work = require "spec.support.work"
local assert = require "luassert" -- in spec files busted has it as a global

local M = {}

M.IMAGE = "application/vnd.oci.image.manifest.v1+json"
M.INDEX = "application/vnd.oci.image.index.v1+json"
M.EMPTY = core.digest("{}")

local function quoted(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function headers_of(text)
  local headers = {}
  for name, value in text:gmatch("\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return headers
end

---@class spec.GatewayRequest
---@field headers string[]? as curl takes them
---@field body string?
---@field chunked boolean? the body has no length
---@field words string? more words for curl

--- A function that asks a gateway: method, path as it is sent, and what else there is.
---@param g table
---@return fun(method: string, path: string, more: spec.GatewayRequest?): table
function M.of(g)
  return function(method, path, more)
    more = more or {}
    local words = { "curl -sS --path-as-is --noproxy '*' -m 60", method == "HEAD" and "-I" or "-X " .. method }
    for _, header in ipairs(more.headers or {}) do
      words[#words + 1] = "-H " .. quoted(header)
    end
    if more.body then
      work.write_file(g.dir .. "/request", more.body)
      words[#words + 1] = ("--data-binary @%s/request -H Expect: -H %s"):format(g.dir,
        more.chunked and "'Transfer-Encoding: chunked'" or "X-Not-Chunked:")
      if not table.concat(more.headers or {}, "\n"):find("Content%-Type:") then
        words[#words + 1] = "-H Content-Type:"
      end
    end
    words[#words + 1] = ("%s -D %s/head -o %s/body %s"):format(more.words or "", g.dir, g.dir, quoted(g.url .. path))
    work.write_file(g.dir .. "/body", "")
    local code = work.output(table.concat(words, " ") .. ("; echo $?"))
    local head = work.read_file(g.dir .. "/head") or ""
    head = head:match("^.*\r\n\r\n(HTTP.-)$") or head -- the last of several
    return {
      curl = tonumber(code), status = tonumber(head:match("^HTTP/%S+ (%d+)")), headers = headers_of(head),
      body = method ~= "HEAD" and work.read_file(g.dir .. "/body") or "",
    }
  end
end

--- Fails when an answer is not this failure, told as the OCI specification has it.
function M.assert_failure(status, code, answer)
  assert.equal(status, answer.status, answer.body)
  assert.equal("application/json", answer.headers["content-type"])
  local told = assert(json.decode(answer.body), answer.body).errors
  assert.equal(1, #told)
  assert.equal(code, told[1].code, answer.body)
  assert.equal("string", type(told[1].message))
  assert.is_nil(told[1].message:find("%c"))
end

--- Puts a blob: its digest.
function M.put_blob(ask, name, bytes, algorithm)
  local digest = core.digest(bytes, algorithm)
  local answer = ask("POST", ("/v2/%s/blobs/uploads/?digest=%s"):format(name, digest), { body = bytes })
  assert(answer.status == 201, answer.body)
  return digest
end

--- The text of a manifest with these blobs (their bytes) as layers; `more` is JSON before its config.
function M.manifest(layers, more)
  local list = {}
  for i, bytes in ipairs(layers or {}) do
    list[i] = ('{"mediaType":"application/octet-stream","digest":"%s","size":%d}'):format(core.digest(bytes), #bytes)
  end
  return ('{"schemaVersion":2,"mediaType":"%s",%s"config":{"mediaType":"application/vnd.oci.empty.v1+json",'
    .. '"digest":"%s","size":2},"layers":[%s]}'):format(M.IMAGE, more or "", M.EMPTY, table.concat(list, ","))
end

--- Puts a manifest under a tag or digest: the answer.
function M.put_manifest(ask, name, given, bytes, media_type)
  return ask("PUT", ("/v2/%s/manifests/%s"):format(name, given), {
    body = bytes, headers = { "Content-Type: " .. (media_type or M.IMAGE) },
  })
end

return M
