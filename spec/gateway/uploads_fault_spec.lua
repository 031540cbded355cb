--- Uploads to the gateway while things go wrong: processes that are killed, clients that are slow or
-- go away, two who write at once, a disk that is full. What holds in the end, each time: blobs are
-- whole, and sessions go on.
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local http = require "spec.support.http"
local uploads = require "spec.support.uploads"
local work = require "spec.support.work"

local ask, start, finish = uploads.ask, uploads.start, uploads.finish

-- Waits until `look` finds something.
local function eventually(what, look)
  local found
  work.with_loop({ threads = 0 }, function(loop)
    http.step(loop, 20, function()
      found = look()
      return found
    end)
  end)
  return found or error(what .. ": it takes too long", 2)
end

local function pause(seconds)
  work.with_loop({ threads = 0 }, function(loop)
    http.step(loop, seconds)
  end)
end

-- A curl that is under way: `finish` waits for it and answers what it has printed.
local function in_background(command)
  local pipe = assert(io.popen(command))
  return {
    finish = function()
      local said = pipe:read("*a")
      pipe:close()
      return said
    end,
  }
end

local function patch(g, path, file, more)
  return in_background(("curl -s -o /dev/null -w '%%{http_code}' -X PATCH -H 'Expect:' %s -T '%s' '%s'; echo \" $?\"")
    :format(more or "", file, g.url .. path))
end

local function is_spooled(g)
  return function()
    return #uploads.names(g.root .. "/.spool") > 0
  end
end

local function is_not_spooled(g)
  return function()
    return #uploads.names(g.root .. "/.spool") == 0
  end
end

-- Ends all workers at once, and waits until there are others.
local function kill_workers(g)
  local before = g:pids("worker")
  local known = {}
  for _, pid in ipairs(before) do
    known[pid] = true
    os.execute(("kill -9 %d"):format(pid))
  end
  eventually("new workers", function()
    local now = g:pids("worker")
    local new = #now >= #before
    for _, pid in ipairs(now) do
      new = new and not known[pid]
    end
    return new
  end)
end

-- Seconds of processor time that the workers have used.
local function used(g)
  local ticks = 0
  for _, pid in ipairs(g:pids("worker")) do
    local stat = work.read_file(("/proc/%d/stat"):format(pid))
    local user, system = stat:match("^.*%)" .. (" %S+"):rep(11) .. " (%d+) (%d+)")
    ticks = ticks + tonumber(user) + tonumber(system)
  end
  return ticks / 100
end

local function with_gateway(options, use)
  work.in_directory(function(dir)
    local g = gateway.start(options)
    local ok, why = pcall(use, g, dir)
    g:stop()
    if not ok then
      error(why, 0)
    end
  end)
end

describe("uploads to the gateway", function()
  local missing = gateway.missing("lua5.4")
  if missing then
    pending(missing)
    return
  end

  it("go on after the workers were killed", function()
    with_gateway({ workers = 2 }, function(g, dir)
      local first, second = work.noise(1000000), work.noise(6000000)
      work.write_file(dir .. "/second", second)
      local path = start(g)
      assert.equal(202, ask(g, "PATCH", path, { body = first }).status)
      local sending = patch(g, path, dir .. "/second", "--limit-rate 2M")
      eventually("the spool", is_spooled(g))
      kill_workers(g)
      assert.is_nil(sending.finish():match("^202"))
      assert.equal(#first, uploads.offset(g, path))
      assert.equal("202 0\n", patch(g, path, dir .. "/second").finish())
      local digest = core.digest(first .. second)
      assert.equal(201, finish(g, path, digest).status)
      work.assert_same_bytes(first .. second, uploads.get(g, digest))
      assert.equal(1, uploads.check_blobs(g.root))
    end)
  end)

  it("go through two gateways in turns, one of which is killed", function()
    with_gateway({ workers = 2 }, function(one, dir)
      with_gateway({ store = one.store }, function(other)
        local pieces, path = {}, start(one)
        for i = 1, 6 do
          pieces[i] = work.noise(300000 + i)
          assert.equal(202, ask(i % 2 == 0 and one or other, "PATCH", path, { body = pieces[i] }).status)
        end
        local sent = table.concat(pieces)
        work.write_file(dir .. "/last", work.noise(5000000))
        local sending = patch(one, path, dir .. "/last", "--limit-rate 2M")
        eventually("the spool", is_spooled(one))
        one:kill()
        assert.is_nil(sending.finish():match("^202"))
        assert.equal(#sent, uploads.offset(other, path))
        assert.equal("202 0\n", patch(other, path, dir .. "/last").finish())
        sent = sent .. work.read_file(dir .. "/last")
        assert.equal(201, finish(other, path, core.digest(sent)).status)
        work.assert_same_bytes(sent, uploads.get(other, core.digest(sent)))
        uploads.check_blobs(one.root)
      end)
    end)
  end)

  -- Several uploads of `dir`/1 and so on, as a shell does them one after the other.
  local function push_all(g, dir, count)
    local script = ([[
      for i in $(seq %d); do
        file='%s'/$i
        path=$(curl -s -D - -o /dev/null -X POST '%s/v2/a/b/blobs/uploads/' | tr -d '\r' | sed -n 's/^Location: //p')
        curl -s -o /dev/null -X PATCH -T $file "%s$path"
        curl -s -o /dev/null -w '%%{http_code} ' -X PUT "%s$path?digest=sha256:$(sha256sum <$file | cut -d' ' -f1)"
      done]]):format(count, dir, g.url, g.url, g.url)
    return in_background(script)
  end

  it("leave whole blobs only, whenever the workers are killed", function()
    with_gateway({ workers = 2 }, function(g, dir)
      for i = 1, 6 do
        work.write_file(dir .. "/" .. i, work.noise(500000 * i))
      end
      for round = 1, 5 do
        local running = { push_all(g, dir, 6), push_all(g, dir, 6) }
        pause(0.07 * round)
        kill_workers(g)
        for _, one in ipairs(running) do
          one.finish()
        end
        uploads.check_blobs(g.root)
      end
      assert.equal(("201 "):rep(6), push_all(g, dir, 6).finish())
      assert.equal(6, uploads.check_blobs(g.root))
    end)
  end)

  it("are done beside one that sends a byte at a time, which costs nearly nothing", function()
    with_gateway({ workers = 1 }, function(g, dir)
      for i = 1, 20 do
        assert(core.mkdir(dir .. "/" .. i))
        work.write_file(dir .. "/" .. i .. "/1", work.noise(500000 + i))
      end
      local path, slow = start(g), {}
      local trickle = uploads.trickle(g, dir, path, 0.2)
      for i = 1, 5 do -- more of them than there are threads
        assert(core.mkdir(dir .. "/slow" .. i))
        slow[i] = uploads.trickle(g, dir .. "/slow" .. i, start(g), 0.2)
      end
      local before = used(g)
      pause(3)
      local cost = used(g) - before
      assert.is_true(cost < 0.5, ("six slow clients took %g s of 3"):format(cost))
      local running = {}
      for i = 1, 20 do
        running[i] = push_all(g, dir .. "/" .. i, 1)
      end
      for i = 1, 20 do
        assert.equal("201 ", running[i].finish())
      end
      assert.equal(0, uploads.offset(g, path)) -- it is still on its way
      assert.equal(202, trickle.finish())
      for i = 1, 5 do
        assert.equal(202, slow[i].finish())
      end
      local size = uploads.offset(g, path)
      assert.is_true(size >= 10, size)
      assert.equal(201, finish(g, path, core.digest(("x"):rep(size))).status)
      assert.equal(21, uploads.check_blobs(g.root))
    end)
  end)

  it("of two at once to one session take one", function()
    with_gateway({ workers = 2 }, function(g, dir)
      work.write_file(dir .. "/a", work.noise(1000000))
      work.write_file(dir .. "/b", work.noise(1100000))
      local path = start(g)
      local a, b = patch(g, path, dir .. "/a", "--limit-rate 1M"), patch(g, path, dir .. "/b", "--limit-rate 1M")
      local said = { a = a.finish(), b = b.finish() }
      local winner = said.a == "202 0\n" and "a" or "b"
      assert.equal("202 0\n", said[winner])
      assert.equal("416 0\n", said[winner == "a" and "b" or "a"])
      local bytes = work.read_file(dir .. "/" .. winner)
      assert.equal(#bytes, uploads.offset(g, path))
      assert.equal(201, finish(g, path, core.digest(bytes)).status)
      uploads.check_blobs(g.root)
    end)
  end)

  it("are as they were when the client goes away", function()
    with_gateway({ workers = 1 }, function(g, dir)
      work.write_file(dir .. "/a", work.noise(8000000))
      local path = start(g)
      assert.equal(202, ask(g, "PATCH", path, { body = "first" }).status)
      for _ = 1, 12 do -- more often than there are turns for threads
        assert.is_nil(patch(g, path, dir .. "/a", "--limit-rate 20M -m 0.25").finish():match("^202"))
      end
      eventually("the end of the spool", is_not_spooled(g))
      assert.equal(5, uploads.offset(g, path))
      assert.equal(201, finish(g, path, core.digest("first")).status)
    end)
  end)

  it("expire when nobody goes on with them, and while bytes come they do not", function()
    with_gateway({ workers = 2, options = { session_ttl = 2 } }, function(g, dir)
      local left, used_path = start(g), start(g)
      work.write_file(g.root .. "/.spool/0000000009", "what a killed nginx has left")
      os.execute(("touch -d '1 hour ago' '%s/.spool/0000000009'"):format(g.root))
      local trickle = uploads.trickle(g, dir, used_path, 0.1)
      eventually("the end of a session", function()
        ask(g, "DELETE", (start(g)))
        pause(0.5)
        return ask(g, "GET", left).status == 404
      end)
      assert.equal(0, uploads.offset(g, used_path))
      assert.equal(202, trickle.finish())
      assert.is_nil((core.stat(g.root .. "/.spool/0000000009")))
      assert.equal(204, ask(g, "DELETE", used_path).status)
      assert.same({}, uploads.names(g.root .. "/uploads"))
    end)
  end)

  it("that do not fit on the disk say so, and leave a store that works", function()
    work.in_directory(function(dir)
      if work.output(("mount -t tmpfs -o size=24m none '%s' 2>/dev/null && echo yes"):format(dir)) ~= "yes" then
        return pending("needs root, to mount a small file system")
      end
      local done, why = pcall(with_gateway, { workers = 1, store = "file://" .. dir }, function(g)
        local path, first = start(g), work.noise(10 * 1024 * 1024)
        assert.equal(202, ask(g, "PATCH", path, { body = first }).status)
        -- spooled it fits, but not copied
        local answer = ask(g, "PATCH", path, { body = work.noise(9 * 1024 * 1024) })
        assert.equal(507, answer.status, answer.body)
        assert.is_nil(answer.body:find(dir, 1, true), answer.body)
        assert.equal("UNKNOWN", uploads.code(answer))
        assert.equal(#first, uploads.offset(g, path))
        -- not even spooled
        local huge = work.noise(16 * 1024 * 1024)
        for _ = 1, 10 do -- more often than there are turns for threads
          answer = ask(g, "PUT", "/v2/a/b/blobs/" .. core.digest(huge), { body = huge })
          assert.equal(500, answer.status)
          assert.equal("UNKNOWN", uploads.code(answer), answer.body)
        end
        eventually("the end of the spool", is_not_spooled(g))

        local more = work.noise(1024 * 1024)
        assert.equal(202, ask(g, "PATCH", path, { body = more }).status)
        assert.equal(201, finish(g, path, core.digest(first .. more)).status)
        assert.equal(1, uploads.check_blobs(g.root))
        assert.is_nil(g:log():find("exited on signal", 1, true))
      end)
      os.execute(("umount '%s'"):format(dir))
      assert(done, why)
    end)
  end)
end)
