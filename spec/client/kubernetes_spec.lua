local certificates = require "spec.support.certificates"
local core = require "epoch.core"
local kubernetes = require "epoch.kubernetes"
local kubernetes_api = require "spec.support.kubernetes"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MAPS = {
  ["prod/configmaps/agent-env"] = '{"kind":"ConfigMap","data":{"EPOCH_S3_BUCKET":"vms","n":7,"t":"a\\nb"}}',
  ["prod/configmaps/empty"] = '{"kind":"ConfigMap"}',
  ["prod/configmaps/secret"] = '{"kind":"Secret","data":{"x":"y"}}',
  ["prod/configmaps/broken"] = '{"kind":"ConfigMap","data":',
  ["prod/configmaps/large"] = '{"kind":"ConfigMap","data":{"x":"' .. ("x"):rep(5000000) .. '"}}',
}

describe("a ConfigMap", function()
  local api, pod, task, dir

  setup(function()
    api = kubernetes_api.start(MAPS)
  end)

  teardown(function()
    api:stop()
  end)

  before_each(function()
    task = assert(tasks.new { threads = 0 })
    dir = os.tmpname()
    os.remove(dir)
    assert(core.mkdir(dir, tonumber("700", 8)))
    pod = api:pod(dir)
  end)

  after_each(function()
    task:close()
    task = nil
    os.execute("rm -rf " .. dir)
  end)

  local function in_pod(name, namespace)
    return kubernetes.config_map(task, namespace or "prod", name, pod)
  end

  local function refused(kind, words, data, err)
    assert.is_nil(data)
    assert.equal(kind, err.kind, tostring(err))
    assert.matches(words, tostring(err))
  end

  it("is read in a pod as its service account", function()
    assert.same({ EPOCH_S3_BUCKET = "vms", t = "a\nb" }, in_pod "agent-env")
    assert.same({}, in_pod "empty")
  end)

  it("that cannot be had is an error that says why", function()
    refused("not_found", "^ConfigMap prod/none: there is none of that name", in_pod "none")
    refused("denied", "needs the verb get on configmaps", in_pod "answers-403")
    refused("unavailable", "answers 500", in_pod "answers-500")
    refused("rate_limited", "answers 429", in_pod "answers-429")
    refused("invalid", "answers 302", in_pod "answers-302")
    refused("invalid", "is no ConfigMap", in_pod "secret")
    refused("invalid", "JSON", in_pod "broken")
    refused("too_large", "ConfigMap prod/large", in_pod "large")
    work.write_file(dir .. "/token", "another")
    refused("unauthorized", "does not know this service account", in_pod "agent-env")
  end)

  it("is asked for with the token, and only from who has the right certificate", function()
    os.remove(dir .. "/token")
    refused("not_found", "service account's token", in_pod "agent-env")
    work.write_file(dir .. "/token", "the-token\r\nX-Evil: 1")
    local data = in_pod "agent-env"
    assert.is_nil(data)
    work.write_file(dir .. "/token", "the-token")
    os.remove(dir .. "/ca.crt")
    assert.is_nil((in_pod "agent-env"))
    assert(core.mkdir(dir .. "/other"))
    for _, ca in ipairs { "", work.read_file(certificates.make(dir .. "/other").ca) } do
      work.write_file(dir .. "/ca.crt", ca)
      local none, err = in_pod "agent-env"
      assert.is_nil(none)
      assert.matches("^ConfigMap prod/agent%-env: ", tostring(err))
      assert.matches("certificate", tostring(err))
      assert.is_nil(tostring(err):find("the-token", 1, true))
    end
  end)

  it("has a name that leads nowhere else", function()
    for _, name in ipairs { "", "../x", "a/b", "a b", "A", "-x", "--help", "x-", ".", "a?b", "a\n", ("a"):rep(254) } do
      refused("invalid", "the ConfigMap", in_pod(name))
    end
    for _, namespace in ipairs { "", "..", "a.b", "a/b", "-x", ("a"):rep(64) } do
      refused("invalid", "the namespace", in_pod("x", namespace))
    end
  end)

  local function outside(script)
    if script then
      work.write_file(dir .. "/kubectl", "#!/bin/sh\nprintf '%s|' \"$@\" >" .. dir .. "/argv\n" .. script)
      os.execute("chmod +x " .. dir .. "/kubectl")
    end
    return kubernetes.config_map(task, "prod", "agent-env", {
      getenv = function() end, kubectl = script and dir .. "/kubectl" or "no-such-kubectl",
    })
  end

  it("is read by way of kubectl where there is no pod", function()
    assert.same({ a = "b" }, outside [[echo '{"kind":"ConfigMap","data":{"a":"b"}}']])
    assert.equal("get|configmap|--namespace=prod|--output=json|--|agent-env|", work.read_file(dir .. "/argv"))
    refused("not_found", "kubectl: Error from server %(NotFound%): none",
      outside [[echo 'Error from server (NotFound): none' >&2; exit 1]])
    refused("process", "kubectl: it says nothing, exit code 3$", outside "exit 3")
    refused("process", "kubectl: it says nothing, ended by SIGTERM$", outside "kill $$")
    refused("invalid", "JSON", outside "echo no json")
    refused("not_found", "this is no pod .* no%-such%-kubectl is not in PATH", outside())
  end)
end)
