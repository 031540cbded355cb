local address = require "epoch.client.address"
local core = require "epoch.core"
local credentials = require "epoch.client.credentials"
local json = require "epoch.json"
local tasks = require "epoch.task"
local work = require "spec.support.work"

-- Keeps what it is told in files; knows nobody when it has none.
local HELPER = [[#!/bin/sh
dir=${0%/*}
echo "$@" >>"$dir/arguments"
case $1 in
  get) read -r host || :
    [ -f "$dir/kept" ] || { echo "credentials not found in native keychain"; exit 1; }
    [ "$host" = "$(cat "$dir/host")" ] || { echo "another host: $host"; exit 1; }
    cat "$dir/kept" ;;
  store) cat >"$dir/kept" ;;
  erase) cat >"$dir/erased"; rm -f "$dir/kept" ;;
esac
]]

describe("credentials", function()
  local task, dir

  before_each(function()
    task = assert(tasks.new())
    dir = os.tmpname()
    os.remove(dir)
    assert(core.mkdir(dir, tonumber("700", 8)))
  end)

  after_each(function()
    task:close()
    os.execute("rm -rf " .. dir)
  end)

  local function path()
    return dir .. "/docker/config.json"
  end

  local function config(text)
    assert(core.mkdir(dir .. "/docker"))
    work.write_file(path(), text)
  end

  local function kept(more)
    local options = { path = path(), search = dir }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return credentials.new(task, options)
  end

  local function get(host, more)
    return kept(more):get(assert(address.parse(host)))
  end

  local function helper(name, text)
    work.write_file(dir .. "/docker-credential-" .. name, text or HELPER)
    os.execute("chmod +x " .. dir .. "/docker-credential-" .. name)
  end

  local function mode(file)
    return work.output("stat -c %a " .. file)
  end

  it("are none without a config", function()
    assert.is_false(get("r.example"))
    assert.is_false(get("r.example", { path = false }))
  end)

  it("are those of exactly this host and port", function()
    config [[{"auths":{
      "r.example":{"auth":"dTpwOnE="}, "r.example:5000":{"auth":"djpx"},
      "https://old.example/v1/":{"auth":"bzpw"}, "other.example/path":{"auth":"bzpw"},
      "id.example":{"auth":"dTo=","identitytoken":"idt"}, "reg.example":{"registrytoken":"rgt"},
      "plain.example":{"username":"a","password":"b"}, "empty.example":{},
      "https://index.docker.io/v1/":{"auth":"ZDplAA=="}}}]]
    assert.same({ username = "u", password = "p:q" }, get("r.example"))
    assert.same({ username = "u", password = "p:q" }, get("https://r.example:443/some/path"))
    assert.same({ username = "v", password = "q" }, get("r.example:5000"))
    assert.same({ username = "o", password = "p" }, get("old.example"))
    assert.same({ identity_token = "idt" }, get("id.example"))
    assert.same({ registry_token = "rgt" }, get("reg.example"))
    assert.same({ username = "a", password = "b" }, get("plain.example"))
    assert.same({ username = "d", password = "e" }, get("docker.io"))
    for _, host in ipairs { "r.example:5001", "example", "x.r.example", "other.example", "empty.example" } do
      assert.is_false(get(host))
    end
  end)

  it("of the caller come first", function()
    config [[{"auths":{"r.example":{"auth":"dTpw"}}}]]
    local asked
    local function lookup(host)
      asked = host
      if host == "r.example" then
        return "mine", "too"
      end
    end
    assert.same({ username = "mine", password = "too" }, get("r.example", { lookup = lookup }))
    assert.is_false(get("s.example:99", { lookup = lookup }))
    assert.equal("s.example:99", asked)
    assert.same({ username = "u", password = "p" }, get("r.example", { lookup = function() end }))
    assert.same({ identity_token = "x" }, get("r.example", { lookup = function()
      return { identity_token = "x" }
    end }))
  end)

  it("that cannot be read are said so", function()
    for text, why in pairs {
      ["{"] = "config.json: JSON", ["[]"] = "nobody%.example", ['{"auths":[1'] = "JSON", ['"x"'] = "no JSON object",
      ['{"auths":"x"}'] = "auths is no object", ['{"auths":{"nobody.example":{"auth":"???"}}}'] = "USER:PASSWORD",
    } do
      config(text)
      local found, err = get("nobody.example")
      if text == "[]" then -- an empty array looks like an empty object
        assert.is_false(found)
      else
        assert.is_nil(found)
        assert.equal("config", err.kind)
        assert.matches(why, err.message)
      end
    end
  end)

  it("come from a helper, for its host or for all", function()
    helper "spec"
    work.write_file(dir .. "/kept", '{"ServerURL":"r","Username":"u","Secret":"canary"}')
    work.write_file(dir .. "/host", "r.example:5000")
    config [[{"credHelpers":{"r.example:5000":"spec"}}]]
    assert.same({ username = "u", password = "canary" }, get("r.example:5000"))
    assert.is_false(get("r.example"))
    config [[{"credsStore":"spec"}]]
    assert.same({ username = "u", password = "canary" }, get("r.example:5000"))
    work.write_file(dir .. "/kept", '{"Username":"<token>","Secret":"canary"}')
    assert.same({ identity_token = "canary" }, get("r.example:5000"))
    assert.equal("get\nget\nget\n", work.read_file(dir .. "/arguments"))
  end)

  it("are not in the helper: the config's own, or none", function()
    helper "spec"
    config [[{"credsStore":"spec","auths":{"r.example":{"auth":"dTpw"}}}]]
    assert.same({ username = "u", password = "p" }, get("r.example"))
    assert.is_false(get("s.example"))
  end)

  it("are not known when a helper fails", function()
    local function failing(text, name, pattern)
      config(('{"credsStore":"%s"}'):format(name))
      if text then
        helper(name, text)
      end
      local found, err = get("r.example")
      assert.is_nil(found)
      assert.matches(pattern, tostring(err))
    end
    failing(nil, "absent", "docker%-credential%-absent.*not found")
    failing(nil, "../evil", "no proper name")
    failing("#!/bin/sh\necho no wallet; exit 3\n", "closed", 'get failed: "no wallet"')
    failing("#!/bin/sh\necho words\n", "odd", "no answer as helpers give it")
    failing("#!/bin/sh\nhead -c 100000 /dev/zero; sleep 60\n", "wordy", "docker%-credential%-wordy get")
  end)

  it("are kept in the config, which others may read as before", function()
    config '{"auths":{"other":{"auth":"eDp5","email":""}},"HttpHeaders":{},"x":[],"n":1.50}'
    assert.equal(path(), assert(kept():store("r.example:5000", { username = "u", password = "canary" })))
    assert.same({ username = "u", password = "canary" }, get("r.example:5000"))
    assert.same({ username = "x", password = "y" }, get("other"))
    assert.equal("600", mode(path()))
    local text = work.read_file(path())
    for _, part in ipairs { '"HttpHeaders": {}', '"x": []', '"n": 1.50', '{"auth":"eDp5","email":""}' } do
      assert.is_truthy(text:find(part, 1, true))
    end
    assert.is_truthy(json.decode(text))
    assert.is_true(kept():erase("r.example:5000"))
    assert.is_true(kept():erase("r.example:5000"))
    assert.is_false(get("r.example:5000"))
    assert.same({ username = "x", password = "y" }, get("other"))
  end)

  it("make a config where there was none", function()
    assert.is_true(kept():erase("r.example"))
    assert.is_nil(work.read_file(path()))
    assert(kept():store("docker.io", { identity_token = "idt" }))
    assert.equal("700", mode(dir .. "/docker"))
    assert.equal("600", mode(path()))
    assert.is_truthy(json.decode(work.read_file(path())).auths["https://index.docker.io/v1/"])
    assert.same({ identity_token = "idt" }, get("docker.io"))
  end)

  it("replace what was there under any of the host's names", function()
    config [[{"auths":{"r.example:443":{"auth":"dTpw"}}}]]
    assert(kept():store("r.example", { username = "v", password = "q" }))
    assert.same({ username = "v", password = "q" }, get("r.example:443"))
    assert.is_nil(work.read_file(path()):find("443", 1, true))
  end)

  it("are kept by the helper, and not in the config", function()
    helper "spec"
    work.write_file(dir .. "/host", "r.example")
    config [[{"credsStore":"spec"}]]
    assert.equal("helper spec", assert(kept():store("r.example", { username = "u", password = "canary" })))
    assert.same({ ServerURL = "r.example", Username = "u", Secret = "canary" },
      json.decode(work.read_file(dir .. "/kept")))
    assert.is_nil(work.read_file(path()):find("canary", 1, true))
    assert.same({ username = "u", password = "canary" }, get("r.example"))
    assert.is_true(kept():erase("r.example"))
    assert.equal("r.example", work.read_file(dir .. "/erased"))
    assert.is_false(get("r.example"))
    assert.is_nil(work.read_file(dir .. "/arguments"):find("canary", 1, true))
  end)

  it("of no sound name are not kept", function()
    for _, user in ipairs { "", "a:b", "a\nb" } do
      assert.equal("invalid", select(2, kept():store("r.example", { username = user, password = "p" })).kind)
    end
    assert.equal("invalid", select(2, kept():store("no host", { username = "u", password = "p" })).kind)
    assert.has_error(function() kept():store("r.example", { username = "u" }) end)
  end)
end)
