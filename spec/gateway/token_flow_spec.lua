-- Short-lived tokens over the wire, and the clients that ask for them: docker's kind and ours.
local asking = require "spec.support.asking"
local children = require "spec.support.children"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local homes = require "epoch.home"
local program = require "spec.support.program"
local registry = require "spec.support.registry"
local store = require "spec.support.store"
local tokens = require "epoch.gateway.access.tokens"
local work = require "spec.support.work"

if gateway.missing() then
  pending("the token flow of the gateway: " .. gateway.missing())
  return
end

local ask = asking.ask
local CLOSED = { EPOCH_REGISTRY_TOKEN = "configured-canary-5c2e" } -- nobody writes without a token
local FORM = { ["Content-Type"] = "application/x-www-form-urlencoded" }

local g, all

local function with_home(use)
  store.with_task(function(task)
    local home = assert(homes.open(task, g.store))
    use(home)
    home:close()
  end)
end

local function create(name, scope, lifetime)
  local shown
  with_home(function(home)
    shown = assert(tokens.create(home, { name = name, scopes = { scope }, lifetime = lifetime }))
  end)
  return shown
end

lazy_setup(function()
  g = gateway.start { options = { anonymous_pull = false }, workers = 2, env = CLOSED }
  with_home(function(home)
    store.put_artifact(home, "vms/a", "v1", { "a layer", "another" })
    store.put_artifact(home, "other/b", "v1", { "a layer" })
  end)
  all = { pull = create("pull", "pull:vms/*"), push = create("push", "pull,push:vms/*"),
          everything = create("everything", "pull,push,delete:*") }
  assert(children.eventually(function() return ask(g, "/v2/", { token = all.push }).status == 200 end, 10))
end)

lazy_teardown(function()
  local log = g:log()
  for name, secret in pairs(all) do
    assert(not log:find(secret, 1, true), name .. " is in the log")
  end
  assert(not log:find(CLOSED.EPOCH_REGISTRY_TOKEN, 1, true), "the configured token is in the log")
  assert(not log:find("epoch1.", 1, true), "a short-lived token is in the log")
  g:stop()
end)

-- A short-lived token for scopes.
local function fetch(password, ...)
  local query = "?service=epoch"
  for _, scope in ipairs { ... } do
    query = query .. "&scope=" .. scope
  end
  local answer = ask(g, "/v2/token" .. query, { password = password })
  assert.equal(200, answer.status)
  return answer:json().token, answer:json()
end

local function get(name, token, method)
  return ask(g, ("/v2/%s/manifests/v1"):format(name), { token = token, method = method })
end

describe("a token for a while", function()
  it("grants what was asked for and may be", function()
    local token, said = fetch(all.push, "repository:vms/a:pull,push,delete", "repository:other/b:pull")
    assert.equal(said.token, said.access_token)
    assert.equal("repository:vms/a:pull,push", said.scope)
    assert.equal(300, said.expires_in)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", said.issued_at)
    assert.equal(200, get("vms/a", token).status)
    assert.equal(200, ask(g, "/v2/", { token = token }).status)
    assert.equal(200, ask(g, "/v2/", { password = token }).status)
    local answer = get("vms/a", token, "DELETE") -- never: it may not at all
    assert.equal(403, answer.status)
    answer = get("vms/b", token) -- not with this one
    assert.equal(401, answer.status)
    assert.matches('scope="repository:vms/b:pull",error="insufficient_scope"$', answer.headers["www-authenticate"])
    assert.equal(403, get("other/b", token).status)
  end)

  it("for nobody is one, too, and opens nothing", function()
    local token, said = fetch(nil, "repository:vms/a:pull", "registry:catalog:*")
    assert.matches("^epoch1%.", token)
    assert.equal("", said.scope)
    assert.equal(401, get("vms/a", token).status)
    assert.equal(401, ask(g, "/v2/", { token = token }).status)
    assert.equal(401, ask(g, "/v2/_catalog", { token = token }).status)
  end)

  it("for the list shows what its owner may pull", function()
    local token = fetch(all.pull, "registry:catalog:*")
    assert.same({ "vms/a" }, ask(g, "/v2/_catalog", { token = token }):json().repositories)
    assert.equal(401, ask(g, "/v2/_catalog", { token = fetch(all.pull, "repository:vms/a:pull") }).status)
  end)

  it("is given to forms, as OAuth2 has them", function()
    local function post(body)
      return ask(g, "/v2/token", { method = "POST", body = body, headers = FORM })
    end
    local scope = "&service=epoch&client_id=x&scope=repository%3Avms%2Fa%3Apull+repository%3Avms%2Fc%3Apull%2Cpush"
    for _, body in ipairs { "grant_type=password&username=x&password=" .. all.push .. scope,
                            "grant_type=refresh_token&refresh_token=" .. all.push .. scope } do
      local answer = post(body)
      assert.equal(200, answer.status)
      assert.equal("no-store", answer.headers["cache-control"])
      assert.equal("repository:vms/a:pull repository:vms/c:pull,push", answer:json().scope)
      assert.equal(200, get("vms/a", answer:json().access_token).status)
    end
    assert.equal(401, post("grant_type=password&username=x&password=wrong").status)
    assert.equal(400, post("grant_type=password&password=").status)
    assert.equal(400, post("grant_type=client_credentials").status)
    assert.equal(413, post("grant_type=password&password=" .. ("x"):rep(70000)).status)
  end)

  it("is for those whose lasting token is right", function()
    local answer = ask(g, "/v2/token?service=epoch", { password = "wrong" })
    assert.equal(401, answer.status)
    assert.matches("^Basic ", answer.headers["www-authenticate"])
    -- and not made of another: it would never end
    assert.equal(401, ask(g, "/v2/token", { password = fetch(all.push) }).status)
    assert.equal(400, ask(g, "/v2/token?scope=" .. ("a+"):rep(150)).status)
    for _, query in ipairs { "scope", "scope=&scope", "scope&scope=repository:a:pull", "scope=%00&service&account",
                             "scope=repository:..%2Fa:pull", ("x&"):rep(300) } do
      answer = ask(g, "/v2/token?" .. query)
      assert(answer.status == 200 and answer:json().scope == "", query .. answer.body)
    end
  end)

  it("ends with the one that it was made of", function()
    local short = create("short", "pull:*", 100)
    all.short = short
    assert(children.eventually(function() return ask(g, "/v2/", { token = short }).status == 200 end, 5))
    local token, said = fetch(short, "repository:vms/a:pull")
    assert.is_true(said.expires_in <= 100 and said.expires_in > 90)
    assert.equal(200, get("vms/a", token).status)
    with_home(function(home) assert(tokens.remove(home, "short")) end)
    assert(children.eventually(function() return get("vms/a", token).status == 401 end, 5))
    -- one of the same name is another
    all.again = create("short", "pull:*")
    assert(children.eventually(function() return ask(g, "/v2/", { token = all.again }).status == 200 end, 5))
    -- a worker believes for a while what it knows of tokens: the one that answers now may be another
    assert(children.eventually(function() return get("vms/a", token).status == 401 end, 5))
    local over = create("over", "pull:*", 1)
    all.over = over
    assert(children.eventually(function() return ask(g, "/v2/", { token = over }).status == 401 end, 10))
  end)

  it("is good at another gateway on the store", function()
    local other = gateway.start { store = g.store, options = { anonymous_pull = false }, env = CLOSED }
    local token = fetch(all.push, "repository:vms/a:pull")
    assert.equal(200, ask(other, "/v2/vms/a/manifests/v1", { token = token }).status)
    other:stop()
    other = gateway.start { options = { anonymous_pull = false }, env = CLOSED } -- another store knows nothing of it
    assert.equal(401, ask(other, "/v2/", { token = token }).status)
    other:stop()
  end)
end)

-- Runs a command of another client with a home of its own: its exit code and what it said.
local function run(dir, command, ...)
  local pipe = assert(io.popen(("cd '%s' && HOME='%s' DOCKER_CONFIG='%s' REGISTRY_AUTH_FILE='%s/config.json' "
    .. "timeout 60 %s 2>&1; echo \"exit $?\""):format(dir, dir, dir, dir, command:format(...))))
  local text, code = pipe:read("*a"):match("^(.-)exit (%d+)\n$")
  pipe:close()
  return tonumber(code), text
end

describe("skopeo", function()
  local check = core.which("skopeo") and it or pending

  check("logs in, copies there and back, and is refused as it should be", function()
    work.in_directory(function(dir)
      assert.equal(1, (run(dir, "skopeo login --tls-verify=false -u x -p wrong %s", g.host)))
      assert.equal(0, (run(dir, "skopeo login --tls-verify=false -u x -p %s %s", all.push, g.host)))
      local here, there = "copy --src-tls-verify=false", "copy --dest-tls-verify=false"
      local skopeo = "skopeo --insecure-policy "
      local code, said = run(dir, skopeo .. "%s docker://%s/vms/a:v1 oci:%s/l:v1", here, g.host, dir)
      assert(code == 0, said)
      code, said = run(dir, skopeo .. "%s oci:%s/l:v1 docker://%s/vms/new:v1", there, dir, g.host)
      assert(code == 0, said)
      code = run(dir, skopeo .. "%s oci:%s/l:v1 docker://%s/other/new:v1", there, dir, g.host)
      assert.equal(1, code)
      code, said = run(dir, skopeo .. "%s --dest-creds x:%s oci:%s/l:v1 docker://%s/other/new:v1",
        there, all.everything, dir, g.host)
      assert(code == 0, said)
      code = run(dir, skopeo .. "%s --src-no-creds docker://%s/vms/a:v1 oci:%s/m:v1", here, g.host, dir)
      assert.equal(1, code)
      code, said = run(dir, "skopeo delete --tls-verify=false --creds x:%s docker://%s/vms/new:v1", all.everything,
        g.host)
      assert(code == 0, said)
      assert.equal(404, ask(g, "/v2/vms/new/manifests/v1", { token = all.push }).status)
    end)
  end)
end)

describe("crane", function()
  local check = core.which("crane") and it or pending

  check("logs in, pulls, pushes and lists", function()
    work.in_directory(function(dir)
      assert(run(dir, "crane manifest --insecure %s/vms/a:v1", g.host) ~= 0)
      local code, said = run(dir, "crane auth login --insecure -u x -p %s %s", all.push, g.host)
      assert(code == 0, said)
      code, said = run(dir, "crane pull --insecure --format=oci %s/vms/a:v1 %s/l", g.host, dir)
      assert(code == 0, said)
      code, said = run(dir, "crane push --insecure %s/l %s/vms/crane:v1", dir, g.host)
      assert(code == 0, said)
      code, said = run(dir, "crane push --insecure %s/l %s/other/crane:v1", dir, g.host)
      assert(code ~= 0 and said:find("403", 1, true), said)
      code, said = run(dir, "crane catalog --insecure %s", g.host)
      assert(code == 0 and said:find("vms/a", 1, true) and not said:find("other", 1, true), said)
    end)
  end)
end)

describe("regctl", function()
  local check = core.which("regctl") and it or pending

  check("logs in, pulls and pushes", function()
    work.in_directory(function(dir)
      local set = "regctl registry login --skip-check -u x -p %s %s"
      assert.equal(0, (run(dir, "regctl registry set --skip-check --tls disabled %s", g.host)))
      local code, said = run(dir, set, all.push, g.host)
      assert(code == 0, said)
      code, said = run(dir, "regctl image copy %s/vms/a:v1 ocidir://%s/l:v1", g.host, dir)
      assert(code == 0, said)
      code, said = run(dir, "regctl image copy ocidir://%s/l:v1 %s/vms/regctl:v1", dir, g.host)
      assert(code == 0, said)
      code = run(dir, "regctl image copy ocidir://%s/l:v1 %s/other/regctl:v1", dir, g.host)
      assert(code ~= 0)
    end)
  end)
end)

local MIRROR = [[
version: 0.1
log: { level: warn, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: %s/data } }
http: { addr: "%s" }
proxy: { remoteurl: "%s", username: anyone, password: %s }
]]

describe("docker-registry as a mirror", function()
  local check = registry.missing() and pending or it

  local function mirror(password)
    return registry.start { configuration = function(self)
      return MIRROR:format(self.dir, self.host, g.url, password)
    end }
  end
  local accept = { Accept = "application/vnd.oci.image.manifest.v1+json" }

  check("fetches what its token may pull", function()
    local one = mirror(all.pull)
    assert.equal(200, ask(one, "/v2/vms/a/manifests/v1", { headers = accept }).status)
    local answer = ask(one, "/v2/vms/a/blobs/" .. core.digest("a layer"))
    assert.same({ 200, "a layer" }, { answer.status, answer.body })
    assert(ask(one, "/v2/other/b/manifests/v1", { headers = accept }).status ~= 200)
    one:stop()
    one = mirror("wrong")
    assert(ask(one, "/v2/vms/a/manifests/v1", { headers = accept }).status ~= 200)
    one:stop()
  end)
end)

describe("epoch itself", function()
  it("logs in and works with what it was allowed", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/config.lua", "")
      work.write_file(dir .. "/password", all.push .. "\n")
      local env = { EPOCH_CONFIG = dir .. "/config.lua", DOCKER_CONFIG = dir, XDG_DATA_HOME = dir }
      local function epoch(...)
        return program.run({ ... }, env)
      end
      local result = epoch("ls", "--registry", g.url)
      assert.equal(3, result.code)
      local VM = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("[%d.]+$")
      os.execute(("EPOCH_CONFIG=%s/config.lua DOCKER_CONFIG=%s %s epoch.lua login %s -u x --password-stdin "
        .. "<%s/password 2>&-"):format(dir, dir, VM, g.url, dir))
      result = epoch("ls", "--registry", g.url)
      assert.equal(0, result.code)
      assert.truthy(result.out:find("vms/a", 1, true))
      assert.is_nil(result.out:find("other", 1, true))
      assert.equal(0, epoch("tag", "vms/a:v1", "ours", "--registry", g.url).code)
      result = epoch("copy", "vms/a:v1", "vms/copied:v1", "--from", g.url, "--to", g.url)
      assert(result.code == 0, result.err)
      assert.equal(3, epoch("rm", "vms/a:ours", "--registry", g.url).code)
      assert.equal(3, epoch("copy", "vms/a:v1", "other/copied:v1", "--from", g.url, "--to", g.url).code)
      env.EPOCH_REGISTRY_TOKEN = all.everything
      assert.equal(0, epoch("rm", "vms/a:ours", "--registry", g.url).code)
    end)
  end)
end)

describe("a mount", function()
  it("takes nothing from where one may not pull", function()
    local digest = core.digest("secret bytes")
    with_home(function(home)
      assert(home:put_blob("other/b", digest, #"secret bytes", "secret bytes"))
    end)
    local path = "/v2/vms/a/blobs/uploads/?mount=" .. digest
    local function status(from, token)
      return ask(g, path .. "&from=" .. from, { method = "POST", token = token, body = "" }).status
    end
    assert.equal(202, status("other/b", all.push))
    assert.equal(201, status("other/b", all.everything))
    assert.equal(201, status("vms/b", all.push))
    assert.equal(201, ask(g, path .. "&from=other/b", { method = "POST", body = "",
      token = fetch(all.everything, "repository:vms/a:pull,push", "repository:other/b:pull") }).status)
    assert.equal(202, status("other/b", (fetch(all.everything, "repository:vms/a:pull,push"))))
  end)
end)
