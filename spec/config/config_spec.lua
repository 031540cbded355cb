--- Configuration: files, their order, what is refused, where a value came from.
local config = require "epoch.config"
local work = require "spec.support.work"

describe("configuration", function()
  local dir

  local function file(name, source, mode)
    work.write_file(dir .. "/" .. name, source)
    os.execute(("chmod %s %s/%s"):format(mode or "600", dir, name))
    return dir .. "/" .. name
  end

  -- Loads with nothing of this machine's own in it.
  local function load_config(given)
    given = given or {}
    local env = given.env or {}
    return config.load {
      file = given.file, configured = given.configured, options = given.options,
      system_file = given.system or dir .. "/none.lua",
      getenv = function(name)
        return env[name]
      end,
    }
  end

  local function evaluate(source)
    return config.evaluate(source, dir .. "/config.lua", function(name)
      return ({ REG_PASSWORD = "geheim" })[name]
    end)
  end

  local function fails(pattern, source)
    local values, err = evaluate(source)
    assert.is_nil(values)
    assert.equal("config", err.kind)
    assert.matches(pattern, err.message)
    assert.equal(dir .. "/config.lua:", err.message:sub(1, #dir + 12))
  end

  before_each(function()
    local pipe = io.popen("umask 077; mktemp -d")
    dir = pipe:read("*l")
    pipe:close()
  end)

  after_each(function()
    os.execute("rm -rf '" .. dir .. "'")
    config.base {}
    config.configure {}
  end)

  it("has defaults", function()
    local settings = assert(load_config())
    assert.equal(4, settings.values.concurrency)
    assert.equal("epoch/", settings.values.s3.prefix)
    assert.is_nil(settings.values.registry)
    assert.equal("default", settings.origins["s3.prefix"])
    assert.same({}, settings.files)
  end)

  it("takes the example of the papers", function()
    local values = assert(evaluate [[
registry    = "https://registry.example/vms"
concurrency = 4
spool_dir   = "/var/tmp"
hosts = {
  ["registry.example"] = { ca_cert = "/etc/ssl/ours.pem", mirrors = { "cache.example" } },
  ["10.0.0.5:5000"]    = { plain_http = true, credentials = function(host) return "ops", env "REG_PASSWORD" end },
}
on_pushed = function(result) print(result.name, result.digest) end
]])
    assert.equal("https://registry.example/vms", values.registry)
    assert.same({ "cache.example" }, values.hosts["registry.example"].mirrors)
    assert.same({ "ops", "geheim" }, { values.hosts["10.0.0.5:5000"].credentials("10.0.0.5:5000") })
    assert.is_function(values.on_pushed)
  end)

  it("puts the user's file over the system's, variables over both, options over all", function()
    local system = file("system.lua", [[
      registry = 'a' concurrency = 1 spool_dir = '/s'
      s3 = { bucket = 'b', region = 'r' }]])
    os.execute("mkdir -p " .. dir .. "/xdg/epoch")
    local user = file("xdg/epoch/config.lua", "return { concurrency = 2, ca_cert = 'c', s3 = { region = 'u' } }")
    local settings = assert(load_config {
      system = system, configured = { proxy = "http://p/", ca_cert = "configured" }, options = { plain_http = true },
      env = {
        XDG_CONFIG_HOME = dir .. "/xdg", EPOCH_CA_CERT = " /env.pem ", EPOCH_S3_SECURE = "no", EPOCH_SERVER = "",
      },
    })
    assert.same({ system, user }, settings.files)
    local want = {
      registry = { "a", system }, concurrency = { 2, user }, ca_cert = { "configured", "epoch.configure" },
      spool_dir = { "/s", system }, plain_http = { true, "option" }, progress = { "auto", "default" },
      proxy = { "http://p/", "epoch.configure" },
    }
    for name, pair in pairs(want) do
      assert.same(pair, { settings.values[name], settings.origins[name] })
    end
    assert.same({ bucket = "b", region = "u", secure = false, prefix = "epoch/" }, settings.values.s3)
    assert.equal(system, settings.origins["s3.bucket"])
    assert.equal(user, settings.origins["s3.region"])
    assert.equal("EPOCH_S3_SECURE", settings.origins["s3.secure"])
    settings = assert(load_config { env = { EPOCH_CA_CERT = " /env.pem " } })
    assert.same({ "/env.pem", "EPOCH_CA_CERT" }, { settings.values.ca_cert, settings.origins.ca_cert })
  end)

  describe("has a file of variables for S3", function()
    local ENV = table.concat({
      "# of the store", "", "  EPOCH_S3_ENDPOINT = store.example:9000 ", "EPOCH_S3_ACCESS_KEY=a=b#c",
      "EPOCH_S3_SECRET_KEY=' with spaces '", 'EPOCH_S3_REGION="r"', "EPOCH_S3_SECURE=no\r", "EPOCH_S3_PREFIX=",
      "OTHER_KEY=$(touch /tmp/never)", "EPOCH_SERVER=oci:/no",
    }, "\n")

    it("over the configuration, under the environment", function()
      local path = file("named.env", ENV)
      local system = file("system.lua", ("s3 = { env_file = %q, region = 's', bucket = 'b' }"):format(path))
      local settings = assert(load_config { system = system, env = { EPOCH_S3_ACCESS_KEY = "e" } })
      assert.same({
        endpoint = "store.example:9000", access_key = "e", secret_key = "with spaces", region = "r", secure = false,
        prefix = "epoch/", bucket = "b", env_file = path,
      }, settings.values.s3)
      assert.is_nil(settings.values.registry)
      assert.equal(path, settings.origins["s3.region"])
      assert.equal("EPOCH_S3_ACCESS_KEY", settings.origins["s3.access_key"])
      assert.same({ system, path }, settings.files)
      settings = assert(load_config { env = { EPOCH_S3_ENV_FILE = path } })
      assert.equal("a=b#c", settings.values.s3.access_key)
    end)

    it("of the user's own, if it is there", function()
      os.execute("mkdir -p " .. dir .. "/.config/epoch")
      assert.is_nil(load_config({ env = { HOME = dir } }).values.s3.region)
      file(".config/epoch/s3.env", ENV)
      assert.equal("r", load_config({ env = { HOME = dir } }).values.s3.region)
      local other = file("other.env", "EPOCH_S3_REGION=o")
      assert.equal("o", load_config({ env = { HOME = dir, EPOCH_S3_ENV_FILE = other } }).values.s3.region)
    end)

    it("that scripts name, too", function()
      local one, other = file("one.env", "EPOCH_S3_REGION=one"), file("other.env", "EPOCH_S3_REGION=other")
      local given = { configured = { s3 = { env_file = one } }, env = { EPOCH_S3_ENV_FILE = other } }
      assert.equal("one", load_config(given).values.s3.region)
      given.options = { s3 = { env_file = other } }
      local settings = load_config(given)
      assert.same({ "other", other }, { settings.values.s3.region, settings.values.s3.env_file })
      given.options.s3.region = "option"
      assert.equal("option", load_config(given).values.s3.region)
    end)

    it("as a shell has it, with comments", function()
      local path = file("shell.env", table.concat({
        'export EPOCH_S3_ENDPOINT="store.example" # the \'new\' "one"', "export OTHER=1", "EPOCH_S3_BUCKET=b # ours",
        "EPOCH_S3_ACCESS_KEY='a # b'", 'EPOCH_S3_SECRET_KEY="a"b"', "EPOCH_S3_REGION='' # none",
        "export\tEPOCH_S3_SESSION_TOKEN=t#u",
      }, "\r\n"))
      local settings = assert(load_config { env = { EPOCH_S3_ENV_FILE = path } })
      assert.same({
        endpoint = "store.example", bucket = "b", access_key = "a # b", secret_key = 'a"b', session_token = "t#u",
        prefix = "epoch/", env_file = path,
      }, settings.values.s3)
    end)

    it("and says what is wrong with it", function()
      local function refuses(words, source, mode)
        local path = file("bad.env", source, mode)
        local settings, err = load_config { env = { EPOCH_S3_ENV_FILE = path } }
        assert.is_nil(settings)
        assert.equal("config", err.kind)
        assert.matches(words, err.message, 1, true)
        assert.is_nil(err.message:find("canary", 1, true))
      end
      refuses("bad.env:2: no KEY=VALUE", "#\ncanary")
      refuses("bad.env:1: no KEY=VALUE", "export canary")
      refuses("bad.env:1: no KEY=VALUE", "exportEPOCH_S3_SECRET_KEY canary")
      refuses("bad.env:2: the quotes of EPOCH_S3_SECRET_KEY are not closed", '\nEPOCH_S3_SECRET_KEY="canary')
      refuses("bad.env:1: the quotes of EPOCH_S3_SECRET_KEY are not closed", "EPOCH_S3_SECRET_KEY='")
      refuses('bad.env:1: "EPOCH_S3_REGOIN" is unknown (did you mean "EPOCH_S3_REGION"?)', "EPOCH_S3_REGOIN=canary")
      refuses("bad.env: EPOCH_S3_SECURE must be true or false", "EPOCH_S3_SECURE=perhaps")
      refuses("bad.env", "EPOCH_S3_REGION=canary", "666")
      local _, err = load_config { env = { EPOCH_S3_ENV_FILE = dir .. "/none.env" } }
      assert.matches("^s3.env_file: .*none.env", err.message)
    end)
  end)

  it("finds the user's file in $HOME/.config, and never by a relative XDG_CONFIG_HOME", function()
    os.execute("mkdir -p " .. dir .. "/.config/epoch")
    local path = file(".config/epoch/config.lua", "concurrency = 7")
    for _, xdg in ipairs { false, "", "relative" } do
      local settings = assert(load_config { env = { HOME = dir, XDG_CONFIG_HOME = xdg or nil } })
      assert.same({ path }, settings.files)
      assert.equal(7, settings.values.concurrency)
    end
  end)

  it("reads one named file instead, which must be there", function()
    local system, one = file("system.lua", "concurrency = 1"), file("one.lua", "progress = 'none'")
    for _, how in ipairs { { file = one }, { env = { EPOCH_CONFIG = one } } } do
      how.system = system
      local settings = assert(load_config(how))
      assert.same({ one }, settings.files)
      assert.equal(4, settings.values.concurrency)
      assert.equal("none", settings.values.progress)
    end
    local settings, err = load_config { file = dir .. "/missing.lua" }
    assert.is_nil(settings)
    assert.equal("config", err.kind)
    assert.matches("missing.lua: No such file", err.message)
  end)

  it("refuses files that others may write, and what is no file or is too large", function()
    for mode, pattern in pairs { ["620"] = "others may write .*: chmod go%-w it", ["602"] = "others may write" } do
      local settings, err = load_config { file = file("one.lua", "concurrency = 1", mode) }
      assert.is_nil(settings)
      assert.matches(pattern, err.message)
    end
    assert(load_config { file = file("one.lua", "concurrency = 1", "644") })
    for path, pattern in pairs {
      [dir] = "is not a file",
      ["/dev/zero"] = "is not a file",
      [file("large.lua", ("-"):rep(config.MAX + 1))] = "has more than",
    } do
      local settings, err = load_config { file = path }
      assert.is_nil(settings)
      assert.matches(pattern, err.message)
    end
    os.execute("mkfifo -m 600 " .. dir .. "/fifo")
    assert.matches("is not a file", select(2, load_config { file = dir .. "/fifo" }).message)
    os.execute(("ln -s %s/one.lua %s/link.lua"):format(dir, dir))
    assert(load_config { file = dir .. "/link.lua" })
    file("one.lua", "concurrency = 1", "666")
    assert.matches("others may write", select(2, load_config { file = dir .. "/link.lua" }).message)
  end)

  it("names the nearest known name, with file and line", function()
    fails('config.lua:2: option "regsitry" is unknown %(did you mean "registry"%?%)', "\nregsitry = 'x'")
    fails('config.lua:3: option "concurency" is unknown %(did you mean "concurrency"%?%)',
      "return {\n  -- concurency = 1\n  concurency = 4,\n}")
    fails('config.lua:4: option "hosts.a.example.plain_htp" is unknown %(did you mean "plain_http"%?%)',
      "hosts = {\n['b.example'] = {},\n['a.example'] = {\n plain_htp = true } }")
    fails('config.lua:1: option "s3.regoin" is unknown', "s3 = { regoin = 'x' }")
    fails('config.lua:1: option "string" is unknown', "string = 1")
  end)

  it("says which value is wrong, and why", function()
    fails(':1: option "concurrency" must be a whole number, not "4"', "concurrency = '4'")
    fails(':2: option "concurrency" must be at most 64', "\nconcurrency = 65")
    fails(':1: option "progress" must be one of', "progress = 'bra'")
    fails(':1: option "hosts" has a wrong key: host "a b"', "hosts = { ['a b'] = {} }")
    fails(':1: option "on_pushed" must be a function, not "x"', "on_pushed = 'x'")
    fails(':1: option "hosts.a.example.mirrors%[1%]" must be a string',
      "hosts = { ['a.example'] = { mirrors = { 1 } } }")
  end)

  it("has env, read and print", function()
    file("password", "  s3cret\n")
    local values = assert(evaluate [[
      return { token = read 'password', proxy = env 'REG_PASSWORD', ca_cert = env 'NOT_SET' }]])
    assert.same({ token = "s3cret", proxy = "geheim" }, values)
    assert.equal("s3cret", (assert(evaluate(("token = read %q"):format(dir .. "/password")))).token)
    fails(":1: read: opening .*/none: No such file", "token = read 'none'")
    fails(":2: env takes the name of a variable, not a number", "\ntoken = env(1)")
    file("password", "x", "666")
    fails("others may write", "token = read 'password'")
    fails("is not a file", "token = read '/dev/zero'")
  end)

  it("masks secrets where it lists them, and nothing else", function()
    local settings = assert(load_config {
      options = {
        registry = "https://user:word@registry.example/", token = "t",
        s3 = { access_key = "a", secret_key = "s", bucket = "b" },
        hosts = { ["h.example"] = { token = "t", mirrors = { "http://u:p@m/" }, credentials = print } },
      },
    })
    local shown = {}
    for _, one in ipairs(settings:list()) do
      shown[one.name] = one.value
    end
    assert.same({
      ["registry"] = "https://***@registry.example/", ["token"] = "***", ["s3.access_key"] = "***",
      ["s3.secret_key"] = "***", ["s3.bucket"] = "b", ["s3.prefix"] = "epoch/", ["concurrency"] = 4,
      ["hosts.h.example.token"] = "***", ["hosts.h.example.mirrors"] = { "http://***@m/" },
      ["hosts.h.example.credentials"] = "(a function)", ["plain_http"] = false, ["progress"] = "auto",
      ["spool_dir"] = "/var/tmp",
    }, shown)
    assert.equal("t", settings.values.token)
  end)

  it("knows what holds for a host: its own, else what is for all but the token", function()
    local settings = assert(load_config {
      options = { ca_cert = "all", token = "t", hosts = { ["H.example"] = { ca_cert = "own", plain_http = true } } },
    })
    assert.same({ ca_cert = "own", plain_http = true }, settings:host("h.example"))
    assert.same({ ca_cert = "all", plain_http = false }, settings:host("other.example"))
  end)

  it("gives the token without a host to the configured registry, and to no other", function()
    for registry, host in pairs {
      ["https://u@Registry.example/vms"] = "registry.example", ["10.0.0.5:5000/x"] = "10.0.0.5:5000",
      ["oci:registry.example"] = false, ["s3://registry.example/x"] = false,
    } do
      local settings = assert(load_config { options = { registry = registry, token = "t" } })
      for _, one in ipairs { "registry.example", "10.0.0.5:5000", "10.0.0.5", "other.example" } do
        assert.equal(one == host and "t" or nil, settings:host(one).token)
      end
    end
  end)

  it("takes the same table from scripts", function()
    local epoch = require "epoch"
    assert.equal(config, epoch.config)
    epoch.configure { registry = "oci:/x", on_pushed = print }
    local settings = assert(config.current())
    assert.equal("oci:/x", settings.values.registry)
    assert.equal("epoch.configure", settings.origins.registry)
    assert.equal(settings, config.current())
    assert.has_error(function()
      epoch.configure { regsitry = "x" }
    end, 'epoch.configure: option "regsitry" is unknown (did you mean "registry"?)')
    assert.equal("oci:/x", config.current().values.registry)
    epoch.configure {}
    assert.is_nil(config.current().origins.on_pushed)
  end)

  it("says which variable is wrong", function()
    local settings, err = load_config { env = { EPOCH_S3_SECURE = "maybe" } }
    assert.is_nil(settings)
    assert.equal('EPOCH_S3_SECURE must be true or false, not "maybe"', err.message)
  end)
end)
