--- `epoch doctor`: what is there, what is missing, and for whom.
local core = require "epoch.core"
local json = require "epoch.json"
local program = require "spec.support.program"
local work = require "spec.support.work"

describe("epoch doctor", function()
  local dir

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(core.mkdir(dir, tonumber("700", 8)))
    work.write_file(dir .. "/config.lua", ("spool_dir = %q\n"):format(dir))
  end)

  after_each(function()
    os.execute("rm -rf '" .. dir .. "'")
  end)

  -- What it says with these words, by check; and how it ended.
  local function examine(words, env)
    local all = { "doctor", "--json", "--config", dir .. "/config.lua" }
    for _, word in ipairs(words) do
      all[#all + 1] = word
    end
    env = env or {}
    env.HOME = dir
    local r = program.run(all, env)
    local answer, by = assert(json.decode(r.out)), {}
    for _, one in ipairs(answer.checks) do
      by[one.check] = one
    end
    return by, r, answer.ok
  end

  it("finds what is here", function()
    local by, r, ok = examine { "--registry", "file://" .. dir .. "/store" }
    assert.same({ 0, true }, { r.code, ok })
    assert.equal("", r.err)
    assert(by.core.detail:find("libcurl/", 1, true), by.core.detail)
    assert.equal(dir .. "/config.lua", by.configuration.detail)
    assert.equal(dir, by.spool.detail)
    assert.equal("file://" .. dir .. "/store", by.home.detail)
    for _, name in ipairs { "core", "configuration", "spool", "home" } do
      assert.same({ "ok", "everything" }, { by[name].state, by[name].needed_for })
    end
  end)

  it("shows people a table", function()
    local r = program.run({ "doctor" }, { HOME = dir })
    assert.equal(0, r.code, r.err)
    assert(r.out:find("^CHECK +STATE +NEEDED FOR +DETAIL\ncore +ok +everything +for Lua"), r.out)
  end)

  it("tells what only some commands need, which is no failure", function()
    local by, r = examine({}, { EPOCH_COCOON_BINARY = "/gone/cocoon", EPOCH_NGINX = "/gone/nginx" })
    assert.equal(0, r.code)
    assert.same({ "absent", "push, pull" }, { by.cocoon.state, by.cocoon.needed_for })
    assert.same({ "absent", "serve" }, { by.nginx.state, by.nginx.needed_for })
    assert(by.nginx.detail:find('"/gone/nginx"', 1, true), by.nginx.detail)
  end)

  it("fails where the home does not answer", function()
    local by, r, ok = examine { "--registry", "http://127.0.0.1:1" }
    assert.same({ 1, false, "missing" }, { r.code, ok, by.home.state })
    assert(by.home.detail:find("127.0.0.1:1", 1, true), by.home.detail)
    assert.equal("epoch: doctor: home is not as needed; the table says why", r.last)
  end)

  it("fails where nothing can be spooled", function()
    work.write_file(dir .. "/config.lua", ("spool_dir = %q\n"):format(dir .. "/gone"))
    local by, r = examine {}
    assert.same({ 1, "missing" }, { r.code, by.spool.state })
    assert(by.spool.detail:find("set spool_dir", 1, true), by.spool.detail)
  end)

  it("fails where the configuration is wrong, and looks no further", function()
    work.write_file(dir .. "/config.lua", "spool_dri = 1\n")
    local by, r = examine {}
    assert.same({ 1, "missing" }, { r.code, by.configuration.state })
    assert.is_nil(by.home)
  end)

  it("works where there is no core to work with", function()
    local copy = dir .. "/copy"
    assert(core.mkdir(copy))
    os.execute(("cp -r epoch.lua lua '%s'"):format(copy))
    local p = assert(io.popen(("cd / && lua5.4 '%s/epoch.lua' doctor 2>&1; echo $?"):format(copy)))
    local said = p:read("*a")
    p:close()
    assert(said:find("core +missing +everything +it cannot be loaded"), said)
    assert(said:find("run make where epoch.lua is", 1, true), said)
    assert(said:find("\n1\n$"), said)
  end)
end)
