--- The reference's program at our gateway: whatever it does at its own server, and what it brings to and
-- fro is what our program sees there.
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local golden_home = require "spec.support.golden_home"
local registries = require "spec.support.registries"
local standin = require "spec.support.standin"
local support = require "spec.support.store"
local work = require "spec.support.work"

local TOKEN = "the-token-of-both"

local reference = registries.setting "EPOCH_REFERENCE_BINARY"

describe("the reference's program at a gateway", function()
  local missing = reference == "" and "set EPOCH_REFERENCE_BINARY to its path" or gateway.missing()
  if missing then
    pending("SKIPPED: " .. missing)
    return
  end

  local g, dir

  setup(function()
    g = gateway.start { env = { EPOCH_REGISTRY_TOKEN = TOKEN }, options = { anonymous_pull = false } }
  end)

  teardown(function()
    g:stop()
  end)

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(core.mkdir(dir, tonumber("700", 8)))
  end)

  after_each(function()
    os.execute("rm -rf '" .. dir .. "'")
  end)

  -- Runs it with the cocoon below `root`: its exit code, what it wrote to stdout, and to stderr.
  local function run(root, words, token)
    local path = dir .. "/" .. root
    local code = work.output(("mkdir -p '%s'; env -i PATH=\"$PATH\" HOME='%s' EPOCH_BUILD=\"$EPOCH_BUILD\" "
      .. "COCOON_ROOT_DIR='%s' COCOON_RUN_DIR='%s/run' COCOON_LOG_DIR='%s/log' EPOCH_COCOON_BINARY='%s' "
      .. "EPOCH_SERVER=%s EPOCH_REGISTRY_TOKEN=%s timeout 60 '%s' %s >'%s.out' 2>'%s.err'; echo $?"):format(path, path,
      path, path, path, standin.program, g.url, token or TOKEN, reference, words, path, path))
    return tonumber(code), work.read_file(path .. ".out"), work.read_file(path .. ".err")
  end

  local function done(root, words)
    local code, out, err = run(root, words)
    assert(code == 0, words .. ": " .. tostring(err))
    return out, err
  end

  local function import(root, name)
    assert(core.mkdir(dir .. "/" .. root))
    work.with_loop(nil, function(loop)
      local result = standin.run(loop, dir .. "/" .. root, { "snapshot", "import", "--name", name },
        golden.read("v1-small/import.tar"))
      assert(result.code == 0, result.stderr)
    end)
  end

  it("pushes a snapshot, lists, tags, shows and pulls it, and takes tags away", function()
    import("from", "demo")
    done("from", "push demo -t v1")
    assert.equal("demo\n", (done("from", "ls")))
    done("from", "tag demo:v1 demo:v2")
    assert.equal("demo:v1\ndemo:v2\n", (done("from", "ls demo")))
    local shown, said = done("from", "inspect demo:v2")
    assert.is_truthy((shown .. said):find("application/vnd.cocoonstack.snapshot.v1+json", 1, true))
    done("from", "rm demo:v1")
    assert.equal("demo:v2\n", (done("from", "ls demo")))
    done("to", "pull demo:v2 --name again")
    standin.assert_same_files(standin.files(dir .. "/from", "demo"), standin.files(dir .. "/to", "again"))
    local code = run("from", "pull demo:v1")
    assert.is_true(code ~= 0)
  end)

  it("streams the disk of a cloud image that we have pushed", function()
    support.with_task(function(task)
      golden_home.put_image(assert(homes.open(task, g.url, {
        docker_config = false, proxy = "", credentials = function() return "epoch", TOKEN end,
      })), "windows/win11", "25h2")
    end)
    work.assert_same_bytes(golden.read("cloudimg/disk.qcow2"), (done("from", "get windows/win11:25h2")))
  end)

  it("may nothing with another token", function()
    import("from", "other")
    local code = run("from", "push other -t v1", "not-the-token")
    assert.is_true(code ~= 0)
    code = run("from", "ls", "not-the-token")
    assert.is_true(code ~= 0)
    assert.is_nil(g:log():find(TOKEN, 1, true))
    assert.is_nil(g:log():find("not-the-token", 1, true))
  end)
end)
