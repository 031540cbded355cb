--- Lists over HTTP: tags, repositories and referrers, a page at a time, in lexical order.
local client = require "spec.support.gateway_client"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local json = require "epoch.json"
local work = require "spec.support.work"

local failure = client.assert_failure

describe("lists of the gateway", function()
  if gateway.missing() then
    pending(gateway.missing())
    return
  end

  local g, ask

  -- Names and tags whose order differs from that in which they are put, and from a case-blind one.
  local TAGS = { "v10", "b", "V2", "_x", "a.1", "v9", "a-1", "a" }
  local SORTED = { "V2", "_x", "a", "a-1", "a.1", "b", "v10", "v9" }
  local NAMES = { "z", "a/b", "a", "a-b", "a/b/c", "tags/list" }

  setup(function()
    g = gateway.start()
    ask = client.of(g)
    client.put_blob(ask, "a", "{}")
    for _, name in ipairs(NAMES) do
      assert.equal(201, client.put_manifest(ask, name, "v1", client.manifest()).status)
    end
    for _, tag in ipairs(TAGS) do
      assert.equal(201, client.put_manifest(ask, "many", tag, client.manifest()).status)
    end
  end)

  teardown(function()
    g:stop()
  end)

  local function get(path)
    local answer = ask("GET", path)
    assert.equal(200, answer.status, answer.body)
    assert.equal(path:find "/referrers/" and client.INDEX or "application/json", answer.headers["content-type"])
    return assert(json.decode(answer.body)), answer.headers.link
  end

  -- Every page of a list, by its links: the pages.
  local function pages(path, field)
    local found = {}
    while path do
      local page, link = get(path)
      found[#found + 1] = page[field]
      path = link and assert(link:match('^<(/v2/[^>]*)>; rel="next"$'), link)
      assert.is_true(#found < 30)
    end
    return found
  end

  local function joined(list)
    local all = {}
    for _, page in ipairs(list) do
      for _, one in ipairs(page) do
        all[#all + 1] = one
      end
    end
    return all
  end

  it("have every tag, in lexical order", function()
    local page, link = get("/v2/many/tags/list")
    assert.same({ name = "many", tags = SORTED }, page)
    assert.is_nil(link)
    local looked = ask("HEAD", "/v2/many/tags/list")
    assert.same({ 200, "" }, { looked.status, looked.body })
  end)

  it("give tags in pages whose links lead on", function()
    for n = 1, #SORTED + 1 do
      local list = pages("/v2/many/tags/list?n=" .. n, "tags")
      assert.same(SORTED, joined(list))
      assert.equal(math.ceil(#SORTED / n), #list)
    end
    assert.same({ "v10" }, (get("/v2/many/tags/list?n=1&last=b")).tags)
    assert.same({ "v10", "v9" }, (get("/v2/many/tags/list?last=c")).tags) -- no tag is called so
    local none, link = get("/v2/many/tags/list?n=0")
    assert.same({ {}, nil }, { none.tags, link })
    assert.same({}, (get("/v2/many/tags/list?last=zzz")).tags)
  end)

  it("say that a repository is unknown, and have no tag of one that has none", function()
    failure(404, "NAME_UNKNOWN", ask("GET", "/v2/nobody/tags/list"))
    local bytes = client.manifest()
    assert.equal(201, client.put_manifest(ask, "untagged", core.digest(bytes), bytes).status)
    assert.matches('"tags":[]', ask("GET", "/v2/untagged/tags/list").body, 1, true)
  end)

  it("refuse numbers that are none", function()
    for _, n in ipairs { "-1", "x", "1.5", "0x10", "", "1e3", "99999999999", "1%00", "%201" } do
      failure(400, "PAGINATION_NUMBER_INVALID", ask("GET", "/v2/many/tags/list?n=" .. n))
      failure(400, "PAGINATION_NUMBER_INVALID", ask("GET", "/v2/_catalog?n=" .. n))
    end
    failure(400, "PAGINATION_NUMBER_INVALID", ask("GET", "/v2/many/tags/list?n=1&n=2"))
    failure(400, "PAGINATION_NUMBER_INVALID", ask("GET", "/v2/many/tags/list?last=a&last=b"))
  end)

  it("have every repository, in pages", function()
    local all = (get "/v2/_catalog").repositories
    local sorted = {}
    for _, name in ipairs(NAMES) do
      sorted[#sorted + 1] = name
    end
    sorted[#sorted + 1] = "many"
    table.sort(sorted)
    local found = {}
    for _, name in ipairs(all) do
      found[#found + 1] = name ~= "untagged" and name ~= "thousands" and name or nil
    end
    assert.same(sorted, found)
    for _, n in ipairs { 1, 2, 5, 100 } do
      assert.same(all, joined(pages("/v2/_catalog?n=" .. n, "repositories")))
    end
    assert.same({ "a/b" }, (get("/v2/_catalog?n=1&last=a-b")).repositories)
  end)

  it("have no more than a thousand on a page, however many are asked for", function()
    local bytes, all = client.manifest(), {}
    assert.equal(201, client.put_manifest(ask, "thousands", "t0", bytes).status)
    for i = 1, 2500 do
      all[i] = ("t%04d"):format(i)
      work.write_file(("%s/manifests/thousands/%s.json"):format(g.root, all[i]), bytes)
    end
    table.insert(all, 1, "t0")
    for _, query in ipairs { "", "?n=999999999" } do
      local list = pages("/v2/thousands/tags/list" .. query, "tags")
      assert.same({ 1000, 1000, 501 }, { #list[1], #list[2], #list[3] })
      assert.same(all, joined(list))
    end
  end)

  it("have what refers to a manifest, also before that is there, chosen by its type", function()
    local subject = core.digest("nowhere yet")
    local path = "/v2/refs/referrers/" .. subject
    local function about(more)
      local bytes = client.manifest({}, more .. ('"subject":{"mediaType":"%s","digest":"%s","size":5},')
        :format(client.IMAGE, subject))
      assert.equal(subject, client.put_manifest(ask, "refs", core.digest(bytes), bytes).headers["oci-subject"])
      return bytes
    end
    local empty = ask("GET", path)
    assert.equal(client.INDEX, empty.headers["content-type"])
    assert.same({ schemaVersion = 2, mediaType = client.INDEX, manifests = {} }, json.decode(empty.body))
    assert.matches('"manifests":[]', empty.body, 1, true)

    local signature = about '"artifactType":"a/signature","annotations":{"by":"me"},'
    local plain = about ""
    local function list(query)
      local answer, by_digest = ask("GET", path .. (query or "")), {}
      for _, one in ipairs(assert(json.decode(answer.body)).manifests) do
        by_digest[one.digest] = one
      end
      return by_digest, answer.headers["oci-filters-applied"]
    end
    local of_signature = { mediaType = client.IMAGE, digest = core.digest(signature), size = #signature,
                           artifactType = "a/signature", annotations = { by = "me" } }
    local of_plain = { mediaType = client.IMAGE, digest = core.digest(plain), size = #plain,
                       artifactType = "application/vnd.oci.empty.v1+json" }
    assert.same({ [of_signature.digest] = of_signature, [of_plain.digest] = of_plain }, (list()))
    assert.is_nil(select(2, list()))
    local chosen, applied = list "?artifactType=a/signature"
    assert.same({ [of_signature.digest] = of_signature }, chosen)
    assert.equal("artifactType", applied)
    assert.same({}, (list "?artifactType=none/such"))

    assert.equal(202, ask("DELETE", "/v2/refs/manifests/" .. of_signature.digest).status)
    assert.same({ [of_plain.digest] = of_plain }, (list()))
    failure(400, "DIGEST_INVALID", ask("GET", "/v2/refs/referrers/v1"))
    assert.same({}, json.decode(ask("GET", "/v2/others/referrers/" .. subject).body).manifests)
  end)

  it("of referrers have links where one page cannot have all", function()
    local subject, all = core.digest("much about it"), {}
    for i = 1, 3 do
      local bytes = client.manifest({}, ('"annotations":{"n":"%d%s"},"subject":{"mediaType":"%s","digest":"%s",'
        .. '"size":5},'):format(i, ("x"):rep(1800000), client.IMAGE, subject))
      assert.equal(201, client.put_manifest(ask, "refs", core.digest(bytes), bytes).status)
      all[i] = core.digest(bytes)
    end
    table.sort(all)
    local found = {}
    for i, one in ipairs(joined(pages("/v2/refs/referrers/" .. subject .. "?artifactType="
                                      .. "application%2Fvnd.oci.empty.v1%2Bjson", "manifests"))) do
      found[i] = one.digest
    end
    table.sort(found)
    assert.same(all, found)
  end)
end)
