local client = require "epoch.client"
local core = require "epoch.core"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local tasks = require "epoch.task"

local TOKEN = server.lua [[
  local store = ngx.shared.store
  note("token:requests", ngx.req.get_method() .. " " .. authorization() .. " "
    .. (ngx.req.get_method() == "POST" and body() or ngx.var.args or ""))
  local token = "tok-" .. count("token")
  store:set("token", token)
  answer(200, ('{"token":"%s"%s}'):format(token, store:get("token:more") or ""))
]]

describe("credentials of a registry", function()
  local s, task

  setup(function()
    s = script.start({
      plain = [[ guarded(repo, "http://" .. host() .. "/token", ',scope="repository:plain:pull"') ]],
      expiring = [[ guarded(repo, "http://" .. host() .. "/token") ]],
      hopeless = [[ ngx.shared.store:set("revoked", ngx.shared.store:get("token") or "none")
                    guarded(repo, "http://" .. host() .. "/token") ]],
      elsewhere = [[ guarded(repo, "http://127.0.0.1:1/token") ]],
      secure = [[ guarded(repo, "https://" .. host() .. "/token") ]],
      insecure = [[ guarded(repo, "http://registry.invalid/token") ]],
      fickle = [[ ngx.shared.store:set("token", "none") guarded(repo, "http://" .. host() .. "/token_nearby") ]],
      file = [[ guarded(repo, "file:///etc/passwd") ]],
      metadata = [[ guarded(repo, "http://169.254.169.254/token") ]],
      astray = [[ guarded(repo, "http://" .. host() .. "/token_astray") ]],
      nearby = [[ guarded(repo, "http://" .. host() .. "/token_nearby") ]],
      huge = [[ guarded(repo, "http://" .. host() .. "/token_huge") ]],
      crlf = [[ guarded(repo, "http://" .. host() .. "/token_crlf") ]],
      none = [[ guarded(repo, "http://" .. host() .. "/token_none") ]],
      readable = [[
        if ngx.req.get_method() ~= "GET" then return guarded(repo, "http://" .. host() .. "/token_empty") end
        note(repo, authorization())
        answer(200, '{"tags":["v1"]}') ]],
      refusing = [[ guarded(repo, "http://" .. host() .. "/token_refusing") ]],
      shaky = [[ guarded(repo, "http://" .. host() .. "/token_shaky") ]],
      malformed = [[ answer(401, "", { ["WWW-Authenticate"] = 'Bearer realm="x' }) ]],
      negotiate = [[ answer(401, "", { ["WWW-Authenticate"] = "Negotiate" }) ]],
      given = [[ note(repo, authorization())
        answer(authorization() == "Bearer given" and 200 or 401, '{"tags":["v1"]}') ]],
      basic = [[ note(repo, authorization())
        if authorization() == "Basic dTpw" then return answer(200, '{"tags":["v1"]}') end
        answer(401, "", { ["WWW-Authenticate"] = { 'Negotiate', 'Basic realm="x"' } }) ]],
    }, {
      ["= /token"] = TOKEN,
      ["= /token_astray"] = server.lua [[ answer(302, "", { Location = "http://127.0.0.1:1/token" }) ]],
      ["= /token_nearby"] = server.lua [[ answer(307, "", { Location = "/token?moved=1" }) ]],
      ["= /token_huge"] = server.lua [[ answer(200, '{"token":"' .. repeated(200000) .. '"}') ]],
      ["= /token_crlf"] = server.lua [[ answer(200, '{"token":"a\\r\\nX-Evil: 1"}') ]],
      ["= /token_none"] = server.lua [[ answer(200, '{"token":17}') ]],
      ["= /token_empty"] = server.lua [[ answer(200, '{"token":"","access_token":""}') ]],
      ["= /token_refusing"] = server.lua [[ answer(401, '{"details":"wrong: ' .. authorization() .. '"}') ]],
      ["= /token_shaky"] = server.lua [[
        if count("shaky") < 3 then return answer(503) end
        ngx.shared.store:set("token", "shaky")
        answer(200, '{"access_token":"shaky"}') ]],
    }, { tls = true })
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
    script.set(s, "token:more", "")
    script.set(s, "revoked", "")
  end)

  after_each(function()
    task:close()
  end)

  local function open(credentials, more)
    local options = { url = s.url, docker_config = false, proxy = "", credentials = credentials }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return assert(client.new(task, options))
  end

  local function user()
    return "u", "p"
  end

  local function new_tokens(use)
    local before = #script.seen(s, "token:requests")
    use()
    local after = script.seen(s, "token:requests")
    return { (table.unpack or unpack)(after, before + 1) } -- luacheck: ignore
  end

  local function refused(name, kind, pattern, credentials)
    local tags, err
    local asked = new_tokens(function()
      tags, err = open(credentials or user):tags(name)
    end)
    assert.is_nil(tags)
    assert.equal(kind, err.kind)
    assert.matches(pattern, tostring(err))
    return asked
  end

  it("are exchanged for a token, which is kept", function()
    local asked = new_tokens(function()
      local home = open(user)
      assert.same({ "v1" }, assert(home:tags("plain")))
      assert.same({ "v1" }, assert(home:tags("plain")))
    end)
    assert.same({ "GET Basic dTpw service=spec&scope=repository%3Aplain%3Apull&account=u" }, asked)
    local sent = script.seen(s, "plain")
    assert.equal("-", sent[1])
    assert.matches("^Bearer tok%-%d+$", sent[2])
    assert.equal(sent[2], sent[3])
  end)

  it("need not be there for a token", function()
    local asked = new_tokens(function()
      assert(open():tags("plain"))
    end)
    assert.same({ "GET - service=spec&scope=repository%3Aplain%3Apull" }, asked)
  end)

  it("are an identity token, too", function()
    script.set(s, "token:more", ',"refresh_token":"second"')
    local asked = new_tokens(function()
      local home = open(function() return { identity_token = "first" } end)
      assert(home:tags("plain"))
      script.set(s, "revoked", script.seen(s, "plain")[#script.seen(s, "plain")]:match("tok%-%d+"))
      assert(home:tags("plain"))
    end)
    assert.equal(2, #asked)
    assert.equal("POST - grant_type=refresh_token&client_id=epoch&service=spec"
      .. "&scope=repository%3Aplain%3Apull&refresh_token=first", asked[1])
    assert.matches("refresh_token=second$", asked[2])
  end)

  it("give a fresh token when one is refused in the middle, once", function()
    local asked = new_tokens(function()
      local home = open(user)
      assert(home:tags("plain"))
      local sent = script.seen(s, "plain")
      script.set(s, "revoked", sent[#sent]:match("tok%-%d+"))
      assert.same({ "v1" }, assert(home:tags("plain")))
    end)
    assert.equal(2, #asked)
    assert.equal(1, #refused("hopeless", "unauthorized", "UNAUTHORIZED: authentication required"))
    assert.equal(2, #script.seen(s, "hopeless"))
  end)

  it("that nobody has are said to be missing", function()
    refused("hopeless", "unauthorized", "no credentials are known for it, log in with: epoch login 127",
      function() end)
  end)

  it("are said to be missing by an empty token, with which one may still read", function()
    local home = open()
    local ok, err = home:put_blob_stream("readable", core.bytes("x"))
    assert.is_nil(ok)
    assert.equal("unauthorized", err.kind)
    assert.matches("no credentials are known for it, log in with: epoch login 127", err.message)
    assert.same({ "v1" }, assert(home:tags("readable")))
    assert.same({ "-", "-", "-" }, script.seen(s, "readable"))
  end)

  it("go beside a client's certificate", function()
    local certified = { url = s.client_url, ca_cert = s.ca, client_cert = s.certs.client,
      client_key = s.certs.client_key }
    assert.same({ "v1" }, assert(open(user, certified):tags("secure")))
    certified.client_cert, certified.client_key = nil, nil
    assert.equal("refused", select(2, open(user, certified):tags("secure")).kind)
  end)

  it("give a new token before the old one ends", function()
    script.set(s, "token:more", ',"expires_in":1')
    local asked = new_tokens(function()
      local home = open(user)
      assert(home:tags("expiring"))
      assert(home:tags("expiring"))
      assert(task:sleep(0.8))
      assert(home:tags("expiring"))
    end)
    assert.equal(2, #asked)
    assert.equal(4, #script.seen(s, "expiring")) -- one 401 only: the first
  end)

  it("are the given token, from the first request on, and only that", function()
    assert(open(nil, { token = "given\n" }):tags("given"))
    assert.same({ "Bearer given" }, script.seen(s, "given"))
    local tags, err = open(user, { token = "canary" }):tags("plain")
    assert.is_nil(tags)
    assert.equal("unauthorized", err.kind)
    assert.matches("the token that was given is not accepted", err.message)
    assert.is_nil(tostring(err):find("canary", 1, true))
  end)

  it("are a name and a password where the registry wants those", function()
    local home = open(user)
    assert(home:tags("basic"))
    assert(home:tags("basic"))
    assert.same({ "-", "Basic dTpw", "Basic dTpw" }, script.seen(s, "basic"))
  end)

  it("are not sent to token servers of private addresses", function()
    assert.same({}, refused("elsewhere", "denied", "127.0.0.1:1/token.*is not asked"))
    assert.same({}, refused("metadata", "denied", "169.254.169.254/token.*is not asked"))
    assert.same({}, refused("file", "denied", "file:///etc/passwd.*is not asked"))
  end)

  it("do not follow a token server that leads astray", function()
    assert.same({}, refused("astray", "denied", "127.0.0.1:1/token.*is not asked"))
    local asked = new_tokens(function()
      assert(open(user):tags("nearby"))
    end)
    assert.same({ "GET Basic dTpw moved=1" }, asked)
  end)

  it("are not sent over plain http to other machines", function()
    refused("insecure", "denied", "not sent over plain http to registry.invalid")
    local home, err = client.new(task, { url = "http://registry.example", token = "canary" })
    assert.is_nil(home)
    assert.equal("denied", err.kind)
    assert.is_truthy(client.new(task, { url = "http://registry.example", token = "canary", plain_http = true }))
  end)

  it("stay on https where the registry is there", function()
    local tags, err = open(user, { url = s.tls_url, ca_cert = s.ca }):tags("plain")
    assert.is_nil(tags)
    assert.equal("denied", err.kind)
    assert.matches("the registry speaks https, it must too", err.message)
    assert.same({ "v1" }, assert(open(user, { url = s.tls_url, ca_cert = s.ca }):tags("secure")))
  end)

  it("go to no other token server than the first", function()
    local home = open(user)
    assert(home:tags("plain"))
    local tags, err = home:tags("fickle")
    assert.is_nil(tags)
    assert.equal("denied", err.kind)
    assert.matches("before and now", err.message)
  end)

  it("end with an answer that is no token", function()
    refused("huge", "too_large", "longer than 131072 bytes")
    refused("crlf", "invalid", "answered without a token")
    refused("none", "invalid", "answered without a token")
    refused("malformed", "invalid", "WWW%-Authenticate")
    refused("negotiate", "unauthorized", "401")
  end)

  it("are not in messages, whatever the server says", function()
    local tags, err = open(user):tags("refusing")
    assert.is_nil(tags)
    assert.equal("unauthorized", err.kind)
    assert.matches("wrong: Basic %*%*%*", tostring(err))
    assert.is_nil(tostring(err):find("dTpw", 1, true))
  end)

  it("wait for a token server that is busy", function()
    assert(open(user):tags("shaky"))
    assert.equal(3, script.requests(s, "GET /token_shaky"))
  end)

  it("are refused when they cannot be sent", function()
    for _, token in ipairs { "a\r\nb", "a b", "\1" } do
      assert.equal("invalid", select(2, client.new(task, { url = s.url, token = token })).kind)
    end
    refused("basic", "config", "neither a name and a password nor a token", function() return "u" end)
  end)
end)
