-- Who may do what at the gateway: tokens and their scopes, rules, hooks, limits, and what is written down.
local asking = require "spec.support.asking"
local children = require "spec.support.children"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local homes = require "epoch.home"
local json = require "epoch.json"
local server = require "spec.support.server"
local store = require "spec.support.store"
local token_file = require "epoch.gateway.access.token_file"
local tokens = require "epoch.gateway.access.tokens"
local work = require "spec.support.work"

if gateway.missing("lua5.4") then
  pending("access to the gateway: " .. gateway.missing("lua5.4"))
  return
end

local ask = asking.ask
local MANIFEST = "application/vnd.oci.image.manifest.v1+json"
local CONFIGURED = "configured-canary-7a1f"

-- Runs `use(home)` on the store of a gateway.
local function with_home(g, use)
  store.with_task(function(task)
    local home = assert(homes.open(task, g.store))
    use(home)
    home:close()
  end)
end

local secrets = { CONFIGURED }

local function token(g, name, ...)
  local scopes, shown = { ... }, nil
  with_home(g, function(home)
    shown = assert(tokens.create(home, { name = name, scopes = scopes }))
  end)
  secrets[#secrets + 1] = shown
  return shown
end

-- Repositories with an artifact v1 in each; the manifest of all of them.
local function fill(g, ...)
  local bytes
  for _, name in ipairs { ... } do
    with_home(g, function(home)
      bytes = store.put_artifact(home, name, "v1", { "a layer" })
    end)
  end
  return bytes
end

local function manifest(g, name, tag, given)
  return ask(g, ("/v2/%s/manifests/%s"):format(name, tag), given)
end

local function put(g, name, tag, bytes, given)
  given.method, given.body = "PUT", bytes
  given.headers = given.headers or {}
  given.headers["Content-Type"] = MANIFEST
  return manifest(g, name, tag, given)
end

-- The lines of the audit so far.
local function audit(g)
  local list = {}
  for line in g:log():gmatch("[^\n]+") do
    if line:sub(1, 8) == '{"time":' then
      list[#list + 1] = assert(json.decode(line))
    end
  end
  return list
end

local function no_secrets(g)
  local log = g:log()
  for _, secret in ipairs(secrets) do
    assert(not log:find(secret, 1, true), "a token is in the log")
  end
end

describe("tokens with scopes", function()
  local g, bytes, all

  lazy_setup(function()
    g = gateway.start {
      options = { anonymous_pull = false, trusted_proxies = { "127.0.0.1" } },
      env = { EPOCH_REGISTRY_TOKEN = CONFIGURED },
    }
    bytes = fill(g, "vms/a", "vms/b", "other/c")
    all = {
      pull = token(g, "pull", "pull:vms/*"), push = token(g, "push", "pull,push:vms/*"),
      blind = token(g, "blind", "push:vms/a"), delete = token(g, "delete", "delete:vms/b"),
      all = token(g, "all", "pull,push,delete:*"),
    }
    assert(children.eventually(function() return ask(g, "/v2/", { token = all.all }).status == 200 end, 10))
  end)
  lazy_teardown(function()
    no_secrets(g)
    g:stop()
  end)

  it("are asked for", function()
    local answer = manifest(g, "vms/a", "v1")
    assert.equal(401, answer.status)
    assert.equal("UNAUTHORIZED", answer:code())
    assert.equal(('Bearer realm="%s/v2/token",service="epoch",scope="repository:vms/a:pull"'):format(g.url),
      answer.headers["www-authenticate"])
    answer = put(g, "vms/a", "v2", bytes, {})
    assert.equal(401, answer.status)
    assert.matches('scope="repository:vms/a:pull,push"$', answer.headers["www-authenticate"])
    answer = manifest(g, "vms/a", "v1", { method = "DELETE" })
    assert.matches('scope="repository:vms/a:delete"$', answer.headers["www-authenticate"])
    assert.matches('scope="registry:catalog:%*"$', ask(g, "/v2/_catalog").headers["www-authenticate"])
    answer = manifest(g, "vms/a", "v1", { method = "HEAD" })
    assert.same({ 401, "" }, { answer.status, answer.body })
    -- what is not there is not told from what may not be seen
    assert.equal(401, manifest(g, "nothing/here", "v1").status)
    assert.equal(403, manifest(g, "nothing/here", "v1", { token = all.pull }).status)
  end)

  it("allow what they say and nothing else", function()
    local function status(name, action, repository)
      local given = { [#name % 2 == 0 and "token" or "password"] = all[name] or CONFIGURED }
      if action == "push" then
        return put(g, repository, "new", bytes, given).status
      elseif action == "delete" then
        given.method = "DELETE"
        return manifest(g, repository, "none", given).status
      end
      given.method = action
      return manifest(g, repository, "v1", given).status
    end
    for _, case in ipairs {
      { "pull", "GET", "vms/a", 200 }, { "pull", "HEAD", "vms/a", 200 }, { "pull", "GET", "other/c", 403 },
      { "pull", "push", "vms/a", 403 }, { "pull", "delete", "vms/a", 403 },
      { "push", "GET", "vms/b", 200 }, { "push", "push", "vms/b", 201 }, { "push", "push", "other/c", 403 },
      { "push", "delete", "vms/b", 403 },
      { "blind", "GET", "vms/a", 403 }, { "blind", "HEAD", "vms/a", 200 }, { "blind", "push", "vms/a", 201 },
      { "blind", "HEAD", "vms/b", 403 },
      { "delete", "delete", "vms/b", 404 }, { "delete", "delete", "vms/a", 403 }, { "delete", "GET", "vms/b", 403 },
      { "all", "GET", "other/c", 200 }, { "all", "push", "other/c", 201 }, { "all", "delete", "other/c", 404 },
      { "configured", "GET", "other/c", 200 }, { "configured", "push", "other/c", 201 },
      { "configured", "delete", "other/c", 404 },
    } do
      local got = status(case[1], case[2], case[3])
      assert(got == case[4], ("%s %s %s: %d"):format(case[1], case[2], case[3], got))
    end
    assert.equal("DENIED", manifest(g, "other/c", "v1", { token = all.pull }):code())
  end)

  it("show the repositories that may be pulled, a page at a time", function()
    local function names(path, given)
      local answer = ask(g, "/v2/_catalog" .. path, given)
      return table.concat(answer:json().repositories, " "), answer.headers.link
    end
    assert.equal("other/c vms/a vms/b", (names("", { token = all.all })))
    assert.equal("vms/a vms/b", (names("", { token = all.pull })))
    assert.equal("", (names("", { token = all.blind })))
    local page, link = names("?n=1", { token = all.pull })
    assert.equal("vms/a", page)
    assert.matches("last=vms%%2Fa", link)
    page, link = names("?n=1&last=vms/a", { token = all.pull })
    assert.same({ "vms/b" }, { page, link })
  end)

  it("hold for downloads and for /api, which browsers ask", function()
    for _, path in ipairs { "/api/repositories", "/api/stats", "/api/repositories/vms/a", "/dl/vms/a:v1" } do
      local answer = ask(g, path)
      assert.equal(401, answer.status)
      assert.equal('Basic realm="epoch", charset="UTF-8"', answer.headers["www-authenticate"])
    end
    local names = {}
    for i, one in ipairs(ask(g, "/api/repositories", { password = all.pull }):json()) do
      names[i] = one.name
    end
    table.sort(names)
    assert.same({ "vms/a", "vms/b" }, names)
    assert.equal(2, ask(g, "/api/stats", { token = all.pull }):json().repositoryCount)
    assert.equal(3, ask(g, "/api/stats", { token = all.all }):json().repositoryCount)
    assert.equal(200, ask(g, "/api/repositories/vms/a/tags", { token = all.pull }).status)
    for _, path in ipairs { "/api/repositories/other/c", "/api/repositories/other/c/tags/v1", "/dl/other/c" } do
      assert.equal(403, ask(g, path, { token = all.pull }).status)
    end
    local tag = "/api/repositories/vms/b/tags/none"
    assert.equal(403, ask(g, tag, { token = all.push, method = "DELETE" }).status)
    assert(ask(g, tag, { token = all.delete, method = "DELETE" }).status ~= 403)
  end)

  it("are refused when they are wrong, whatever is asked for", function()
    for _, path in ipairs { "/v2/", "/v2/vms/a/manifests/v1", "/v2/_catalog", "/v2/token" } do
      for _, given in ipairs {
        { token = all.all .. "x" }, { password = "wrong" }, { token = "epoch1.x.y" },
        { headers = { Authorization = "Digest x" } }, { headers = { Authorization = "Bearer" } },
      } do
        local answer = ask(g, path, given)
        assert(answer.status == 401 or answer.status == 429, path .. " " .. answer.status)
        assert.truthy(answer.headers["www-authenticate"] or answer.headers["retry-after"])
      end
    end
  end)

  it("leave a trace of what was written with them", function()
    local before = #audit(g)
    put(g, "vms/b", "traced", bytes, { token = all.push })
    put(g, "other/c", "traced", bytes, { token = all.push })
    manifest(g, "vms/b", "traced", { token = all.all, method = "DELETE" })
    manifest(g, "vms/b", "v1", { token = all.pull })
    assert(children.eventually(function() return #audit(g) >= before + 3 end, 5))
    local lines = audit(g)
    assert.equal(before + 3, #lines)
    local wrote, refused, deleted = lines[before + 1], lines[before + 2], lines[before + 3]
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", wrote.time)
    assert.is_true(wrote.bytes > #bytes and wrote.seconds >= 0)
    wrote.time, wrote.bytes, wrote.seconds = nil, nil, nil
    assert.same({ event = "write", who = "push", client = "127.0.0.1", action = "manifest_put", repository = "vms/b",
                  reference = "traced", digest = core.digest(bytes), status = 201 }, wrote)
    assert.same({ "refused", "rights", "push", 403, "other/c" },
      { refused.event, refused.reason, refused.who, refused.status, refused.repository })
    assert.same({ "write", "all", 202, "manifest_delete" },
      { deleted.event, deleted.who, deleted.status, deleted.action })
  end)

  it("are found and forgotten within seconds, also when the file is damaged", function()
    local fresh = token(g, "fresh", "pull:*")
    assert(children.eventually(function() return ask(g, "/v2/", { token = fresh }).status == 200 end, 5))
    with_home(g, function(home) assert(tokens.remove(home, "fresh")) end)
    assert(children.eventually(function() return ask(g, "/v2/", { token = fresh }).status ~= 200 end, 5))
    local path = g.root .. "/access/tokens.json"
    local good = work.read_file(path)
    work.write_file(path, good:sub(1, -5))
    assert(children.eventually(function() return ask(g, "/v2/", { token = all.all }).status == 503 end, 5))
    assert.equal(401, ask(g, "/v2/").status)
    assert.equal(200, ask(g, "/v2/", { token = CONFIGURED, headers = { ["X-Forwarded-For"] = "192.0.2.7" } }).status)
    work.write_file(path, good)
    assert(children.eventually(function() return ask(g, "/v2/", { token = all.all }).status == 200 end, 5))
  end)
end)

describe("many tokens", function()
  it("are known to all who come while they are read for the first time", function()
    local g = gateway.start { options = { anonymous_pull = false }, workers = 1 }
    local right, list = assert(require("epoch.gateway.access.scopes").parse("pull:*")), {}
    for i = 1, 2000 do -- more than a worker reads by itself
      list[i] = { name = "n" .. i, hash = tokens.hash("epoch_" .. i), rights = { right },
                  created = 1700000000 }
    end
    assert(core.mkdir(g.root .. "/access"))
    work.write_file(g.root .. "/access/tokens.json", assert(token_file.encode(list)))
    local said = work.output(("curl -sS --no-progress-meter -Z --parallel-immediate --parallel-max 20 --noproxy '*' "
      .. "-o /dev/null -w '%%{http_code} ' -H 'Authorization: Bearer epoch_7' '%s/v2/_catalog?n=[1-20]' 2>&1")
      :format(g.url))
    assert.equal(("200 "):rep(20), said)
    g:stop()
  end)
end)

describe("everybody", function()
  it("pulls where nothing else is said, and writes nothing", function()
    local g = gateway.start { env = { EPOCH_REGISTRY_TOKEN = CONFIGURED } }
    local bytes = fill(g, "a")
    assert.equal(200, manifest(g, "a", "v1").status)
    assert.equal(401, put(g, "a", "v2", bytes, {}).status)
    assert.equal(401, manifest(g, "a", "v1", { method = "DELETE" }).status)
    assert.equal(201, put(g, "a", "v2", bytes, { token = CONFIGURED }).status)
    assert.same({ "a" }, ask(g, "/v2/_catalog"):json().repositories)
    -- so that docker logs in
    assert.equal(401, ask(g, "/v2/").status)
    assert.equal(200, ask(g, "/v2/", { password = CONFIGURED }).status)
    -- and a token of the store may what everybody may
    local other = token(g, "other", "push:b")
    assert(children.eventually(function() return manifest(g, "a", "v1", { token = other }).status == 200 end, 5))
    no_secrets(g)
    g:stop()
  end)

  it("needs no token where there is none to be had", function()
    local g = gateway.start {}
    local bytes = fill(g, "a")
    assert.equal(200, ask(g, "/v2/").status)
    assert.equal(201, put(g, "a", "v2", bytes, {}).status)
    assert.equal(202, manifest(g, "a", "v2", { method = "DELETE" }).status)
    -- what docker still knows from another day harms nobody
    assert.equal(200, ask(g, "/v2/", { password = "yesterday's" }).status)
    assert.equal(201, put(g, "a", "v2", bytes, { token = "yesterdays" }).status)
    -- until there is one
    token(g, "first", "pull:*")
    assert(children.eventually(function() return ask(g, "/v2/", { password = "wrong" }).status == 401 end, 5))
    g:stop()
    g = gateway.start { options = { anonymous_push = true, anonymous_delete = false } }
    fill(g, "a")
    assert.equal(201, put(g, "a", "v2", bytes, {}).status)
    assert.equal(401, manifest(g, "a", "v2", { method = "DELETE" }).status)
    g:stop()
  end)
end)

describe("the hooks", function()
  it("decide, and allow nothing when they fail", function()
    local g = gateway.start { env = { EPOCH_REGISTRY_TOKEN = CONFIGURED }, config = [[
      gateway = { anonymous_pull = false, allow = function(actor, action, repository)
        if repository == "broken" then
          return actor.nothing.here
        elseif repository == "odd" then
          return "yes"
        elseif repository == "open" then
          return action == "pull" and actor.kind == "anonymous" and actor.address == "127.0.0.1" or nil
        elseif repository == "closed" then
          return false
        elseif repository == "spoiled" then
          actor.kind = "configured"
        end
      end }
    ]] }
    local bytes = fill(g, "open", "closed", "broken", "other", "odd", "spoiled")
    assert.equal(200, manifest(g, "open", "v1").status)
    assert.equal(401, put(g, "open", "v2", bytes, {}).status)
    assert.equal(201, put(g, "open", "v2", bytes, { token = CONFIGURED }).status)
    assert.equal(403, manifest(g, "closed", "v1", { token = CONFIGURED }).status)
    assert.equal(401, manifest(g, "other", "v1").status)
    assert.equal(401, manifest(g, "spoiled", "v1").status)
    for _, name in ipairs { "broken", "odd" } do
      for _, given in ipairs { {}, { token = CONFIGURED } } do
        local answer = manifest(g, name, "v1", given)
        assert.equal(500, answer.status)
        assert.is_nil(answer.body:find("hook", 1, true))
      end
    end
    assert.truthy(g:log():find("the hook gateway.allow of the configuration failed", 1, true))
    assert.equal(500, ask(g, "/v2/_catalog", { token = CONFIGURED }).status)
    no_secrets(g)
    g:stop()
  end)

  it("rewrite names once, into names", function()
    local g = gateway.start { options = { anonymous_push = true }, config = [[
      gateway.rewrite = function(repository)
        if repository == "up" then return "../up" end
        if repository == "number" then return 7 end
        if repository == "broken" then return repository.nothing.here end
        if repository ~= "plain" then return "prod/" .. repository end
      end
    ]] }
    local bytes = fill(g, "prod/a", "prod/prod/a", "plain")
    assert.equal(200, manifest(g, "a", "v1").status)
    assert.equal(200, manifest(g, "plain", "v1").status)
    assert.equal(201, put(g, "prod/a", "v2", bytes, {}).status)
    assert.truthy(core.stat(g.root .. "/manifests/prod/prod/a/v2.json"))
    assert.equal(404, manifest(g, "b", "v1").status)
    for _, name in ipairs { "up", "number", "broken" } do
      assert.equal(500, manifest(g, name, "v1").status)
    end
    g:stop()
  end)
end)

describe("where a request comes from", function()
  -- The realm that is named for these headers.
  local function realm(g, ...)
    local words = ""
    for _, header in ipairs { ... } do
      words = words .. (" -H '%s'"):format(header)
    end
    local pipe = assert(io.popen(("curl -s -D - -o /dev/null%s '%s/v2/_catalog'"):format(words, g.url)))
    local answer = pipe:read("*a")
    pipe:close()
    return answer:match('\nWWW%-Authenticate: Bearer realm="([^\n]-)/v2/token",service="epoch",'
      .. 'scope="registry:catalog:%*"\r\n')
  end

  it("is believed from trusted proxies only, and a Host only when it is one", function()
    local host, proto = "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"
    local g = gateway.start { options = { anonymous_pull = false } }
    assert.equal("http://r.example", realm(g, host, proto, "Host: r.example"))
    assert.equal(g.url, realm(g, host, proto))
    for _, bad in ipairs { "a_b.example", "h:99999", "-x", "a,b", 'a"b', "a b", "" } do
      local named = realm(g, "Host: " .. bad)
      assert(named == nil or named == g.url, named)
    end
    g:stop()
    g = gateway.start { options = { anonymous_pull = false, trusted_proxies = { "127.0.0.0/8" } },
                        env = { EPOCH_REGISTRY_TOKEN = CONFIGURED } }
    assert.equal("https://evil.example", realm(g, host, proto))
    assert.equal(g.url, realm(g, 'X-Forwarded-Host: evil",x="y', "X-Forwarded-Proto: gopher"))
    -- and so is the address
    manifest(g, "a", "v1", { password = "wrong", headers = { ["X-Forwarded-For"] = "evil, 192.0.2.9" } })
    assert(children.eventually(function() return #audit(g) == 1 end, 5))
    assert.equal("192.0.2.9", audit(g)[1].client)
    no_secrets(g)
    g:stop()
    g = gateway.start { options = { anonymous_pull = false }, config = 'public_url = "https://registry.example/x/"' }
    assert.equal("https://registry.example/x", realm(g, host, proto, "Host: r.example"))
    g:stop()
  end)

  it("must be written as such in the configuration", function()
    for text, message in pairs {
      ['gateway = { trusted_proxies = { "everywhere" } }'] = '"everywhere" is no network',
      ['gateway = { cors = { "*" } }'] = '"*" is no origin',
      ['gateway = { cors = { "https://ui.example/" } }'] = "is no origin",
      ['public_url = "registry.example"'] = "is no address of a gateway",
      ['gateway = { rate_limit = { requests = 1 } }'] = "burst",
      ['gateway = { audit = "audit.log" }'] = "absolute path",
    } do
      local ok, err = pcall(gateway.start, { config = text })
      assert.is_false(ok)
      assert(tostring(err):find(message, 1, true), err)
    end
  end)
end)

describe("a list of what may be seen", function()
  it("has no more than a thousand on a page, however many are asked for", function()
    local g = gateway.start { config = "gateway = { allow = function(_, _, name) return name ~= 'n0001' end }" }
    local bytes = fill(g, "n0000")
    for i = 1, 1500 do
      local directory = ("%s/manifests/n%04d"):format(g.root, i)
      assert(core.mkdir(directory))
      work.write_file(directory .. "/v1.json", bytes)
    end
    assert(core.unlink(g.root .. "/catalog.json"))
    for _, query in ipairs { "", "?n=999999999" } do
      local answer = ask(g, "/v2/_catalog" .. query)
      local names = answer:json().repositories
      assert.same({ 1000, "n0000", "n0002", "n1000" }, { #names, names[1], names[2], names[1000] })
      local rest = ask(g, assert(answer.headers.link:match("^<(.-)>")))
      assert.same({ 500, "n1500" }, { #rest:json().repositories, rest:json().repositories[500] })
      assert.is_nil(rest.headers.link)
    end
    g:stop()
  end)
end)

describe("limits", function()
  it("hold for addresses and for tokens", function()
    local g = gateway.start {
      options = { rate_limit = { requests = 1, burst = 5 }, trusted_proxies = { "127.0.0.1" } },
      env = { EPOCH_REGISTRY_TOKEN = CONFIGURED },
    }
    local function from(address, given)
      given = given or {}
      given.headers = { ["X-Forwarded-For"] = address }
      return ask(g, "/v2/_catalog", given)
    end
    for _ = 1, 5 do
      assert.equal(200, from("192.0.2.1").status)
    end
    local answer = from("192.0.2.1")
    assert.same({ 429, "TOOMANYREQUESTS" }, { answer.status, answer:code() })
    assert.is_true(tonumber(answer.headers["retry-after"]) >= 1)
    assert.equal(200, from("192.0.2.2").status)
    local codes = {}
    for i = 1, 7 do
      codes[i] = from("192.0.2." .. 10 + i, { token = CONFIGURED }).status
    end
    assert.equal(429, codes[7])
    assert.equal(200, codes[1])
    g:stop()
  end)

  it("are stricter for credentials that are wrong, and lock out nobody whose token cannot be guessed", function()
    local g = gateway.start { options = { trusted_proxies = { "127.0.0.1" } },
                              env = { EPOCH_REGISTRY_TOKEN = CONFIGURED } }
    local good = token(g, "good", "pull:*")
    local codes = {}
    for i = 1, 15 do
      codes[i] = ask(g, "/v2/", { token = "wrong" .. i }).status
    end
    assert.equal(401, codes[1])
    assert.equal(429, codes[15])
    server.sleep(0.2)
    local lines = #audit(g) -- not one for each
    assert(lines >= 10 and lines < 15, lines)
    assert.equal(429, ask(g, "/v2/", { token = CONFIGURED }).status)
    assert(children.eventually(function() return ask(g, "/v2/", { token = good }).status == 200 end, 5))
    assert.equal(200, ask(g, "/v2/", { token = CONFIGURED, headers = { ["X-Forwarded-For"] = "192.0.2.7" } }).status)
    assert.equal(200, ask(g, "/v2/_catalog").status)
    no_secrets(g)
    g:stop()
  end)
end)

describe("web pages", function()
  it("may do nothing where none are configured", function()
    local g = gateway.start {}
    local bytes = fill(g, "a")
    local answer = manifest(g, "a", "v1", { headers = { Origin = "https://ui.example" } })
    assert.same({ 200 }, { answer.status, answer.headers["access-control-allow-origin"] })
    answer = put(g, "a", "v2", bytes, { headers = { Origin = "https://ui.example" } })
    assert.same({ 403, "DENIED" }, { answer.status, answer:code() })
    answer = ask(g, "/v2/a/manifests/v1", { method = "OPTIONS", headers = {
      Origin = "https://ui.example", ["Access-Control-Request-Method"] = "PUT" } })
    assert.equal(405, answer.status)
    assert.is_nil(answer.headers["access-control-allow-origin"])
    g:stop()
  end)

  it("may do what others may, from the origins that are configured", function()
    local g = gateway.start { options = { anonymous_push = true, cors = { "https://ui.example" } } }
    local bytes = fill(g, "a")
    local origin = { Origin = "https://ui.example" }
    local answer = manifest(g, "a", "v1", { headers = origin })
    assert.equal("https://ui.example", answer.headers["access-control-allow-origin"])
    assert.equal("Origin", answer.headers.vary)
    assert.matches("Docker%-Content%-Digest", answer.headers["access-control-expose-headers"])
    assert.equal(201, put(g, "a", "v2", bytes, { headers = { Origin = "https://ui.example" } }).status)
    answer = ask(g, "/v2/a/manifests/v1", { method = "OPTIONS", headers = {
      Origin = "https://ui.example", ["Access-Control-Request-Method"] = "PUT" } })
    assert.equal(204, answer.status)
    assert.matches("PUT", answer.headers["access-control-allow-methods"])
    assert.matches("Authorization", answer.headers["access-control-allow-headers"])
    for _, other in ipairs { "https://evil.example", "http://ui.example", "https://ui.example.evil", "null" } do
      assert.equal(403, put(g, "a", "v2", bytes, { headers = { Origin = other } }).status)
      assert.is_nil(manifest(g, "a", "v1", { headers = { Origin = other } }).headers["access-control-allow-origin"])
    end
    g:stop()
  end)
end)

describe("the audit", function()
  it("has a line for each, whichever workers write at the same time", function()
    local g = gateway.start { options = { anonymous_push = true }, workers = 4 }
    local each = ("-X DELETE %s/v2/a/manifests/none -o /dev/null --next "):format(g.url)
    local one = "curl -s --noproxy '*' -Z --parallel-immediate " .. each:rep(250):gsub(" %-%-next $", "")
    os.execute(("(%s & %s & %s & wait) 2>/dev/null"):format(one, one, one))
    assert(children.eventually(function() return #audit(g) >= 750 end, 10))
    assert.equal(750, #audit(g))
    g:stop()
  end)

  it("goes to a file, or nowhere", function()
    work.in_directory(function(dir)
      local file = dir .. "/audit.log"
      local g = gateway.start { options = { anonymous_push = true, audit = file } }
      local bytes = fill(g, "a")
      put(g, "a", "v2", bytes, {})
      assert(children.eventually(function() return (work.read_file(file) or ""):find("\n$") end, 5))
      local line = assert(json.decode(work.read_file(file)))
      assert.same({ "anonymous", "manifest_put", "v2" }, { line.who, line.action, line.reference })
      os.rename(file, file .. ".1")
      put(g, "a", "v3", bytes, {})
      assert(children.eventually(function() return (work.read_file(file) or ""):find("\n$") end, 5))
      assert.same({}, audit(g))
      g:stop()
      g = gateway.start { options = { anonymous_push = true, audit = false } }
      fill(g, "a")
      assert.equal(201, put(g, "a", "v2", bytes, {}).status)
      assert.same({}, audit(g))
      g:stop()
    end)
  end)
end)
