--- What the README and examples/ promise, done by the real program under every Lua there is.

local core = require "epoch.core"
local server = require "spec.support.server"
local work = require "spec.support.work"

local LUAS = { "lua5.4", "luajit", "lua5.1" }

local function run(dir, command)
  local pipe = assert(io.popen(("cd '%s' && %s 2>&1; echo \"exit $?\""):format(dir, command)))
  local out = pipe:read("*a")
  pipe:close()
  return out
end

describe("the README", function()
  it("shows examples/first.lua, in five lines", function()
    local shown = work.read_file("README.md"):match("<!%-%- example %-%->\n```lua\n(.-)```")
    assert.equal(work.read_file("examples/first.lua"), shown)
    assert.equal(5, select(2, shown:gsub("\n", "")))
  end)
end)

describe("examples/first.lua", function()
  local web

  setup(function()
    web = server.start { files = { ["page.html"] = ("<p>hello</p>\n"):rep(20000) } }
  end)

  teardown(function()
    web:stop()
  end)

  for _, lua in ipairs(LUAS) do
    it("hashes, tars and downloads under " .. lua, function()
      work.in_directory(function(dir)
        local page = ("<p>hello</p>\n"):rep(20000)
        local program = ("%s '%s/epoch.lua' run '%s/examples/first.lua' "):format(lua, work.here(), work.here())
        assert.equal(core.digest(page) .. "\ttrue\nexit 0\n", run(dir, program .. web.url .. "/page.html"))
        local reader = core.tar_reader(core.file(dir .. "/page.tar"))
        local entry = assert(reader:next())
        assert.equal("page", entry.name)
        work.with_loop(nil, function(loop)
          work.assert_same_bytes(page, (work.read_all(loop, reader:body())))
        end)
        assert.is_false(reader:next())

        os.remove(dir .. "/page.tar")
        assert.matches("no such page\nexit 1\n$", run(dir, program .. web.url .. "/none"))
        assert.is_nil(work.read_file(dir .. "/page.tar"))
      end)
    end)
  end
end)

describe("examples/quickstart.lua", function()
  for _, lua in ipairs(LUAS) do
    it("comes to its end under " .. lua, function()
      local out = run("/", ("%s '%s/epoch.lua' run '%s/examples/quickstart.lua'"):format(lua, work.here(), work.here()))
      assert.equal(3, select(2, out:gsub("verified ", "")))
      assert.matches("exit 0\n$", out)
    end)
  end
end)
