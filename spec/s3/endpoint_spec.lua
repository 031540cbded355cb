local endpoint = require "epoch.s3.endpoint"

local function new(options)
  local given = { bucket = "vms", region = "eu-west-1" }
  for name, value in pairs(options) do
    given[name] = value
  end
  return endpoint.new(given)
end

describe("the endpoint of a bucket", function()
  local function url(options, key)
    local at = assert(new(options))
    return at:url(at:path(key), "")
  end

  it("is Amazon's in the region, when nothing else is said", function()
    assert.equal("https://vms.s3.eu-west-1.amazonaws.com/a/b", url({}, "a/b"))
    assert.equal("https://vms.s3.eu-west-1.amazonaws.com/", url {})
    assert.equal("https://s3.eu-west-1.amazonaws.com/vms/a", url({ path_style = true }, "a"))
    assert.equal("https://s3.eu-west-1.amazonaws.com/vms.of.mine/a", url({ bucket = "vms.of.mine" }, "a"))
    assert.equal("http://vms.s3.eu-west-1.amazonaws.com/a", url({ secure = false }, "a"))
  end)

  it("is the one that is named, with the bucket in the path", function()
    assert.equal("https://store.example/vms/a%20b%2Bc/d", url({ endpoint = "store.example" }, "a b+c/d"))
    assert.equal("https://store.example/vms", url { endpoint = "store.example" })
    assert.equal("http://store.example/vms", url { endpoint = "store.example", secure = false })
    assert.equal("http://10.0.0.1:9000/vms", url { endpoint = "http://10.0.0.1:9000/" })
    assert.equal("https://[2001:db8::1]:9000/vms", url { endpoint = "https://[2001:db8::1]:9000", secure = true })
    assert.equal("https://vms.store.example/a", url({ endpoint = "store.example", path_style = false }, "a"))
  end)

  it("is signed as it is sent: in lower case, without a port that is understood", function()
    assert.equal("store.example", new({ endpoint = "HTTPS://Store.Example:443" }).host)
    assert.equal("store.example:443", new({ endpoint = "http://store.example:443" }).host)
    assert.equal("store.example", new({ endpoint = "http://store.example:80" }).host)
  end)

  it("is refused when it is none", function()
    local function refused(options, words)
      local at, err = new(options)
      assert.is_nil(at)
      assert.equal("config", err.kind)
      assert.matches(words, err.message, 1, true)
    end
    refused({ endpoint = "ftp://x" }, "s3.endpoint = \"ftp://x\": only http and https")
    refused({ endpoint = "http://x", secure = true }, "s3.secure = true says otherwise")
    refused({ endpoint = "https://x", secure = false }, "s3.secure = false says otherwise")
    for _, name in ipairs { "", "x/y", "a b", "x:0", "http://", "x?y", "[::1" } do
      refused({ endpoint = name }, "s3.endpoint")
    end
    for _, name in ipairs { "u:canary@x", "http://u:canary@x", "https://canary@x", "ftp://canary@x" } do
      refused({ endpoint = name, secure = false }, "credentials in it: they are s3.access_key and s3.secret_key")
    end
    for _, bucket in ipairs { "", "ab", "a/b", "../x", "a..b", "-ab", "ab-", "a b c", ("b"):rep(256), "a%2fb" } do
      refused({ bucket = bucket }, "s3.bucket")
    end
    for _, region in ipairs { "a/b", "a b", "a\n", "\195\164" } do
      refused({ region = region, endpoint = "x" }, "s3.region = ")
    end
    for _, name in ipairs { "http://10.0.0.1:9000", "127.0.0.1", "[::1]", "https://[::1]:9000" } do
      refused({ endpoint = name, path_style = false }, "before an address; set s3.path_style = true")
    end
    assert(new { endpoint = "10.0.0.1.example", path_style = false })
    refused({ bucket = "Upper_Case", endpoint = "x", path_style = false }, "set s3.path_style = true")
  end)
end)
