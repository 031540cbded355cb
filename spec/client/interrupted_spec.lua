-- A real registry, and connections to it that end in the middle.
local client = require "epoch.client"
local core = require "epoch.core"
local proxy = require "spec.support.cutting_proxy"
local registry = require "spec.support.registry"
local tasks = require "epoch.task"
local work = require "spec.support.work"

describe("docker-registry behind a bad line", function()
  if registry.missing() then
    pending(registry.missing())
    return
  end

  local SIZE = 3 * 1024 * 1024
  local bytes = work.noise(SIZE)
  local digest = core.digest(bytes)
  local r, line, task, home

  setup(function()
    r = registry.start()
    line = proxy.start(r)
  end)

  teardown(function()
    line:stop()
    r:stop()
  end)

  before_each(function()
    task = assert(tasks.new())
    home = assert(client.new(task, { url = line.url, docker_config = false, proxy = "" }))
  end)

  after_each(function()
    task:close()
  end)

  it("gets an upload again, all of it", function()
    line:cut_up(1000000)
    assert.is_true(assert(home:put_blob("vms/up", digest, SIZE, function() return core.bytes(bytes) end)))
    assert.equal(2, line:requests("PUT /v2/vms/up/"))
    assert.equal(SIZE, home:blob_size("vms/up", digest))
  end)

  it("does not get again what can be read once", function()
    line:cut_up(1000000)
    local ok, err = home:put_blob("vms/once", digest, SIZE, core.bytes(bytes))
    assert.is_nil(ok)
    assert.equal("unavailable", err.kind)
    -- it is asked to drop the session; with a part of the bytes in it this registry does not
    assert.equal(1, line:requests("DELETE /v2/vms/once/blobs/uploads/"))
    assert.equal("not_found", select(2, home:blob_size("vms/once", digest)).kind)
  end)

  it("gives the rest of a blob", function()
    assert(home:put_blob("vms/down", digest, SIZE, core.bytes(bytes)))
    line:cut_down(1000000)
    local source, size = home:get_blob("vms/down", digest)
    assert.equal(SIZE, size)
    local moved = assert(task:flow { source = source, size = SIZE, digest = digest })
    assert.equal(SIZE, moved.size)
    assert.equal(2, line:requests("GET /v2/vms/down/blobs/"))
  end)
end)
