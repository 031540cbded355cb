-- Tokens in a store: made, listed, removed, and what a damaged file does.
local core = require "epoch.core"
local homes = require "epoch.home"
local json = require "epoch.json"
local program = require "spec.support.program"
local store = require "spec.support.store"
local tokens = require "epoch.gateway.access.tokens"
local work = require "spec.support.work"

local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

local function with_home(use)
  store.with_task(function(task, dir)
    local name = "file://" .. dir .. "/store"
    local home = assert(homes.open(task, name))
    work.write_file(dir .. "/config.lua", "")
    use {
      home = home, task = task, name = name, config = dir .. "/config.lua", file = dir .. "/store/access/tokens.json",
      epoch = function(...)
        return program.run({ "token", ... }, { EPOCH_CONFIG = dir .. "/config.lua" })
      end,
    }
    home:close()
  end)
end

local function names(list)
  local all = {}
  for i, token in ipairs(list) do
    all[i] = token.name
  end
  return table.concat(all, " ")
end

describe("tokens", function()
  it("are shown once and stored hashed, for the owner only", function()
    with_home(function(c)
      assert.is_false(tokens.any(c.home))
      local shown, token = tokens.create(c.home, { name = "ci", scopes = { "pull,push:vms/*", "pull:*" } })
      assert.matches("^epoch_[%w_-]+$", shown)
      assert.equal(#"epoch_" + 43, #shown)
      local bytes = work.read_file(c.file)
      assert.is_nil(bytes:find(shown:sub(7), 1, true))
      assert.equal(core.digest(shown), json.decode(bytes).tokens[1].hash)
      assert.equal("600", ("%o"):format(core.stat(c.file).mode))
      assert.same({ token }, tokens.list(c.home))
      assert.same({ "pull,push:vms/*", "pull:*" }, tokens.scopes(token))
      assert.is_true(tokens.any(c.home))
      local other = tokens.create(c.home, { name = "a", scopes = { "pull:*" }, lifetime = 100 })
      assert.are_not.equal(shown, other)
      local list = tokens.list(c.home)
      assert.equal("a ci", names(list))
      assert.equal(100, list[1].expires - list[1].created)
      assert.equal("600", ("%o"):format(core.stat(c.file).mode))
      assert.is_true(tokens.remove(c.home, "a"))
      assert.equal("ci", names(tokens.list(c.home)))
      assert.equal("not_found", select(2, tokens.remove(c.home, "a")).kind)
      assert.is_true(tokens.remove(c.home, "ci"))
      assert.same({}, tokens.list(c.home))
      assert.is_false(tokens.any(c.home))
    end)
  end)

  it("that are over count, as nobody meant that everybody may write then", function()
    with_home(function(c)
      assert(tokens.create(c.home, { name = "old", scopes = { "pull:*" }, lifetime = 0 }))
      assert.is_true(tokens.any(c.home))
      assert.equal("old", names(tokens.list(c.home)))
    end)
  end)

  it("have names, each its own", function()
    with_home(function(c)
      assert(tokens.create(c.home, { name = "ci", scopes = { "pull:*" } }))
      assert.equal("conflict", select(2, tokens.create(c.home, { name = "ci", scopes = { "pull:*" } })).kind)
      for _, name in ipairs { "", "-a", ".a", "a b", "a/b", "a\n", ("a"):rep(65), "anonymous", "configured", "unknown",
                           "é" } do
        assert.equal("invalid", select(2, tokens.create(c.home, { name = name, scopes = { "pull:*" } })).kind)
      end
      assert.equal("invalid", select(2, tokens.create(c.home, { name = "b", scopes = { "fly:*" } })).kind)
      assert.equal("ci", names(tokens.list(c.home)))
    end)
  end)

  it("of several who make them at once are all there", function()
    with_home(function(c)
      local branches = {}
      for i = 1, 8 do
        branches[i] = function()
          return tokens.create(c.home, { name = "t" .. i, scopes = { "pull:*" } })
        end
      end
      assert(c.task:all(branches))
      assert.equal("t1 t2 t3 t4 t5 t6 t7 t8", names(tokens.list(c.home)))
    end)
  end)

  it("are none at all where the file is damaged", function()
    with_home(function(c)
      assert(tokens.create(c.home, { name = "ci", scopes = { "pull:*" } }))
      local good = work.read_file(c.file)
      local hash = good:match('"hash": "(.-)"')
      local entry = good:match('(%{%s*"name".-%})')
      for what, bad in pairs {
        ["cut"] = good:sub(1, -3), ["empty"] = "", ["a list"] = "[]", ["null"] = "null",
        ["another version"] = good:gsub('"version": 1', '"version": 2'),
        ["a member"] = good:gsub('"version": 1', '"version": 1, "x": 1'),
        ["a member of a token"] = good:gsub('"name"', '"not_before": 1, "name"'),
        ["a name"] = good:gsub('"ci"', '"c i"'), ["no name"] = good:gsub('"ci"', "7"),
        ["a hash"] = good:gsub(hash, hash:sub(1, -2)), ["another hash"] = good:gsub("sha256:", "sha512:"),
        ["scopes"] = good:gsub("pull:%*", "fly:*"), ["no scopes"] = good:gsub('%[%s*"pull:%*"%s*%]', "7"),
        ["a scope"] = good:gsub('"pull:%*"', "7"), ["a time"] = good:gsub('"created": ".-"', '"created": "now"'),
        ["an end"] = good:gsub('"created"', '"expires": 7, "created"'),
        ["twice"] = good:gsub(entry:gsub("%p", "%%%0"), function(one) return one .. "," .. one end),
        ["tokens"] = '{"version":1,"tokens":7}',
        ["tokens by name"] = '{"version":1,"tokens":{"a":1}}',
      } do
        assert(bad ~= good, what)
        work.write_file(c.file, bad)
        local list, err = tokens.list(c.home)
        assert(list == nil, what)
        assert.equal("invalid", err.kind)
        assert(tostring(err):find("access/tokens.json is damaged", 1, true), tostring(err))
        assert.is_nil(tostring(err):find(hash:match("%x+$"), 1, true))
        assert.is_nil((tokens.any(c.home)))
        assert.is_nil((tokens.create(c.home, { name = "b", scopes = { "pull:*" } })))
        assert.is_nil((tokens.remove(c.home, "ci")))
        assert.equal(bad, work.read_file(c.file))
      end
    end)
  end)

  it("are kept by stores only", function()
    store.with_task(function(task, dir)
      local home = assert(homes.open(task, "oci:" .. dir .. "/layout"))
      local none, err = tokens.list(home)
      assert.is_nil(none)
      assert.equal("unsupported", err.kind)
      assert.equal("unsupported", select(2, tokens.create(home, { name = "a", scopes = {} })).kind)
      home:close()
    end)
  end)
end)

describe("epoch token", function()
  it("makes, lists and removes", function()
    with_home(function(c)
      local made = c.epoch("create", "ci", "--store", c.name, "--scope", "pull,push:vms/*", "--scope", "pull:*")
      assert.equal(0, made.code)
      assert.matches("^epoch_[%w_-]+\n$", made.out)
      assert.equal(("epoch: token ci for pull,push:vms/* pull:* in %s; it is shown this once\n"):format(c.name),
        made.err)
      assert.equal("", c.epoch("create", "q", "-q", "--registry", c.name, "--scope", "pull:*", "--expires", "7d").err)
      local listed = c.epoch("ls", "--store", c.name)
      assert.matches("^NAME  SCOPES%s+CREATED%s+EXPIRES\nci    pull,push:vms/%* pull:%*  %S+  %-\n"
        .. "q     pull:%* +%S+  %S+\n$",
        listed.out)
      assert.is_nil(listed.out:find(made.out:sub(7, -2), 1, true))
      local value = json.decode(c.epoch("ls", "--json", "--store", c.name).out)
      assert.same({ "ci", { "pull,push:vms/*", "pull:*" }, json.null },
        { value[1].name, value[1].scopes, value[1].expires })
      assert.is_nil(value[1].token)
      assert.is_nil(value[1].hash)
      assert.equal(0, c.epoch("rm", "ci", "--store", c.name).code)
      assert.equal(2, c.epoch("rm", "ci", "--store", c.name).code)
      value = json.decode(c.epoch("create", "j", "--json", "--scope", "pull:*", "--store", c.name).out)
      assert.matches("^epoch_", value.token)
      assert.equal("j", value.name)
      assert.equal("[]\n", c.epoch("ls", "--json", "--store", c.name .. "2").out)
      work.write_file(c.config, ("gateway = { store = %q }\n"):format(c.name))
      assert.equal("j", json.decode(c.epoch("ls", "--json").out)[1].name)
      assert.equal("[]\n", c.epoch("ls", "--json", "--registry", c.name .. "2").out)
    end)
  end)

  it("says what was typed wrong", function()
    with_home(function(c)
      for words, message in pairs {
        ["fly"] = 'there is no token "fly"; it is create, ls or rm',
        ["lss"] = '(did you mean "ls"?)',
        ["create"] = "it needs the NAME",
        ["create a"] = "it needs to know what may be done with it: --scope",
        ["create a --scope fly:*"] = '"fly" is none of pull, push, delete',
        ["create a/b --scope pull:*"] = 'the name "a/b" cannot be used',
        ["create a --scope pull:* --expires soon"] = '--expires "soon": it must be a time',
        ["rm"] = "it needs the NAME", ["rm a --scope pull:*"] = "rm takes no scope",
        ["ls a"] = "ls takes no name",
      } do
        local list = { "--store", c.name }
        for word in words:gmatch("%S+") do
          table.insert(list, #list - 1, word)
        end
        local result = c.epoch(unpack(list))
        assert.equal(64, result.code, words)
        assert(result.err:find(message, 1, true), result.err)
      end
      assert.equal(1, c.epoch("ls", "--store", "oci:/nowhere").code)
    end)
  end)
end)
