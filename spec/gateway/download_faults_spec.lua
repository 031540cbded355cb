--- GET /dl of what is broken: an error before the first byte where that can be known, else a
-- connection that is cut; never a good end.
local children = require "spec.support.children"
local core = require "epoch.core"
local curl = require "spec.support.curl"
local gateway = require "spec.support.gateway"
local golden = require "spec.support.golden"
local golden_home = require "spec.support.golden_home"
local homes = require "epoch.home"
local manifest = require "epoch.manifest"
local media = require "epoch.media"
local tasks = require "epoch.task"
local work = require "spec.support.work"

local MIB = 1024 * 1024
local CUT = 18 -- how curl calls an answer that is shorter than its length

describe("GET /dl of an artifact with", function()
  if gateway.missing() then
    pending(gateway.missing())
    return
  end

  local g, home, task

  local function get(path, ...)
    return curl.run(g.dir, { g.url .. "/dl/" .. path, ... })
  end

  local function path_of(digest)
    return ("%s/blobs/%s"):format(g.root, (digest:gsub(":", "/")))
  end

  -- Runs `use` while a blob has other bytes; nil: it is gone.
  local function with_bytes(digest, change, use)
    local path = path_of(digest)
    local bytes = work.read_file(path)
    local other = change(bytes)
    os.remove(path)
    if other then
      work.write_file(path, other)
    end
    local ok, err = pcall(use)
    os.remove(path)
    work.write_file(path, bytes)
    assert(ok, err)
  end

  -- The byte in the middle is another one.
  local function flip(bytes)
    local at = math.floor(#bytes / 2)
    local byte = bytes:byte(at + 1)
    return bytes:sub(1, at) .. string.char(byte == 0 and 1 or byte - 1) .. bytes:sub(at + 2)
  end

  local function log_has(words)
    return children.eventually(function()
      return g:log():find(words, 1, true) ~= nil
    end, 5)
  end

  local image = assert(manifest.parse(golden.read("cloudimg/manifest.json")))
  local snapshot = assert(manifest.parse(golden.read("v1-small/manifest.json")))

  setup(function()
    g = gateway.start { workers = 1 }
    task = assert(tasks.new())
    home = assert(homes.open(task, g.store))
    golden_home.put_snapshot(home, "small", "latest")
    golden_home.put_image(home, "win11", "latest")
  end)

  teardown(function()
    home:close()
    task:close()
    g:stop()
  end)

  it("a byte that has changed is cut off, whichever blob it is in", function()
    for name, m in pairs { win11 = image, small = snapshot } do
      for _, layer in ipairs(m.layers) do
        if m == snapshot or media.is_disk(layer.media_type) then
          with_bytes(layer.digest, flip, function()
            local answer = get(name)
            assert.same({ CUT, 200 }, { answer.code, answer.status })
            assert.is_true(#(answer.body or "") < tonumber(answer.headers["content-length"]))
            assert.is_true(log_has(layer.digest .. " has become"))
          end)
        end
      end
      assert.same({ 0, 200 }, { get(name).code, get(name).status })
    end
  end)

  it("an empty blob that should be another one is cut off", function()
    local digest = core.digest("something")
    assert(core.mkdir((path_of(digest):gsub("/[^/]*$", ""))))
    work.write_file(path_of(digest), "")
    assert(home:put_blob("empty", core.digest("{}"), 2, "{}"))
    assert(home:put_blob("empty", core.digest("x"), 1, "x"))
    assert(home:put_manifest("empty", "latest", assert(manifest.build {
      artifact_type = media.OS_IMAGE, config = { media_type = media.OCI_EMPTY, digest = core.digest("{}"), size = 2 },
      layers = {
        { media_type = media.DISK_RAW .. ".part", digest = digest, size = 0, title = "1.part" },
        { media_type = media.DISK_RAW .. ".part", digest = core.digest("x"), size = 1, title = "2.part" },
      },
    })))
    assert.equal(CUT, get("empty").code)
    os.remove(path_of(digest))
  end)

  it("a changed byte in a part is sent as it is", function()
    with_bytes(image.layers[2].digest, flip, function()
      assert.same({ 0, 206 }, { get("win11", "-r", "0-524287").code, get("win11", "-r", "0-524287").status })
    end)
  end)

  it("a blob that is missing, longer or shorter is an error before the first byte", function()
    local digest = image.layers[3].digest
    for _, change in ipairs { function() return nil end, function(bytes) return bytes:sub(1, -2) end,
                              function(bytes) return bytes .. "x" end, function() return "" end } do
      with_bytes(digest, change, function()
        for _, more in ipairs { "-s", "-I" } do
          local answer = get("win11", more)
          assert.same({ 0, 500 }, { answer.code, answer.status })
        end
        assert.is_true(log_has(digest))
      end)
    end
  end)

  it("a blob that is missing or shorter cuts off a part that needs it", function()
    local digest = image.layers[7].digest -- the first of the disk
    for _, change in ipairs { function() return nil end, function(bytes) return bytes:sub(1, 50000) end } do
      with_bytes(digest, change, function()
        assert.same({ CUT, 206 }, { get("win11", "-r", "10-99999").code, get("win11", "-r", "10-99999").status })
        local answer = get("win11", "-r", "100000-199999")
        assert.same({ 0, 206, 100000 }, { answer.code, answer.status, #answer.body })
      end)
    end
  end)

  it("a config that is missing or broken is an error before the first byte", function()
    for _, change in ipairs { function() return nil end, flip, function(bytes) return bytes:sub(1, -2) end } do
      with_bytes(snapshot.config.digest, change, function()
        assert.same({ 0, 500 }, { get("small").code, get("small").status })
      end)
    end
  end)

  it("a blob that goes away while it is downloaded is cut off", function()
    local layers = {}
    assert(home:put_blob("disk", core.digest("{}"), 2, "{}"))
    for i = 1, 2 do
      local bytes = work.noise(8 * MIB - i)
      layers[i] = { media_type = media.DISK_RAW .. ".part", digest = core.digest(bytes), size = #bytes,
                    title = ("%d.part"):format(i) }
      assert(home:put_blob("disk", layers[i].digest, #bytes, bytes))
    end
    assert(home:put_manifest("disk", "latest", assert(manifest.build {
      artifact_type = media.OS_IMAGE, layers = layers,
      config = { media_type = media.OCI_EMPTY, digest = core.digest("{}"), size = 2 },
    })))
    local running = curl.start(g.dir, "slow", { "--limit-rate", "4M", g.url .. "/dl/disk" })
    assert.is_true(children.eventually(function() return core.stat(g.dir .. "/slow") ~= nil end, 10))
    os.remove(path_of(layers[2].digest))
    assert.is_true(children.eventually(function() return running() ~= nil end, 20))
    local answer = running()
    assert.same({ CUT, 200 }, { answer.code, answer.status })
    work.assert_same_bytes(work.read_file(path_of(layers[1].digest)):sub(1, MIB), answer.body:sub(1, MIB))
    assert.is_true(log_has(layers[2].digest))
  end)

  it("a changed byte is no good end in HTTP/2 either", function()
    local safe = gateway.start { store = g.store, tls = true }
    local function ask()
      return curl.run(safe.dir, { "--http2", "--cacert", safe.ca, safe.url .. "/dl/win11" })
    end
    local ok, err = pcall(with_bytes, image.layers[2].digest, flip, function()
      local answer = ask()
      assert.equal(200, answer.status)
      assert.is_true(answer.code ~= 0 and #(answer.body or "") < 524288)
    end)
    local good = ask()
    safe:stop()
    assert(ok, err)
    assert.same({ 0, 200, 524288 }, { good.code, good.status, #good.body })
  end)

  it("a broken blob leaves other requests of the same connection alone", function()
    with_bytes(image.layers[2].digest, flip, function()
      local answer = get("small", g.url .. "/dl/win11", "-o", "/dev/null")
      assert.equal(CUT, answer.code)
    end)
    assert.is_nil(g:log():find("%[alert%]"))
    assert.is_nil(g:log():find("attempt to"))
  end)
end)
