--- Paths and methods that a registry is asked for, and what nobody may get by a path.
local routes = require "epoch.gateway.routes"

local HEX = ("0123456789abcdef"):rep(4)
local D = "sha256:" .. HEX
local D512 = "sha512:" .. HEX .. HEX
local UUID = "0b5f6b36-1b38-4f4c-9c66-9d8e2f4f3d10"

local function refused(method, path)
  local route, err, code, allow = routes.parse(method, path)
  assert.is_nil(route, path)
  return { kind = err.kind, code = code, allow = allow, status = err.status, message = err.message }
end

describe("routes.parse", function()
  it("finds each action, what it takes, and what it is about", function()
    for _, row in ipairs {
      { "GET", "/v2/", { action = "ping" } },
      { "HEAD", "/v2/", { action = "ping" } },
      { "GET", "/v2", { action = "ping" } },
      { "GET", "/v2/_catalog", { action = "catalog", right = "catalog" } },
      { "GET", "/v2/a/tags/list", { action = "tags", right = "pull", name = "a" } },
      { "GET", "/v2/a/b/tags/list", { action = "tags", right = "pull", name = "a/b" } },
      { "GET", "/v2/a/manifests/v1",
        { action = "manifest_get", right = "pull", name = "a", reference = "v1", kind = "tag" } },
      { "HEAD", "/v2/a/b/c/manifests/" .. D,
        { action = "manifest_get", right = "pull", name = "a/b/c", reference = D, kind = "digest" } },
      { "PUT", "/v2/a/manifests/V_1.x-y",
        { action = "manifest_put", right = "push", name = "a", reference = "V_1.x-y", kind = "tag" } },
      { "DELETE", "/v2/a/manifests/" .. D512,
        { action = "manifest_delete", right = "delete", name = "a", reference = D512, kind = "digest" } },
      { "GET", "/v2/a/blobs/" .. D, { action = "blob_get", right = "pull", name = "a", digest = D } },
      { "HEAD", "/v2/a/blobs/" .. D512, { action = "blob_get", right = "pull", name = "a", digest = D512 } },
      { "PUT", "/v2/a/blobs/" .. D, { action = "blob_put", right = "push", name = "a", digest = D } },
      { "DELETE", "/v2/a/blobs/" .. D, { action = "blob_delete", right = "delete", name = "a", digest = D } },
      { "POST", "/v2/a/blobs/uploads/", { action = "upload_start", right = "push", name = "a" } },
      { "POST", "/v2/a/blobs/uploads", { action = "upload_start", right = "push", name = "a" } },
      { "GET", "/v2/a/blobs/uploads/" .. UUID,
        { action = "upload_status", right = "push", name = "a", session = UUID } },
      { "PATCH", "/v2/a/blobs/uploads/" .. UUID,
        { action = "upload_append", right = "push", name = "a", session = UUID } },
      { "PUT", "/v2/a/blobs/uploads/" .. UUID,
        { action = "upload_finish", right = "push", name = "a", session = UUID } },
      { "DELETE", "/v2/a/blobs/uploads/" .. UUID,
        { action = "upload_cancel", right = "push", name = "a", session = UUID } },
      { "GET", "/v2/a/referrers/" .. D, { action = "referrers", right = "pull", name = "a", digest = D } },
      { "GET", "/dl/a/b:v1",
        { action = "download", right = "pull", name = "a/b", reference = "v1", kind = "tag" } },
      { "HEAD", "/dl/a", { action = "download", right = "pull", name = "a", reference = "latest", kind = "tag" } },
      { "GET", "/api/stats", { action = "api_stats", right = "catalog" } },
      { "HEAD", "/api/repositories", { action = "api_repositories", right = "catalog" } },
      { "GET", "/api/repositories/a/b", { action = "api_repository", right = "pull", name = "a/b" } },
      { "GET", "/api/repositories/a/b/tags", { action = "api_tags", right = "pull", name = "a/b" } },
      { "GET", "/api/repositories/a/tags/tags",
        { action = "api_tag", right = "pull", name = "a", reference = "tags", kind = "tag" } },
      { "DELETE", "/api/repositories/a/b/tags/v1",
        { action = "api_delete", right = "delete", name = "a/b", reference = "v1", kind = "tag" } },
      { "GET", "/healthz", { action = "healthz" } },
      { "GET", "/readyz", { action = "readyz" } },
      { "GET", "/metrics", { action = "metrics" } },
    } do
      assert.same(row[3], (routes.parse(row[1], row[2])), row[1] .. " " .. row[2])
    end
  end)

  it("takes the words of its own paths as parts of names, where names have them", function()
    local route = assert(routes.parse("GET", "/v2/tags/list/manifests/blobs/manifests/list"))
    assert.equal("tags/list/manifests/blobs", route.name)
    assert.equal("list", route.reference)
    route = assert(routes.parse("GET", "/v2/a/blobs/uploads/tags/list"))
    assert.equal("a/blobs/uploads", route.name)
  end)

  it("takes names and tags as long as they may be", function()
    local name = ("n"):rep(255)
    assert.equal(name, assert(routes.parse("GET", "/v2/" .. name .. "/tags/list")).name)
    assert.equal("NAME_INVALID", refused("GET", "/v2/" .. name .. "n/tags/list").code)
    local tag = ("t"):rep(128)
    assert.equal(tag, assert(routes.parse("PUT", "/v2/a/manifests/" .. tag)).reference)
    assert.equal("TAG_INVALID", refused("PUT", "/v2/a/manifests/" .. tag .. "t").code)
    assert.equal("MANIFEST_UNKNOWN", refused("GET", "/v2/a/manifests/" .. tag .. "t").code)
  end)

  -- Paths are the decoded ones, so an encoded slash, dot or NUL arrives as itself.
  it("lets no name through that could leave its place", function()
    for _, name in ipairs {
      "..", ".", "a/..", "../a", "a/../b", "a/./b", "a/.", ".hidden", "a/.locks", ".spool", "a//b", "/a", "a/", "//",
      "A", "a/B", "a b", "a\0b", "a\0", "\0", "a\n", "a\r\nb", "a\tb", "a\127", "\255", "caf\195\169", "a%2f..",
      "a\\b", "a?b", "a#b", "a:b", "a@b", "a;b", "a'b", 'a"b', "a*", "_digests", "a/_digests", "a/_referrers", "-a",
      "a-", "a_", "a..b", "a___b", "~a", "$a",
    } do
      for _, form in ipairs { "/v2/%s/tags/list", "/v2/%s/manifests/v1", "/v2/%s/blobs/" .. D,
                              "/v2/%s/referrers/" .. D } do
        local path = form:format("\1"):gsub("\1", (name:gsub("%%", "%%%%")))
        local err = refused("GET", path)
        assert.equal("invalid", err.kind, path)
        assert.equal("NAME_INVALID", err.code, path)
        assert.is_nil(err.message:find("%c"), path)
      end
      assert.equal("NAME_INVALID", refused("POST", "/v2/" .. name .. "/blobs/uploads/").code, name)
      assert.equal("NAME_UNKNOWN", refused("GET", "/dl/" .. name .. ":v1").code, name)
    end
  end)

  it("lets no tag through that could leave its place", function()
    for _, tag in ipairs { "..", ".", ".a", "-a", "a b", "a\0b", "a\n", "a%2f", "a\\b", "\195\169", "a*", "a@b",
                           "a'" } do
      assert.equal("TAG_INVALID", refused("PUT", "/v2/a/manifests/" .. tag).code, tag)
      assert.equal("TAG_INVALID", refused("DELETE", "/v2/a/manifests/" .. tag).code, tag)
      local err = refused("GET", "/v2/a/manifests/" .. tag)
      assert.same({ "not_found", "MANIFEST_UNKNOWN" }, { err.kind, err.code }, tag)
    end
    -- with a slash in it, it is no path of a registry at all
    assert.equal("not_found", refused("PUT", "/v2/a/manifests/../../x").kind)
    assert.equal("not_found", refused("PUT", "/v2/a/manifests/").kind)
    assert.equal("NAME_UNKNOWN", refused("GET", "/dl/a:..").code)
  end)

  it("lets no digest through that is not one", function()
    for _, digest in ipairs {
      "sha256:", "sha256:..", HEX, "sha256:" .. HEX:upper(), "sha256:" .. HEX:sub(2), "sha256:" .. HEX .. "0",
      "sha512:" .. HEX, "md5:" .. HEX:sub(1, 32), "SHA256:" .. HEX, "sha256:" .. HEX:sub(2) .. "\0",
      "sha256:" .. HEX:sub(2) .. "g", "sha256:" .. HEX:sub(4) .. "%2f", "sha256::" .. HEX, "x",
    } do
      for _, form in ipairs { "/v2/a/blobs/", "/v2/a/referrers/" } do
        local err = refused("GET", form .. digest)
        assert.same({ "invalid", "DIGEST_INVALID" }, { err.kind, err.code }, form .. digest)
      end
    end
    for _, digest in ipairs { "sha256:x", "sha256:" .. HEX:upper(), "sha256:" .. HEX .. "0" } do
      assert.equal("DIGEST_INVALID", refused("PUT", "/v2/a/manifests/" .. digest).code)
      assert.equal("MANIFEST_UNKNOWN", refused("GET", "/v2/a/manifests/" .. digest).code)
    end
    assert.equal("not_found", refused("GET", "/v2/a/blobs/../../catalog.json").kind)
  end)

  it("takes no path for another than the one that was sent", function()
    for _, uri in ipairs {
      "/v2/../catalog", "/v2/a/./tags/list", "/v2/a/blobs/..%2f..%2fcatalog.json", "/v2/%2e%2E/tags/list", "/..",
      "http://host/v2/a/../b/tags/list?n=1",
    } do
      local ok, err, code = routes.check_sent(uri)
      assert.is_nil(ok, uri)
      assert.same({ "invalid", "NAME_INVALID" }, { err.kind, code })
    end
    for _, uri in ipairs { "/v2/", "/v2/a.b/tags/list?last=/../x", "http://host/v2/#/..", "/v2/a%252e%252e/...", "" } do
      assert.is_true(routes.check_sent(uri), uri)
    end
  end)

  it("knows no session that it cannot have made", function()
    for _, session in ipairs { "..", "a\0", "A", "a.b", ("a"):rep(65), "uploads_", "é" } do
      local err = refused("PATCH", "/v2/a/blobs/uploads/" .. session)
      assert.same({ "not_found", "BLOB_UPLOAD_UNKNOWN" }, { err.kind, err.code }, session)
    end
  end)

  it("names the methods that a place has, to those who use another", function()
    for _, row in ipairs {
      { "POST", "/v2/", "GET, HEAD" },
      { "PUT", "/v2/_catalog", "GET, HEAD" },
      { "DELETE", "/v2/a/tags/list", "GET, HEAD" },
      { "POST", "/v2/a/manifests/v1", "DELETE, GET, HEAD, PUT" },
      { "PATCH", "/v2/a/blobs/" .. D, "DELETE, GET, HEAD, PUT" },
      { "GET", "/v2/a/blobs/uploads/", "POST" },
      { "HEAD", "/v2/a/blobs/uploads/", "POST" },
      { "POST", "/v2/a/blobs/uploads/" .. UUID, "DELETE, GET, HEAD, PATCH, PUT" },
      { "PUT", "/v2/a/referrers/" .. D, "GET, HEAD" },
      { "POST", "/dl/a:v1", "GET, HEAD" },
      { "BREW", "/healthz", "GET, HEAD" },
      { "get", "/metrics", "GET, HEAD" },
      { "\27[2J", "/readyz", "GET, HEAD" },
    } do
      local err = refused(row[1], row[2])
      assert.same({ "unsupported", 405, "UNSUPPORTED", row[3] }, { err.kind, err.status, err.code, err.allow }, row[2])
      assert.is_nil(err.message:find("%c"))
    end
  end)

  it("has nothing anywhere else", function()
    for _, path in ipairs {
      "", "/", "/v1/", "/v2x", "/V2/", "//v2/", "/v2//", "/v2/a", "/v2/a/", "/v2/a/manifests", "/v2/a/blobs/",
      "/v2/a/tags", "/v2/a/tags/list/", "/v2/a/tags/other", "/v2/manifests/v1", "/v2/blobs/" .. D, "/v2/_catalog/",
      "/healthz/", "/_epoch/file/catalog.json", "/_epoch/s3/x", "/../etc/passwd", "/v2/\0", "\0",
    } do
      assert.equal("not_found", refused("GET", path).kind, path)
    end
  end)
end)
