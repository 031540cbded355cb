--- Ways into a registry: a password, https with a CA of one's own, signed tokens behind a proxy.
local certificates = require "spec.support.certificates"
local client = require "epoch.client"
local core = require "epoch.core"
local media = require "epoch.media"
local registries = require "spec.support.registries"
local script = require "spec.support.registry_script"
local server = require "spec.support.server"
local signed_tokens = require "spec.support.signed_tokens"
local support = require "spec.support.store"
local work = require "spec.support.work"

local PROXY = "proxy_pass %s; proxy_set_header Host $http_host; proxy_request_buffering off; proxy_http_version 1.1; "

local MANIFEST = [[{"schemaVersion":2,"mediaType":"%s",]]
  .. [["config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":%d},"layers":]]
  .. [=[[{"mediaType":"application/octet-stream","digest":"%s","size":%d}]}]=]

-- What a client at a registry does, with a home opened for it.
local function use(home, task)
  local name, bytes = "some/name", work.noise(2 * 1024 * 1024)
  assert.is_true(assert(home:ping()))
  assert.is_true(assert(home:put_blob(name, core.digest(bytes), #bytes, core.bytes(bytes))))
  assert.same({ size = #bytes, digest = core.digest(bytes) },
    assert(home:put_blob_stream(name, function() return core.bytes(bytes) end)))
  local config, layer = "{}", "layer"
  for _, small in ipairs { config, layer } do
    assert(home:put_blob(name, core.digest(small), #small, core.bytes(small)))
  end
  local manifest = MANIFEST:format(media.OCI_MANIFEST, core.digest(config), #config, core.digest(layer), #layer)
  local digest = assert(home:put_manifest(name, "v1", manifest, media.OCI_MANIFEST))
  assert.equal(manifest, assert(home:get_manifest(name, digest)).bytes)
  assert.equal(layer, support.bytes(task, home:get_blob(name, core.digest(layer))))
  assert.same({ "v1" }, assert(home:tags(name)))
  assert.same({ name }, assert(home:repositories()))
end

local function open(task, url, more)
  local options = { url = url, docker_config = false, proxy = "" }
  for key, value in pairs(more or {}) do
    options[key] = value
  end
  return assert(client.new(task, options))
end

registries.each(function(_, start)
  local function with_registry(options, try)
    support.with_task(function(task, dir)
      if options.tls then
        options.certificates = certificates.make(dir)
        options.tls = nil
      end
      local r = start(options)
      local ok, err = pcall(try, r, task)
      r:stop()
      if not ok then
        error(err, 0)
      end
    end)
  end

  it("lets in who has the password", function()
    with_registry({ auth = true }, function(r, task)
      use(open(task, r.url, { credentials = function() return r.user, r.password end }), task)
      for _, credentials in ipairs { function() return r.user, "canary" end, function() end } do
        local ok, err = open(task, r.url, { credentials = credentials }):ping()
        assert.is_nil(ok)
        assert.equal("unauthorized", err.kind)
      end
    end)
  end)

  it("speaks https with a certificate of one's own CA", function()
    with_registry({ tls = true, auth = true }, function(r, task)
      local function credentials() return r.user, r.password end
      use(open(task, r.url, { ca_cert = r.ca, credentials = credentials }), task)
      local ok, err = open(task, r.url, { credentials = credentials, retries = 0 }):ping()
      assert.is_nil(ok)
      assert.equal("tls", err.kind)
    end)
  end)

  it("is not followed where a proxy keeps from it that it is asked by https", function()
    with_registry({}, function(r, task)
      local proxy = server.start { tls = true, locations = { ["/"] = PROXY:format(r.url) } }
      local home = open(task, proxy.tls_url, { ca_cert = proxy.ca })
      local ok, err = home:put_blob("some/name", core.digest("x"), 1, core.bytes("x"))
      proxy:stop()
      assert.is_nil(ok)
      assert.equal("denied", err.kind)
      assert.matches("X-Forwarded-Proto", tostring(err), 1, true)
    end)
  end)

  it("takes signed tokens, each for what it is for", function()
    support.with_task(function(task, dir)
      local signer = signed_tokens.signer(dir)
      local function token(actions)
        return signer:token {
          { type = "repository", name = "some/name", actions = actions },
          { type = "registry", name = "catalog", actions = { "*" } },
        }
      end
      with_registry({ token = { service = signed_tokens.service, issuer = signed_tokens.issuer,
                                certificate = signer.certificate } }, function(r)
        local proxy = script.start({}, {
          ["^~ /auth/token"] = server.lua [[
            note("asked", ngx.var.arg_service .. " " .. (ngx.var.arg_scope or "-"))
            local known = authorization() == "Basic ZnJvZG86YmFnZ2lucw=="
            local f = io.open("${dir}/www/" .. (known and "frodo" or "guest"))
            answer(200, ('{"token":"%s"}'):format(f:read("*a")))
            f:close() ]],
          ["/"] = PROXY:format(r.url) .. "proxy_set_header X-Forwarded-Proto $scheme;",
        }, { tls = true, files = { frodo = token { "pull", "push", "delete" }, guest = token { "pull" } } })
        local ok, err = pcall(function()
          local home = open(task, proxy.tls_url, {
            ca_cert = proxy.ca, credentials = function() return "frodo", "baggins" end,
          })
          use(home, task)
          local refused, why = home:put_blob("another/name", core.digest("x"), 1, core.bytes("x"))
          assert.is_nil(refused)
          assert.equal("unauthorized", why.kind)

          local guest = open(task, proxy.tls_url, { ca_cert = proxy.ca })
          assert.same({ "v1" }, assert(guest:tags("some/name")))
          refused, why = guest:put_blob("some/name", core.digest("x"), 1, core.bytes("x"))
          assert.is_nil(refused)
          assert.equal("unauthorized", why.kind)
          assert.matches("log in with: epoch login localhost", tostring(why))

          local asked = table.concat(script.seen(proxy, "asked"), "\n")
          assert.matches("spec%-registry repository%%3Asome%%2Fname%%3Apull%%2Cpush", asked)
          assert.matches("registry%%3Acatalog", asked)
        end)
        proxy:stop()
        if not ok then
          error(err, 0)
        end
      end)
    end)
  end)
end, function(one) return one.takes_options end)
