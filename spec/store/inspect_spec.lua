-- What scripts are told of a home: epoch.inspect.
local epoch = require "epoch"
local core = require "epoch.core"
local homes = require "epoch.home"
local inspect = require "epoch.inspect"
local media = require "epoch.media"
local script = require "spec.support.registry_script"
local store = require "spec.support.store"

describe("an artifact", function()
  it("is what its manifest and config say, under its tag or its digest", function()
    store.with_task(function(task, dir)
      local home = assert(homes.open(task, "file://" .. dir .. "/store"))
      local manifest, digest = store.put_artifact(home, "demo", "v1", { "abc" })
      local found = assert(inspect(task, home, "demo", "v1"))
      assert.equal(inspect, epoch.inspect)
      assert.same({
        name = "demo", tag = "v1", digest = digest, media_type = media.OCI_MANIFEST, kind = "unknown", size = 5,
        annotations = {}, config = "{}", bytes = manifest, layers = {
          { media_type = "application/octet-stream", digest = core.digest("abc"), size = 3, annotations = {} },
        },
      }, found)
      found = assert(inspect.artifact(task, home, "demo", digest))
      assert.is_nil(found.tag)
      assert.equal(digest, found.digest)
      local none, err = inspect(task, home, "demo", "v2")
      assert.same({ nil, "not_found" }, { none, err.kind })
      home:close()
    end)
  end)
end)

describe("lists of a registry", function()
  local s, task, home

  setup(function()
    s = script.start({
      many = ([[
        if rest == "tags/list" then
          return answer(200, '{"tags":["t1","t2","t3","t4","t5","t6","t7","t8"]}')
        end
        local store = ngx.shared.store
        local n = store:incr("now", 1, 0)
        store:set("max", math.max(store:get("max") or 0, n))
        ngx.sleep(0.05)
        store:incr("now", -1)
        note("most", store:get("max"))
        answer(200, '{"schemaVersion":2,"mediaType":"%s","layers":[]}', { ["Content-Type"] = "%s" })]])
        :format(media.OCI_MANIFEST, media.OCI_MANIFEST),
      refused = [[ if rest == "tags/list" then return answer(200, '{"tags":["a","b","c"]}') end
                   note(repo, rest) answer(403, "{}") ]],
      gone = "answer(404, '{}')",
      secret = "answer(403, '{}')",
      strange = [[ answer(200, '{"tags":["not a tag"]}') ]],
    }, { ["= /v2/_catalog"] = [[return 200 '{"repositories":["gone","many","secret","strange"]}';]] })
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    task = assert(epoch.task.new())
    home = assert(homes.open(task, s.url, { retries = 0, docker_config = false }))
  end)

  after_each(function()
    home:close()
    task:close()
  end)

  it("are made side by side, but not of all at once", function()
    local list = assert(inspect.tags(task, home, "many", { concurrency = 3 }))
    assert.equal(8, #list)
    assert.same({ "t8", "unknown", 0 }, { list[8].tag, list[8].kind, list[8].size })
    local most = script.seen(s, "most")
    most = tonumber(most[#most])
    assert.is_true(most > 1 and most <= 3, most)
  end)

  it("say of which repository the tags are not to be had, and why", function()
    local list = assert(inspect.repositories(task, home))
    local words = {}
    for i, row in ipairs(list) do
      words[i] = ("%s %d %s"):format(row.name, #row.tags, row.err and row.err.kind or "-")
    end
    assert.same({ "gone 0 -", "many 8 -", "secret 0 denied", "strange 0 invalid" }, words)
  end)

  it("end where the registry does not let us go on", function()
    local list, err = inspect.tags(task, home, "refused", { concurrency = 1 })
    assert.same({ nil, "denied" }, { list, err.kind })
    assert.equal(1, #script.seen(s, "refused"))
  end)

  it("end when the task is cancelled", function()
    task.loop:cancel()
    local list, err = inspect.tags(task, home, "many")
    assert.same({ nil, "cancelled" }, { list, err.kind })
  end)
end)
