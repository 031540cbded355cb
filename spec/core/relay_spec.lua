-- A source that goes on with another one where it broke. What breaks here is a file that
-- becomes shorter while it is read.
local core = require "epoch.core"
local await = require "epoch.await"
local work = require "spec.support.work"

-- A source that gives `n` bytes of what it promises and then fails.
local function breaking(dir, bytes, n)
  local path = dir .. "/breaks"
  work.write_file(path, bytes)
  local source = assert(core.file(path))
  work.write_file(path, bytes:sub(1, n))
  return source
end

describe("a relay", function()
  it("is like its source while that is well", function()
    local relay = core.relay(core.bytes("hello"), 5)
    local source = relay:source()
    assert.equal(5, source:total())
    assert.equal("hel", source:read(3))
    assert.equal("again", select(3, relay:broken()))
    assert.equal("lo", source:read(3))
    assert.is_false(source:read(3))
    assert.is_false(relay:broken())
    assert.is_nil(core.relay(core.bytes("hello")):source():total())
    assert.equal("unsupported", select(3, source:rewind()))
  end)

  it("goes on with another source where the first one broke", function()
    work.in_directory(function(dir)
      work.with_loop(nil, function(loop)
        local bytes = work.noise(300000)
        local relay = core.relay(breaking(dir, bytes, 100000), #bytes)
        local flow = loop:flow { source = relay:source(), size = #bytes, hash = true }
        local at, message, code = await(loop, relay, "broken")
        assert.equal(100000, at)
        assert.equal("truncated", code)
        assert.matches("shorter", message)
        assert.equal("again", select(3, flow:result()))
        relay:feed(breaking(dir, bytes:sub(at + 1), 50000))
        assert.equal(150000, (await(loop, relay, "broken")))
        relay:feed(core.bytes(bytes), 150000)
        assert.equal(core.digest(bytes), assert(await(loop, flow, "result")).digest)
        assert.is_false(relay:broken())
        flow:close()
      end)
    end)
  end)

  it("skips more than a block", function()
    work.in_directory(function(dir)
      work.with_loop(nil, function(loop)
        local bytes = work.noise(900000)
        local relay = core.relay(breaking(dir, bytes, 600000), #bytes)
        local flow = loop:flow { source = relay:source(), size = #bytes, hash = true }
        assert.equal(600000, (await(loop, relay, "broken")))
        relay:feed(core.bytes(bytes), 600000)
        assert.equal(core.digest(bytes), assert(await(loop, flow, "result")).digest)
        flow:close()
      end)
    end)
  end)

  it("does not take less than it has to skip for the rest", function()
    work.in_directory(function(dir)
      local relay = core.relay(breaking(dir, "0123456789", 5))
      local source = relay:source()
      assert.equal("01234", source:read(5))
      assert.equal("again", select(3, source:read(5)))
      relay:feed(core.bytes("0123"), 5)
      assert.equal("again", select(3, source:read(5)))
      local at, _, code = relay:broken()
      assert.same({ 5, "truncated" }, { at, code })
      relay:feed(core.bytes("01234"), 5)
      assert.is_false(source:read(5))
    end)
  end)

  it("fails as it is told to", function()
    work.in_directory(function(dir)
      for told, code in pairs { denied = "denied", ["what?"] = "truncated" } do
        local relay = core.relay(breaking(dir, "0123456789", 5))
        local source = relay:source()
        assert.equal("01234", source:read(5))
        assert.equal("again", select(3, source:read(5)))
        relay:fail("no more of it", told)
        assert.same({ "no more of it", code }, { select(2, source:read(5)) })
        assert.is_false(relay:broken())
      end
    end)
  end)

  it("breaks as its source does when nobody feeds it", function()
    work.in_directory(function(dir)
      work.with_loop({ threads = 0 }, function(loop)
        for _, late in ipairs { false, true } do
          local relay = core.relay(breaking(dir, work.noise(1000), 500))
          local flow = loop:flow { source = relay:source() }
          if late then
            assert.equal(500, (await(loop, relay, "broken")))
          end
          relay:close()
          local result, message, code = await(loop, flow, "result")
          assert.is_nil(result)
          assert.equal("truncated", code)
          assert.matches("shorter", message)
          flow:close()
        end
      end)
    end)
  end)

  it("is over when nobody reads it", function()
    local relay = core.relay(core.bytes("hello"))
    local source = relay:source()
    source:close()
    assert.is_false(relay:broken())
  end)

  it("has one source, and is fed when it is broken", function()
    local relay = core.relay(core.bytes("hello"))
    local source = relay:source()
    assert.error_matches(function() relay:source() end, "is taken")
    assert.error_matches(function() relay:feed(core.bytes("")) end, "not broken")
    assert.error_matches(function() relay:fail("x", "io") end, "not broken")
    assert.error_matches(function() core.relay(source, -1) end, "whole number")
    local first = core.bytes("x")
    local other = core.relay(first)
    assert.error_matches(function() core.relay(first) end, "in use")
    other:close()
  end)
end)
