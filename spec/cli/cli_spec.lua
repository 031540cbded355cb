-- The real program, under every Lua that is here, as a person runs it.
local json = require("epoch.json")

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local function contents(path)
  local f = assert(io.open(path, "rb"))
  local s = f:read("*a")
  f:close()
  return s
end

local function write(path, s)
  local f = assert(io.open(path, "wb"))
  assert(f:write(s))
  f:close()
end

local function has(program)
  local pipe = io.popen("command -v " .. program)
  local found = pipe:read("*a") ~= ""
  pipe:close()
  return found
end

local function here()
  local pipe = io.popen("pwd")
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local root = here()
local dir

setup(function()
  local pipe = io.popen("mktemp -d")
  dir = pipe:read("*l")
  pipe:close()
end)

teardown(function()
  os.execute("rm -rf " .. quote(dir))
end)

-- Runs a line of shell: what it wrote to stdout, to stderr, its exit code.
local function sh(line)
  os.execute(("{ %s\n} >%s/out 2>%s/err </dev/null; echo $? >%s/code"):format(line, dir, dir, dir))
  return contents(dir .. "/out"), contents(dir .. "/err"), tonumber(contents(dir .. "/code"))
end

local function last_line(s)
  return s:match("([^\n]*)\n$")
end

for _, vm in ipairs({ "lua5.4", "luajit", "lua5.1" }) do
  describe("epoch.lua under " .. vm, function()
    if not has(vm) then
      pending(vm .. " is not here")
      return
    end

    local clean = "env -u LUA_PATH -u LUA_CPATH -u LUA_PATH_5_4 -u LUA_CPATH_5_4 -u LUA_INIT "
    local function epoch(words, prefix)
      return sh((prefix or "") .. clean .. vm .. " epoch.lua " .. words)
    end

    it("says its versions", function()
      local out, err, code = epoch("version")
      assert.equal(0, code)
      assert.equal("", err)
      assert.matches("^epoch " .. require("epoch.version"):gsub("%p", "%%%0") .. "\non Lua", out)
      assert.matches("libcurl/%d", out)
      assert.equal(out, (epoch("--version")))
      assert.equal(out, (epoch("version -v")))
    end)

    it("says its versions as JSON, in one order", function()
      for _, words in ipairs({ "version --json", "--json version", "--json --version" }) do
        local out, err, code = epoch(words)
        assert.equal(0, code)
        assert.equal("", err)
        local v = json.decode(out)
        assert.equal(require("epoch.version"), v.version)
        assert.is_string(v.core.openssl)
        assert.matches('"version".*"lua".*"core".*"curl".*"zstd"', out)
      end
    end)

    it("helps, on stdout, with exit code 0", function()
      local out, err, code = epoch("help")
      assert.equal(0, code)
      assert.equal("", err)
      for _, command in ipairs({ "run", "version", "help" }) do
        assert.matches("\n   " .. command .. " ", out)
      end
      assert.equal(out, (epoch("--help")))
      assert.equal(out, (epoch("-h")))
      local of_run = epoch("help run")
      assert.matches("Usage: epoch run .*SCRIPT", of_run)
      assert.equal(of_run, (epoch("run --help")))
    end)

    it("answers wrong usage with exit code 64 and one sentence that names the nearest", function()
      local cases = {
        [""] = "no command given",
        ["vresion"] = 'unknown command "vresion" %(did you mean "version"%?%)',
        ["frobnicate"] = 'unknown command "frobnicate";',
        ["version --jsno"] = 'version: unknown option "%-%-jsno" %(did you mean "%-%-json"%?%)',
        ["--verbsoe version"] = 'unknown option "%-%-verbsoe" %(did you mean "%-%-verbose"%?%)',
        ["version -x"] = 'unknown option "%-x"',
        ["version x"] = "too many arguments",
        ["run"] = 'missing argument "SCRIPT"',
        ["help vresion"] = 'did you mean "version"',
        ["help help help"] = "too many arguments",
        ["--json=5 version"] = "does not take arguments",
      }
      for words, want in pairs(cases) do
        local out, err, code = epoch(words)
        assert.equal(64, code, words)
        assert.equal("", out)
        assert.matches("^epoch: [^\n]*\n$", err)
        assert.matches(want, err)
      end
    end)

    it("shows what was typed so that a terminal can bear it", function()
      local _, err, code = epoch("$(printf '\\033[31mx')")
      assert.equal(64, code)
      assert.matches('unknown command "\\x1b[31mx"', err, 1, true)
    end)

    it("tells errors as JSON on stdout, the sentence still on stderr", function()
      local out, err, code = epoch("vresion --json")
      assert.equal(64, code)
      local e = json.decode(out).error
      assert.equal("usage", e.kind)
      assert.matches("did you mean", e.message)
      assert.equal(json.null, e.op)
      assert.equal(json.null, e.status)
      assert.matches("^epoch: unknown command [^\n]*\n$", err)
    end)

    it("notices when stdout cannot be written", function()
      local _, err, code = sh(clean .. vm .. " epoch.lua version >/dev/full")
      assert.equal(1, code)
      assert.equal("epoch: writing to standard output: No space left on device", last_line(err))
    end)

    it("lets nothing take the place of a stdout that is closed", function()
      write(dir .. "/script.lua", [[
        local sink = assert(require("epoch.core").fd_sink(1))
        io.stderr:write(select(2, sink:write("x")), "\n")
        sink:close()
      ]])
      local _, err = epoch("run " .. dir .. "/script.lua >&-")
      assert.matches("^writing to descriptor 1: Bad file descriptor\n", err)
    end)

    describe("run", function()
      it("gives a script its words and this module", function()
        write(dir .. "/a.lua", [[
          local epoch = require "epoch"
          print(epoch.version, type(epoch.core.live), arg[0], #arg, ...)
          for i, word in ipairs(arg) do print(i, word) end]])
        local out, err, code = epoch("run " .. dir .. "/a.lua 'x y' --json -v -- --help run")
        assert.equal("", err)
        assert.equal(0, code)
        assert.equal(("%s\tfunction\t%s/a.lua\t6\tx y\t--json\t-v\t--\t--help\trun\n"):format(
          require("epoch.version"), dir) .. "1\tx y\n2\t--json\n3\t-v\n4\t--\n5\t--help\n6\trun\n", out)
        assert.equal(out, (epoch("-v run -- " .. dir .. "/a.lua 'x y' --json -v -- --help run")))
      end)

      it("ends with 1 and one sentence when the script fails", function()
        write(dir .. "/boom.lua", 'io.write("before")\nerror("boom")')
        local out, err, code = epoch("run " .. dir .. "/boom.lua")
        assert.equal(1, code)
        assert.equal("before", out)
        assert.equal(("epoch: run %s/boom.lua: %s/boom.lua:2: boom\n"):format(dir, dir), err)
        write(dir .. "/syntax.lua", "x = = 1")
        out, err, code = epoch("run " .. dir .. "/syntax.lua")
        assert.equal(1, code)
        assert.equal("", out)
        assert.matches("^epoch: run [^\n]*/syntax.lua:1: unexpected symbol[^\n]*\n$", err)
        write(dir .. "/nil.lua", "error()")
        assert.equal(1, (select(3, epoch("run " .. dir .. "/nil.lua"))))
        write(dir .. "/require.lua", 'require "nosuch"')
        _, err, code = epoch("run " .. dir .. "/require.lua")
        assert.equal(1, code)
        assert.matches("^epoch: [^\n]*module 'nosuch' not found\n$", err)
        _, err, code = epoch("run " .. dir .. "/missing.lua")
        assert.equal(1, code)
        assert.matches("cannot open", err)
      end)

      it("says where it was raised with --verbose, the sentence last", function()
        local _, err = epoch("run -v " .. dir .. "/boom.lua")
        assert.matches("stack traceback", err)
        assert.matches("^epoch: run .*boom$", last_line(err))
      end)

      it("ends with the exit code of an error value, raised or returned", function()
        for kind, want in pairs({ not_found = 2, denied = 3, digest_mismatch = 4, unavailable = 1 }) do
          write(dir .. "/err.lua", ([[
            local errors = require("epoch").errors
            local err = errors.new(%q, "no such thing", { op = "look", status = 404 })
            if arg[1] == "raise" then error(err) end
            return nil, err]]):format(kind))
          for _, how in ipairs({ "raise", "return" }) do
            local out, err, code = epoch(("run --json %s/err.lua %s"):format(dir, how))
            assert.equal(want, code)
            assert.equal(("epoch: run %s/err.lua: look: no such thing\n"):format(dir), err)
            assert.same({ kind = kind, message = "look: no such thing", status = 404,
                          op = "run " .. dir .. "/err.lua" },
              json.decode(out).error)
          end
        end
      end)

      it("ends with 130 when it is interrupted", function()
        write(dir .. "/loop.lua", [[
          if jit then jit.off() end -- compiled loops do not look for signals
          io.open(arg[1], "w"):close()
          while true do end]])
        local _, err, code = sh(([[
          rm -f %s/started
          %s %s epoch.lua run %s/loop.lua %s/started &
          until [ -e %s/started ]; do sleep 0.02; done
          kill -INT $!
          wait $!]]):format(dir, clean, vm, dir, dir, dir))
        assert.equal(130, code)
        assert.matches("interrupted\n$", err)
      end)
    end)

    describe("from elsewhere", function()
      it("finds itself, by a relative and by an absolute path", function()
        local want = epoch("version")
        local out, err, code = sh(("cd / && %s %s %s/epoch.lua version"):format(clean, vm, quote(root)))
        assert.equal("", err)
        assert.equal(0, code)
        assert.equal(want, out)
        assert.equal(want, (sh(("cd %s/spec && %s %s ../epoch.lua version"):format(quote(root), clean, vm))))
      end)

      it("is a module for dofile and for require", function()
        local code_of = [[
          local epoch = %s
          assert(epoch == require "epoch", "two of them")
          assert(epoch.core.live and epoch.errors.new)
          io.write(epoch.version)]]
        write(dir .. "/dofile.lua", code_of:format(("dofile %q"):format(root .. "/epoch.lua")))
        write(dir .. "/require.lua", ("package.path = %q .. package.path\n"):format(root .. "/?.lua;")
          .. code_of:format('require "epoch"'))
        for _, script in ipairs({ "dofile", "require" }) do
          local out, err, code = sh(("cd / && %s %s %s/%s.lua"):format(clean, vm, dir, script))
          assert.equal("", err)
          assert.equal(0, code)
          assert.equal(require("epoch.version"), out)
        end
      end)

      it("finds its core also where LUA_PATH leads to the modules already", function()
        local out, err, code = sh(("cd / && %s LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' %s %s/epoch.lua version")
          :format(clean, root, root, vm, root))
        assert.equal("", err)
        assert.equal(0, code)
        assert.equal((epoch("version")), out)
      end)

      it("leaves the paths alone where there is no checkout around it", function()
        write(dir .. "/epoch.lua", contents("epoch.lua"))
        local _, err, code = sh(("cd / && %s %s %s/epoch.lua version"):format(clean, vm, dir))
        assert.equal(1, code)
        assert.matches("^epoch: the module epoch cannot be loaded into [^\n]*: make install[^\n]*\n$", err)
        local want = epoch("version")
        local out
        out, err, code = sh(([[%s %s -e 'package.path = "%s/lua/?.lua;%s/lua/?/init.lua;" .. package.path
          package.cpath = "%s/build/lua/%s/?.so;" .. package.cpath' %s/epoch.lua version]]):format(
          clean, vm, root, root, root, vm == "lua5.4" and "5.4" or "5.1", dir))
        assert.equal("", err)
        assert.equal(0, code)
        assert.equal(want, out)
      end)

      it("says in one line what to do about what is missing", function()
        sh(("mkdir -p %s/bare && cp -r epoch.lua lua %s/bare/"):format(dir, dir))
        local function bare(words, before)
          return sh(("cd / && %s %s -e %s %s/bare/epoch.lua %s"):format(
            clean, vm, quote(before or ""), dir, words))
        end
        local _, err, code = bare("run x.lua")
        assert.equal(1, code)
        assert.matches("^epoch: the core is not built for [^\n]*: run make [^\n]*\n$", err)
        local out
        out, err, code = bare("version")
        assert.equal(0, code)
        assert.equal("", err)
        assert.matches("without its core %(run make%)\n$", out)
        for module, package in pairs({ cjson = "lua-cjson", argparse = "lua-argparse" }) do
          local hide = ("package.preload[%q] = function() error(\"module '%s' not found:\") end"):format(module, module)
          _, err, code = bare("version", hide)
          assert.equal(1, code)
          assert.matches("^epoch: " .. package:gsub("%-", "%%-") .. " cannot be loaded into [^\n]*: apt%-get install "
            .. package:gsub("%-", "%%-") .. "\n$", err)
        end
        _, err, code = bare("version", '_VERSION = "Lua 5.3"')
        assert.equal(1, code)
        assert.matches("^epoch: Lua 5.3 is not [^\n]*apt%-get install lua5.4[^\n]*\n$", err)
      end)
    end)
  end)
end
