-- epoch config, and the options that stand above the settings.
local json = require "epoch.json"
local work = require "spec.support.work"

local function has(program)
  return os.execute("command -v " .. program .. " >/dev/null 2>&1")
end

for _, vm in ipairs { "lua5.4", "luajit", "lua5.1" } do
  describe("epoch config under " .. vm, function()
    local there = has(vm)
    if there ~= true and there ~= 0 then
      pending(vm .. " is not here")
      return
    end
    local dir

    local function epoch(words, env)
      os.execute(("env -u LUA_PATH -u LUA_CPATH -u LUA_PATH_5_4 -u LUA_CPATH_5_4 -u LUA_INIT EPOCH_CONFIG=%s/c.lua "
        .. "%s %s epoch.lua %s >%s/out 2>%s/err </dev/null; echo $? >%s/code"):format(dir, env or "", vm, words, dir,
        dir, dir))
      return work.read_file(dir .. "/out"), work.read_file(dir .. "/err"), tonumber(work.read_file(dir .. "/code"))
    end

    local function file(name, source)
      work.write_file(dir .. "/" .. name, source)
      os.execute("chmod 600 " .. dir .. "/" .. name)
    end

    before_each(function()
      dir = work.output("umask 077; mktemp -d")
      file("c.lua", "registry = 'oci:/srv' concurrency = 2")
    end)

    after_each(function()
      os.execute("rm -rf " .. dir)
    end)

    it("shows every value with its origin", function()
      local out, err, code = epoch("config", "EPOCH_REGISTRY_TOKEN=geheim")
      assert.equal("", err)
      assert.equal(0, code)
      assert.matches('\nregistry +"oci:/srv" +' .. dir:gsub("%p", "%%%0") .. "/c.lua\n", out)
      assert.matches('\nspool_dir +"/var/tmp" +default\n', out)
      assert.matches('\ntoken +"%*%*%*" +EPOCH_REGISTRY_TOKEN\n', out)
      assert.is_nil(out:find("geheim", 1, true))
    end)

    it("shows them as JSON", function()
      local out = epoch("config --json --plain-http --registry file:///x")
      local shown = assert(json.decode(out))
      assert.same({ value = "file:///x", origin = "--registry" }, shown.registry)
      assert.same({ value = true, origin = "--plain-http" }, shown.plain_http)
      assert.same({ value = 2, origin = dir .. "/c.lua" }, shown.concurrency)
    end)

    it("takes its options before and after the command, with = too", function()
      file("other.lua", "concurrency = 9")
      for _, words in ipairs { "--config DIR/other.lua config --json", "config --json --config=DIR/other.lua" } do
        local shown = assert(json.decode((epoch((words:gsub("DIR", dir))))))
        assert.same({ value = 9, origin = dir .. "/other.lua" }, shown.concurrency)
      end
    end)

    it("ends with 64 for an option's wrong value, with 1 for a wrong file", function()
      local _, err, code = epoch("config --concurrency many")
      assert.equal(64, code)
      assert.equal('epoch: --concurrency must be a whole number, not "many"\n', err)
      _, err, code = epoch("config --progress plian")
      assert.equal(64, code)
      assert.matches('did you mean "plain"', err)
      file("c.lua", "\nregsitry = 'x'")
      local out
      out, err, code = epoch("config --json")
      assert.equal(1, code)
      assert.equal("config", assert(json.decode(out)).error.kind)
      assert.matches('c.lua:2: option "regsitry" is unknown %(did you mean "registry"%?%)\n$', err)
    end)

    it("ends a script of configuration that does not end", function()
      file("c.lua", "while true do end")
      local _, err, code = epoch("config")
      assert.equal(1, code)
      assert.matches("c.lua:1: it takes too many steps", err)
    end)

    it("gives a script the settings, and the script its own words", function()
      work.write_file(dir .. "/s.lua", [[
        local settings = assert(require("epoch").config.current())
        io.write(settings.values.registry, " ", settings.values.concurrency, " ", table.concat(arg, ","))]])
      local out, err, code = epoch(("run --registry s3://b --concurrency 5 %s/s.lua --registry x --json"):format(dir))
      assert.equal("", err)
      assert.equal(0, code)
      assert.equal("s3://b 5 --registry,x,--json", out)
      file("c.lua", "concurrency = 0")
      out, err, code = epoch(("run %s/s.lua"):format(dir))
      assert.equal("", out)
      assert.equal(1, code)
      assert.matches("^epoch: run .*s.lua: .*c.lua:1: option \"concurrency\" must be at least 1", err)
    end)

    it("takes an option's value for no command, no script and no option", function()
      local shown = assert(json.decode((epoch("--registry run config --json"))))
      assert.same({ value = "run", origin = "--registry" }, shown.registry)
      local out, err, code = epoch("--registry --json config")
      assert.equal("", out)
      assert.equal(64, code)
      assert.matches('option "%-%-registry" requires an argument', err)
    end)
  end)
end
