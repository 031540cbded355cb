--- The bucket of a registry, from where its settings stand.
local config = require "epoch.config"
local core = require "epoch.core"
local json = require "epoch.json"
local kubernetes_api = require "spec.support.kubernetes"
local locate = require "epoch.locate"
local puller = require "epoch.puller"
local registry = require "epoch.registry"
local support = require "spec.support.store"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local S3 = {
  EPOCH_S3_ENDPOINT = "http://127.0.0.1:9", EPOCH_S3_BUCKET = "vms", EPOCH_S3_ACCESS_KEY = "the-key",
  EPOCH_S3_SECRET_KEY = "the-secret",
}

local function without(...)
  local out = {}
  for name, value in pairs(S3) do
    out[name] = value
  end
  for _, name in ipairs { ... } do
    out[name] = nil
  end
  return out
end

local function refused(words, value, err)
  assert.is_nil(value)
  assert.equal("config", err.kind, tostring(err))
  assert.equal(words, tostring(err))
end

describe("the environment", function()
  it("says which bucket, for whoever opens it", function()
    local found = assert(registry.config_from_env(function(name) return S3[name] end))
    assert.equal("s3://vms", found.home)
    assert.same({ "http://127.0.0.1:9", "the-key", "the-secret", "vms", "epoch/" }, {
      found.options.endpoint, found.options.access_key, found.options.secret_key, found.options.bucket,
      found.options.prefix })
    assert(puller.new_from_config(found, "/nonexistent"))
  end)

  it("has a file of its own, which says less than a variable", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/s3.env", "EPOCH_S3_BUCKET=other\nEPOCH_S3_REGION=here\nEPOCH_S3_PREFIX=p/\n")
      local found = assert(registry.config_from_env(function(name)
        return name == "EPOCH_S3_ENV_FILE" and dir .. "/s3.env" or S3[name]
      end))
      assert.same({ "s3://vms", "here", "p/" }, { found.home, found.options.region, found.options.prefix })
      assert.is_nil(found.options.env_file)
      local why = "s3.env_file: opening " .. dir .. "/none: No such file or directory"
      refused(why, registry.config_from_env(function(name)
        return name == "EPOCH_S3_ENV_FILE" and dir .. "/none" or S3[name]
      end))
    end)
  end)

  it("that lacks something is an error that says what", function()
    refused("the environment has no EPOCH_S3_BUCKET, no EPOCH_S3_ENDPOINT, no EPOCH_S3_ACCESS_KEY, "
      .. "no EPOCH_S3_SECRET_KEY", registry.config_from_env(function() end))
    local env = without("EPOCH_S3_SECRET_KEY")
    refused("the environment has no EPOCH_S3_SECRET_KEY", registry.config_from_env(function(name) return env[name] end))
    env = { EPOCH_S3_SECURE = "maybe" }
    refused('EPOCH_S3_SECURE must be true or false, not "maybe"', registry.config_from_env(function(name)
      return env[name]
    end))
  end)

  it("is that of the settings in force where no other is named", function()
    finally(function()
      config.configure {}
      config.base {}
    end)
    support.with_task(function(task, dir)
      work.write_file(dir .. "/config.lua", "")
      config.base { file = dir .. "/config.lua" }
      local s3 = { endpoint = "http://127.0.0.1:9", bucket = "configured", access_key = "a", secret_key = "b" }
      s3.prefix = "p"
      config.configure { s3 = s3 }
      assert.equal("s3://configured", assert(registry.config_from_env()).home)
      local home = assert(registry.new_from_env(task))
      assert.equal("s3://configured/p", home:describe())
      home:close()
      home = assert(locate.open_home(task, "s3://another"))
      assert.equal("s3://another/p", home:describe())
      home:close()
      s3.endpoint = "ftp://x"
      config.configure { s3 = s3 }
      local none, err = registry.new_from_env(task)
      assert.is_nil(none)
      assert.equal("config", err.kind)
    end)
  end)
end)

describe("a ConfigMap", function()
  local api, dir, pod, task

  setup(function()
    api = kubernetes_api.start {}
  end)

  teardown(function()
    api:stop()
  end)

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(core.mkdir(dir, tonumber("700", 8)))
    pod, task = api:pod(dir), assert(tasks.new { threads = 0 })
  end)

  after_each(function()
    task:close()
    task = nil
    os.execute("rm -rf " .. dir)
  end)

  local function put(data)
    api:put("prod/configmaps/agent-env", assert(json.encode { kind = "ConfigMap", data = data }))
  end

  local function from_map()
    return registry.config_from_configmap(task, "prod", "agent-env", pod)
  end

  it("says which bucket, as the environment does", function()
    put(S3)
    local found = assert(registry.config_from_configmap(task, "prod", "agent-env", pod))
    assert.equal("s3://vms", found.home)
    assert.same({ "the-key", "the-secret", "epoch/" }, {
      found.options.access_key, found.options.secret_key, found.options.prefix })
    local home = assert(registry.new_from_configmap(task, "prod", "agent-env", pod))
    assert.equal("s3://vms/epoch", home:describe())
    home:close()
    assert(puller.new("/nonexistent", "prod", "agent-env", pod))
  end)

  it("is all there is to it", function()
    work.write_file(dir .. "/s3.env", "EPOCH_S3_BUCKET=other\nEPOCH_S3_REGION=here\n")
    local data = without()
    data.EPOCH_S3_ENV_FILE, data.EPOCH_CONFIG, data.HOME = dir .. "/s3.env", dir .. "/s3.env", dir
    put(data)
    assert.is_nil(assert(from_map()).options.region)
  end)

  it("that lacks keys is an error that says which", function()
    local none = "ConfigMap prod/agent-env has no "
    put(without("EPOCH_S3_ENDPOINT"))
    refused(none .. "EPOCH_S3_ENDPOINT", from_map())
    put(without("EPOCH_S3_ACCESS_KEY", "EPOCH_S3_SECRET_KEY"))
    refused(none .. "EPOCH_S3_ACCESS_KEY, no EPOCH_S3_SECRET_KEY", from_map())
    put { EPOCH_S3_BUCKET = "" }
    for _, make in ipairs {
      from_map, function() return puller.new("/nonexistent", "prod", "agent-env", pod) end,
      function() return registry.new_from_configmap(task, "prod", "agent-env", pod) end,
    } do
      refused(none .. "EPOCH_S3_BUCKET, no EPOCH_S3_ENDPOINT, no EPOCH_S3_ACCESS_KEY, no EPOCH_S3_SECRET_KEY", make())
    end
    local data = without()
    data.EPOCH_S3_SECURE = "maybe"
    put(data)
    refused('ConfigMap prod/agent-env: EPOCH_S3_SECURE must be true or false, not "maybe"', from_map())
  end)

  it("that cannot be had is the API's own error", function()
    work.write_file(dir .. "/token", "another")
    for _, make in ipairs { registry.config_from_configmap, registry.new_from_configmap } do
      local none, err = make(task, "prod", "agent-env", pod)
      assert.is_nil(none)
      assert.equal("unauthorized", err.kind)
      assert.is_nil(tostring(err):find("another", 1, true))
    end
    work.write_file(dir .. "/token", kubernetes_api.TOKEN)
    local none, err = registry.new_from_configmap(task, "prod", "none", pod)
    assert.is_nil(none)
    assert.equal("not_found", err.kind)
  end)
end)
