local server = require "spec.support.server"
local interpreter = require "spec.support.interpreter"
local work = require "spec.support.work"

-- What the environment says is read by the process that is started with it.
local CHILD = [[
  package.path, package.cpath = %q, %q
  local core = require "epoch.core"
  local http = require "spec.support.http"
  local loop = core.loop()
  local r, message, code = http.fetch(loop, { %s })
  loop:close()
  io.write(r and r.body or code .. " " .. message)
]]

-- Takes one connection, keeps what it was sent, and answers as a proxy that wants a password.
local PROXY = [[
  use Socket;
  socket(my $s, PF_INET, SOCK_STREAM, 0) or die; bind($s, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($s, 1) or die;
  my ($port) = sockaddr_in(getsockname($s)); open(my $f, ">", "$ARGV[0]/port.new"); print $f $port; close $f;
  rename("$ARGV[0]/port.new", "$ARGV[0]/port"); alarm 20; accept(my $c, $s) or die; my $head = "";
  while ($head !~ /\r\n\r\n/) { sysread($c, $head, 1000, length $head) or last; }
  syswrite($c, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n");
  open($f, ">", "$ARGV[0]/head"); print $f $head; close $f;
]]

describe("HTTP and the environment", function()
  local s

  setup(function()
    s = server.start {
      locations = {
        ["= /echo"] = server.lua [[
          ngx.say("host: ", ngx.var.http_host)
          ngx.say("authorization: ", ngx.var.http_authorization or "none")
          ngx.say("proxy-authorization: ", ngx.var.http_proxy_authorization or "none")
        ]],
        ["= /to"] = "return 302 $arg_to;",
      },
    }
  end)

  teardown(function()
    s:stop()
  end)

  -- The body, or "code message", of a request made with these variables alone.
  local function fetch(environment, options)
    local output
    work.in_directory(function(dir)
      work.write_file(dir .. "/child.lua", CHILD:format(package.path, package.cpath, options))
      local p = io.popen(("env -i %s %s %s %s/child.lua 2>&1"):format(interpreter.preloaded(), environment,
        interpreter.path(), dir))
      output = p:read("*a")
      p:close()
    end)
    return output
  end

  local function url(path)
    return ("url = %q"):format(s.url .. path)
  end

  it("asks the proxy of the environment", function()
    local proxy = "http_proxy=" .. s.url
    local output = fetch(proxy, 'url = "http://upstream.invalid/echo"')
    assert.matches("host: upstream.invalid\n", output, 1, true)
  end)

  it("sends a proxy's password to the proxy only", function()
    local proxy = "http_proxy=" .. s.url:gsub("//", "//user:canary@")
    assert.matches("proxy-authorization: Basic", fetch(proxy, 'url = "http://upstream.invalid/echo"'), 1, true)
    assert.matches("proxy-authorization: none", fetch(proxy .. " no_proxy=127.0.0.1", url "/echo"), 1, true)
  end)

  it("asks no proxy when told so", function()
    local proxy = "http_proxy=http://127.0.0.1:1 all_proxy=http://127.0.0.1:1"
    assert.matches("^unavailable", fetch(proxy, url "/echo"))
    assert.matches("^host: ", fetch(proxy, url "/echo" .. ', proxy = ""'))
  end)

  it("asks the proxy that it is told", function()
    assert.matches("host: upstream.invalid\n",
      fetch("", ('url = "http://upstream.invalid/echo", proxy = %q'):format(s.url)), 1, true)
  end)

  it("does not show a proxy's password when the proxy is of no use", function()
    for _, proxy in ipairs {
      "http://user:canary@127.0.0.1:1", "http://user:canary@nowhere.invalid", "ftp://user:canary@h",
      "http://user:canary@[nonsense",
    } do
      local output = fetch("http_proxy='" .. proxy .. "'", 'url = "http://upstream.invalid/echo"')
      assert.matches("^%l+ GET http://upstream.invalid/echo: ", output)
      assert.not_matches("canary", output, 1, true)
    end
  end)

  it("does not show the request's headers to a proxy that only connects", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/proxy.pl", PROXY)
      assert(os.execute(("perl %s/proxy.pl %s >/dev/null 2>&1 &"):format(dir, dir)))
      local function wait_for(name)
        for _ = 1, 250 do
          local text = work.read_file(dir .. "/" .. name)
          if text and text ~= "" then
            return text
          end
          server.sleep(0.02)
        end
        error("no " .. name)
      end
      local output = fetch("https_proxy=http://127.0.0.1:" .. wait_for("port"),
        'url = "https://upstream.invalid/", authorization = "Bearer canary", headers = { ["X-Secret"] = "canary" }')
      assert.matches("^denied ", output)
      local head = wait_for("head")
      assert.matches("^CONNECT upstream.invalid:443 ", head)
      assert.not_matches("canary", head, 1, true)
    end)
  end)

  it("reads no .netrc, not even after a redirect", function()
    work.in_directory(function(home)
      work.write_file(home .. "/.netrc", "default login canary password canary\n")
      local environment = "HOME=" .. home
      assert.matches("\nauthorization: none", fetch(environment, url "/echo"), 1, true)
      assert.matches("\nauthorization: none", fetch(environment, url("/to?to=" .. s.other_url .. "/echo")), 1, true)
    end)
  end)
end)
