local core = require "epoch.core"
local sigv4 = require "epoch.s3.sigv4"

-- AWS's published examples: the signing test suite (service "service"), and those of the S3
-- documentation for examplebucket.
local SUITE = {
  access_key = "AKIDEXAMPLE", secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region = "us-east-1",
  service = "service",
}
local SUITE_TIME = 1440938160 -- 20150830T123600Z
local S3 = {
  access_key = "AKIAIOSFODNN7EXAMPLE", secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region = "us-east-1",
}
local S3_TIME = 1369353600 -- 20130524T000000Z
local S3_HOST = "examplebucket.s3.amazonaws.com"

local UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

local SUITE_CASES = {
  { "get-vanilla", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
  { "post-vanilla", { method = "POST" }, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
  { "get-vanilla-empty-query-key", { query = { { "Param1", "value1" } } },
    "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
  { "get-vanilla-query-order-key-case", { query = { { "Param2", "value2" }, { "Param1", "value1" } } },
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
  { "get-vanilla-query-order-value", { query = { { "Param1", "value2" }, { "Param1", "value1" } } },
    "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694" },
  { "get-unreserved", { path = "/" .. UNRESERVED },
    "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
  { "get-utf8", { path = "/\225\136\180" },
    "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
  { "get-header-value-trim", { headers = { ["my-header1"] = " value1", ["my-header2"] = ' "a   b   c"' } },
    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
  { "post-header-key-sort", { method = "POST", headers = { ["my-header1"] = "value1" } },
    "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c" },
}

local S3_CASES = {
  { "an object in part", { path = "/test.txt", headers = { range = "bytes=0-9" } },
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
  { "an object put", { method = "PUT", path = "/test$file.text", body = "Welcome to Amazon S3.",
      headers = { date = "Fri, 24 May 2013 00:00:00 GMT", ["x-amz-storage-class"] = "REDUCED_REDUNDANCY" } },
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
  { "a name without value", { path = "/", query = { { "lifecycle" } } },
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
  { "a listing", { path = "/", query = { { "prefix", "J" }, { "max-keys", "2" } } },
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
}

local function signed(case, host, credentials, now)
  return sigv4.sign({
    method = case.method or "GET", host = host, path = sigv4.path(case.path or "/"), query = case.query,
    headers = case.headers, payload = core.digest(case.body or ""):match("%x+$"),
  }, credentials, now)
end

describe("signature version 4", function()
  for _, case in ipairs(SUITE_CASES) do
    it("agrees with the test suite: " .. case[1], function()
      local authorization, headers = signed(case[2], "example.amazonaws.com", SUITE, SUITE_TIME)
      assert.equal(case[3], authorization:match("Signature=(%x+)$"))
      assert.matches("^AWS4%-HMAC%-SHA256 Credential=AKIDEXAMPLE/20150830/us%-east%-1/service/aws4_request,"
        .. "SignedHeaders=host;", authorization)
      assert.equal("20150830T123600Z", headers["x-amz-date"])
      assert.is_nil(headers["x-amz-content-sha256"])
      assert.is_nil(headers.host)
    end)
  end

  for _, case in ipairs(S3_CASES) do
    it("agrees with the S3 documentation: " .. case[1], function()
      local authorization, headers = signed(case[2], S3_HOST, S3, S3_TIME)
      assert.equal(case[3], authorization:match("Signature=(%x+)$"))
      assert.equal(core.digest(case[2].body or ""), "sha256:" .. headers["x-amz-content-sha256"])
    end)
  end

  it("agrees with the S3 documentation: a presigned URL", function()
    assert.equal("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3"
      .. "%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
      .. "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
      sigv4.presign({ method = "GET", host = S3_HOST, path = "/test.txt" }, S3, S3_TIME, 86400))
  end)

  it("signs a session's token, in the header and in the query", function()
    local credentials = { access_key = "A", secret_key = "s", session_token = "to/ken=", region = "r" }
    local request = { method = "GET", host = "h", path = "/", payload = sigv4.EMPTY }
    local authorization, headers = sigv4.sign(request, credentials, 0)
    assert.matches("SignedHeaders=host;x%-amz%-content%-sha256;x%-amz%-date;x%-amz%-security%-token,", authorization)
    assert.equal("to/ken=", headers["x-amz-security-token"])
    assert.matches("&X-Amz-Security-Token=to%2Fken%3D&", sigv4.presign(request, credentials, 0, 1), 1, true)
  end)

  it("codes what is not plain, once, and sorts what is coded", function()
    assert.equal("/a%20b%2Bc~d/%C3%A9%2F%25%3A%3D%40%21" .. UNRESERVED,
      sigv4.path("/a b+c~d/\195\169") .. sigv4.encode("/%:=@!") .. sigv4.encode(UNRESERVED))
    assert.equal("", sigv4.query(nil))
    -- "a-" comes before "a=" when the names are compared, and after it when whole pairs are
    assert.equal("a=1&a=2&a-=0&b=%2F&empty=", sigv4.query {
      { "empty" }, { "b", "/" }, { "a", "2" }, { "a-", "0" }, { "a", "1" },
    })
  end)

  it("is another one for another anything", function()
    local function one(change)
      local request = { method = "GET", host = "h", path = "/k", payload = sigv4.EMPTY, query = { { "a", "b" } },
                        headers = { range = "bytes=0-1" } }
      local credentials, now = { access_key = "A", secret_key = "s", region = "r" }, 0
      now = change(request, credentials) or now
      return sigv4.sign(request, credentials, now):match("Signature=(%x+)")
    end
    local seen = {}
    for i, change in ipairs {
      function() end,
      function(r) r.method = "PUT" end,
      function(r) r.host = "g" end,
      function(r) r.path = "/l" end,
      function(r) r.payload = sigv4.UNSIGNED end,
      function(r) r.query[1][2] = "c" end,
      function(r) r.headers.range = "bytes=0-2" end,
      function(_, c) c.secret_key = "t" end,
      function(_, c) c.region = "q" end,
      function() return 86400 end,
    } do
      local signature = one(change)
      assert.is_nil(seen[signature], "change " .. i)
      seen[signature] = true
    end
  end)
end)
