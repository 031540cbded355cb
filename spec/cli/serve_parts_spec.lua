--- What `epoch serve` finds out before it starts anything: addresses, the nginx that is here, the
-- environment, the system.
local address = require "epoch.cli.serve.address"
local environment = require "epoch.cli.serve.environment"
local nginx = require "epoch.cli.serve.nginx"
local server = require "spec.support.server"
local system = require "epoch.cli.serve.system"
local tasks = require "epoch.task"
local work = require "spec.support.work"

describe("an address", function()
  it("is HOST:PORT, and is known as this machine's alone or not", function()
    for typed, want in pairs {
      ["127.0.0.1:8080"] = { "127.0.0.1", 8080, true },
      ["127.9.8.7:1"] = { "127.9.8.7", 1, true },
      ["localhost:0"] = { "127.0.0.1", 0, true },
      ["LOCALHOST:80"] = { "127.0.0.1", 80, true },
      ["[::1]:65535"] = { "[::1]", 65535, true },
      ["[0:0:0:0:0:0:0:1]:80"] = { "[0:0:0:0:0:0:0:1]", 80, true },
      ["[::]:80"] = { "[::]", 80, false },
      ["[::1:1]:80"] = { "[::1:1]", 80, false },
      ["[1::1]:80"] = { "[1::1]", 80, false },
      [":80"] = { "0.0.0.0", 80, false },
      ["0.0.0.0:80"] = { "0.0.0.0", 80, false },
      ["10.127.0.0:80"] = { "10.127.0.0", 80, false },
      ["127.0.0.1.example:80"] = { "127.0.0.1.example", 80, false },
      ["registry.example:443"] = { "registry.example", 443, false },
    } do
      local at = assert(address.parse(typed))
      assert.same(want, { at.host, at.port, at.loopback }, typed)
    end
  end)

  it("is nothing else", function()
    for _, typed in ipairs {
      "", "8080", "127.0.0.1", "[::1]", "::1:80", "h:65536", "h:99999999999999999999", "h:-1", "h:x", "a b:80",
      "a;b:80", "a$b:80", "[::1:80", "h:80;", "http://h:80", "h:80\n",
    } do
      local at, err = address.parse(typed)
      assert.is_nil(at, typed)
      assert.equal("usage", err.kind)
    end
  end)

  it("is taken where another listens, or listens everywhere", function()
    local web = server.start {}
    local port = tonumber(web.url:match("%d+$"))
    assert.is_true(address.is_taken("127.0.0.1", port))
    assert.is_true(address.is_taken("0.0.0.0", port))
    assert.is_false(address.is_taken("127.0.0.2", port))
    assert.is_false(address.is_taken("[::1]", port))
    web:stop()
    assert.is_false(address.is_taken("127.0.0.1", port))
  end)

  it("can have a port that nobody listens on", function()
    local port = address.free_port()
    assert(port >= 20000 and port < 32000)
    assert.is_false(address.is_taken("0.0.0.0", port))
  end)
end)

describe("the nginx that is here", function()
  -- One that says this of itself.
  local function find(said)
    local found, err
    work.in_directory(function(dir)
      work.write_file(dir .. "/nginx", "#!/bin/sh\ncat <<'END' >&2\n" .. said:gsub("DIR", dir) .. "\nEND\n")
      work.write_file(dir .. "/ndk_http_module.so", "")
      work.write_file(dir .. "/ngx_http_lua_module.so", "")
      os.execute("chmod +x '" .. dir .. "/nginx'; mkdir '" .. dir .. "/lualib'")
      tasks.with(nil, function(task)
        found, err = nginx.find(task, function() return dir .. "/nginx" end)
      end)
      for _, path in ipairs(found and found.modules or {}) do
        assert.equal(dir, path:match("^(.*)/"))
      end
    end)
    return found, err
  end

  it("may have its Lua module as a file, after the one that it needs", function()
    local found = assert(find("nginx version: nginx/1.22.1\nconfigure arguments: --with-threads --modules-path=DIR"))
    assert.equal("nginx/1.22.1", found.version)
    assert.same({ "ndk_http_module.so", "ngx_http_lua_module.so" },
      { found.modules[1]:match("[^/]*$"), found.modules[2]:match("[^/]*$") })
    assert.is_false(found.http2_directive)
    assert.is_nil(found.lualib)
  end)

  it("may be an OpenResty, with modules of its own", function()
    local found = assert(find("nginx version: openresty/1.25.3.2\nconfigure arguments: --prefix=DIR/nginx "
      .. "--add-module=../ngx_lua-0.10.26 --with-threads"))
    assert.same({}, found.modules)
    assert(found.lualib:find("/lualib$"), found.lualib)
    assert.is_true(found.http2_directive)
  end)

  it("says HTTP/2 in the way of its age", function()
    for version, want in pairs { ["1.25.0"] = false, ["1.25.1"] = true, ["1.9.15"] = false, ["2.0.0"] = true } do
      local found = assert(find("nginx version: nginx/" .. version
        .. "\nconfigure arguments: --with-threads --modules-path=DIR"))
      assert.equal(want, found.http2_directive, version)
    end
  end)

  it("must be able to do what it takes", function()
    local _, err = find("nginx version: nginx/1.22.1\nconfigure arguments: --modules-path=DIR")
    assert(tostring(err):find("--with-threads", 1, true), tostring(err))
    _, err = find("nginx version: nginx/1.22.1\nconfigure arguments: --with-threads --modules-path=/gone")
    assert(tostring(err):find("there is no /gone/ndk_http_module.so", 1, true), tostring(err))
  end)
end)

describe("the environment", function()
  local function names(variables, config)
    local values, list
    work.in_directory(function(dir)
      work.write_file(dir .. "/config.lua", config or "")
      values, list = environment.of({ dir .. "/config.lua" }, 4096, function(name) return variables[name] end)
    end)
    for _, name in ipairs(list) do
      assert.equal(variables[name], values[name])
    end
    return table.concat(list, " ")
  end

  it("is what settings are made of, where it is set", function()
    assert.equal("EPOCH_REGISTRY_TOKEN HOME", names {
      HOME = "/h", EPOCH_REGISTRY_TOKEN = "t", LUA_INIT = "x", PATH = "p",
    })
  end)

  it("is what the configuration asks for, however it is written", function()
    local all = { A = "1", B = "2", C = "3", D = "4", E_1 = "5" }
    assert.equal("A B C E_1", names(all, [[
      x = env "A" .. env 'B' .. env("C") .. setenv "D" .. env( "E_1" )
    ]]))
  end)
end)

describe("the system", function()
  it("says which name servers there are, as nginx takes them", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/resolv.conf", "# comment\nsearch a.example\nnameserver 10.0.0.2\nnameserver\tfe80::1\n"
        .. "nameserver fe80::1%eth0\n nameserver 10.0.0.3 \nnameserver evil;\noptions ndots:1\n")
      assert.same({ "10.0.0.2", "[fe80::1]", "10.0.0.3" }, system.name_servers(dir .. "/resolv.conf"))
      assert.same({}, system.name_servers(dir .. "/gone"))
    end)
  end)

  it("says how many files may be open", function()
    assert(system.files() >= 64 and system.files() <= 4096)
  end)
end)
