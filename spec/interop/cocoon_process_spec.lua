local await = require "epoch.await"
local children = require "spec.support.children"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local work = require "spec.support.work"

local BAD_BLOCK = ("\1"):rep(512)

local QEMU_IMG = [[#!/bin/sh
case $1 in
info) echo '{"format":"raw"}' ;;
convert) for word; do from=$to to=$word; done; cp "$from" "$to" ;;
esac
]]

local wanted = (os.getenv("EPOCH_COCOON_BINARY") or ""):match("^%s*(.-)%s*$")
local cocoon, why = core.which(wanted ~= "" and wanted or "cocoon")

--- Every place where an import can be cut, and what is still to be written there for the rest
-- to be no tar: nothing where bytes of an entry are missing, else a block that is no header.
local function cuts(archive)
  local found, at = {}, 1
  local function cut(n, tail)
    found[#found + 1] = { n = n, tail = tail }
  end
  while archive:byte(at) ~= 0 do
    local size = tonumber(archive:sub(at + 124, at + 134), 8)
    local data = at - 1 + 512
    local padding = -size % 512
    cut(at - 1, BAD_BLOCK)
    cut(at - 1 + 300)
    if size > 0 then
      cut(data)
      cut(data + math.floor(size / 2))
    end
    cut(data + size, ("\0"):rep(padding) .. BAD_BLOCK)
    at = data + size + padding + 1
  end
  cut(at - 1, BAD_BLOCK)
  return found
end

describe("the real cocoon", function()
  if not cocoon then
    pending("SKIPPED: " .. why .. "; set EPOCH_COCOON_BINARY")
    return
  end

  local loop, root
  local archive = golden.read("v1-small/import.tar")

  before_each(function()
    loop = assert(core.loop { threads = 0 })
    root = os.tmpname()
    os.remove(root)
    assert(core.mkdir(root, tonumber("700", 8)))
  end)

  after_each(function()
    loop:close()
    loop = nil
    os.execute("rm -rf " .. root)
  end)

  --- cocoon asks qemu-img what it got, before it commits an image: where there is none,
  -- one that calls everything raw and converts by copying stands in for it.
  local function environment()
    local env, path = {}, os.getenv("PATH")
    if not core.which("qemu-img") then
      core.mkdir(root .. "/bin", tonumber("700", 8))
      work.write_file(root .. "/bin/qemu-img", QEMU_IMG)
      os.execute("chmod +x " .. root .. "/bin/qemu-img")
      path = root .. "/bin:" .. path
    end
    for _, entry in ipairs(core.environ()) do
      if not entry:find("^PATH=") and not entry:find("^COCOON_") then
        env[#env + 1] = entry
      end
    end
    env.PATH, env.COCOON_ROOT_DIR = path, root .. "/cocoon"
    return env
  end

  local function start(...)
    local env = environment()
    return assert(loop:spawn {
      argv = { cocoon, ... }, env = env, stdin = "pipe", stdout = "pipe", stderr = false,
    })
  end

  local function list(what)
    local p = start(what, "list")
    local text = assert(work.read_all(loop, p:stdout()))
    assert.equal(0, assert(await(loop, p, "wait")).code)
    p:close()
    return text
  end

  local function pause(seconds)
    local timer = loop:timer(seconds)
    assert(await(loop, timer, "wait"))
    timer:close()
  end

  --- An import that has got these bytes and waits for more.
  local function fed(bytes, ...)
    local p = start(...)
    local sink = p:stdin()
    if #bytes > 0 then
      assert(work.flow(loop, { source = core.bytes(bytes), sink = sink, more = true }))
    end
    return p, sink
  end

  local function files(dir)
    return tonumber(work.output(("find %s/%s -mindepth 1 2>/dev/null | wc -l"):format(root .. "/cocoon", dir)))
  end

  local function snapshot(bytes)
    return fed(bytes, "snapshot", "import", "--name=cut")
  end

  local function image(bytes)
    return fed(bytes, "image", "import", "--", "cut")
  end

  it("imports a snapshot whose end is meant", function()
    local p, sink = snapshot(archive)
    assert(sink:finish())
    assert.equal(0, assert(await(loop, p, "wait")).code)
    assert.truthy(list("snapshot"):find("cut", 1, true))
    p:close()
  end)

  it("would import one that is cut and ended cleanly", function()
    local boundary = cuts(archive)[6] -- after the first entry
    local p, sink = snapshot(archive:sub(1, boundary.n))
    assert(sink:finish())
    assert.equal(0, assert(await(loop, p, "wait")).code)
    assert.truthy(list("snapshot"):find("cut", 1, true))
    p:close()
  end)

  for _, settle in ipairs { 0, 0.05 } do
    it(("imports no snapshot that is stopped %g s after any cut"):format(settle), function()
      local places = cuts(archive)
      assert.is_true(#places > 30)
      for _, place in ipairs(places) do
        local p = snapshot(archive:sub(1, place.n))
        pause(settle)
        local began = core.now()
        local result = assert(await(loop, p, "stop", { tail = place.tail, grace = 5 }))
        assert.is_true(result.code == 1 or result.signal == "TERM", result.stderr)
        assert.is_true(core.now() - began < 3)
        p:close()
        assert.equal(0, files("snapshot/localfile"), "cut at " .. place.n)
      end
      assert.truthy(list("snapshot"):find("No snapshots", 1, true))
    end)
  end

  it("imports no snapshot that is abandoned", function()
    local p = snapshot(archive:sub(1, 512 * 40))
    pause(0.05)
    p:close()
    assert.truthy(list("snapshot"):find("No snapshots", 1, true))
  end)

  it("would import an image of four bytes", function()
    local p, sink = image("QFI\251")
    assert(sink:finish())
    local result = assert(await(loop, p, "wait"))
    assert.equal(0, result.code, result.stderr)
    assert.truthy(list("image"):find("cut", 1, true))
    p:close()
  end)

  it("imports no image that is stopped with its input held open", function()
    for _, n in ipairs { 0, 4, 300000 } do
      local p = image(("QFI\251" .. ("x"):rep(300000)):sub(1, n))
      pause(0.05)
      local result = assert(await(loop, p, "stop", { hold = true, grace = 0.3 }))
      assert.equal("KILL", result.signal)
      p:close()
      assert.truthy(list("image"):find("No images", 1, true))
    end
  end)

  it("imports no image when the host is killed", function()
    local env = environment()
    env.COCOON = cocoon
    local host = assert(loop:spawn {
      argv = { children.lua, "-e", [[
        require "spec.support.paths"
        local core = require "epoch.core"
        local loop = core.loop { threads = 0 }
        local p = assert(loop:spawn {
          argv = { os.getenv("COCOON"), "image", "import", "--", "cut" },
          stdin = "pipe", stdout = "null", grace = 0.3,
        })
        assert(p:stdin():write("QFI\251"))
        print(p:pid())
        io.stdout:flush()
        while true do loop:poll() end
      ]] },
      env = env, stdout = "pipe", stderr = false,
    })
    local out = host:stdout()
    local pid = tonumber(children.read_some(loop, out))
    out:close()
    pause(0.05)
    assert(host:kill("KILL"))
    assert(await(loop, host, "wait"))
    host:close()
    assert.is_true(children.gone(pid))
    assert.truthy(list("image"):find("No images", 1, true))
  end)
end)
