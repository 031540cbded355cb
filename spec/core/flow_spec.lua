local core = require "epoch.core"
local await = require "epoch.await"
local work = require "spec.support.work"

local text = work.noise(1000000)
local small = "a few bytes"

-- Every flow must come to the same end wherever the work is done: in the loop's own thread,
-- on one pool thread, on several.
for _, threads in ipairs { 0, 1, 4 } do
  describe(("a flow, with %d pool threads"):format(threads), function()
    local function flow(spec)
      local result, message, code
      work.with_loop({ threads = threads }, function(loop)
        result, message, code = work.flow(loop, spec)
      end)
      return result, message, code
    end

    -- a source that has to be waited for, so that lanes are used
    local function piped(bytes, spec)
      local result, message, code
      work.with_loop({ threads = threads }, function(loop)
        local source, sink = core.pipe()
        local feed = loop:flow { source = core.bytes(bytes), sink = sink }
        spec.source = source
        result, message, code = work.flow(loop, spec)
        feed:close()
      end)
      return result, message, code
    end

    for name, run in pairs {
      ["from memory"] = function(bytes, spec)
        spec.source = core.bytes(bytes)
        return flow(spec)
      end,
      ["from a pipe"] = piped,
      ["from a file"] = function(bytes, spec)
        local result, message, code
        work.in_directory(function(dir)
          work.write_file(dir .. "/f", bytes)
          spec.source = core.file(dir .. "/f")
          result, message, code = flow(spec)
        end)
        return result, message, code
      end,
    } do
      it("hashes and counts " .. name, function()
        for _, bytes in ipairs { "", "x", small, text } do
          local result = assert(run(bytes, { hash = { "sha256", "sha512" } }))
          assert.equal(#bytes, result.size)
          assert.equal(core.digest(bytes), result.digest)
          assert.equal(core.digest(bytes, "sha512"), result.digests.sha512)
        end
      end)

      it("moves everything " .. name, function()
        for _, bytes in ipairs { "", "x", small, text } do
          local sink = core.collect(#text)
          assert(run(bytes, { sink = sink, size = #bytes, digest = core.digest(bytes) }))
          work.assert_same_bytes(bytes, sink:bytes())
        end
      end)

      it("refuses what is longer, shorter or different " .. name, function()
        for _, bytes in ipairs { "x", small, text } do
          local function ends(promise, code, words)
            work.in_directory(function(dir)
              promise.sink = core.create(dir .. "/f")
              promise.what = "layer x"
              local result, message, got = run(bytes, promise)
              assert.is_nil(result)
              assert.equal(code, got)
              assert.matches("^layer x " .. words, message)
              -- and the sink was not finished
              assert.is_nil(work.read_file(dir .. "/f"))
            end)
          end
          ends({ size = #bytes - 1 }, "size_mismatch", "is longer than the %d+ bytes")
          ends({ size = #bytes + 1 }, "size_mismatch", "ended after %d+ of %d+ bytes")
          ends({ limit = #bytes - 1 }, "too_large", "is larger than the %d+ bytes")
          ends({ size = #bytes, digest = core.digest(bytes .. "!") }, "digest_mismatch",
               "has the digest sha256:%x+, not the promised sha256:%x+")
          ends({ digest = core.digest(bytes .. "!", "sha512") }, "digest_mismatch", "has the digest")
        end
      end)
    end

    it("never gives a sink a byte beyond the promise", function()
      local sink = core.collect(100)
      local _, _, code = flow { source = core.bytes("0123456789"), sink = sink, size = 4 }
      assert.equal("size_mismatch", code)
      assert.is_true(#sink:bytes() <= 4)
    end)

    it("passes on what the sink says", function()
      local result, message, code = piped(text, { sink = core.collect(999999), hash = true })
      assert.is_nil(result)
      assert.equal("too_large", code)
      assert.matches("999999", message)
    end)

    it("passes on what the source says", function()
      work.in_directory(function(dir)
        work.write_file(dir .. "/f", text)
        local source = core.file(dir .. "/f")
        work.write_file(dir .. "/f", "x")
        local result, _, code = flow { source = source, hash = true }
        assert.is_nil(result)
        assert.equal("truncated", code)
      end)
    end)

    it("goes through a spool and out again, from memory or from a file", function()
      for _, memory in ipairs { 0, 2000000 } do
        work.with_loop({ threads = threads }, function(loop)
          local spool = core.spool { dir = "/tmp", memory = memory }
          assert(work.flow(loop, { source = core.bytes(text), sink = spool:sink() }))
          assert.equal(#text, spool:size())
          assert.equal(memory > 0, spool:in_memory())
          local whole = spool:source()
          work.assert_same_bytes(text, (work.read_all(loop, whole)))
          work.assert_same_bytes(text:sub(11, 30), (work.read_all(loop, spool:source(10, 20))))
          assert.equal("invalid", select(3, spool:source(#text + 1)))
          assert.equal("invalid", select(3, spool:source(10, #text)))
        end)
      end
    end)

    it("leaves a sink open when more is to follow", function()
      work.in_directory(function(dir)
        work.with_loop({ threads = threads }, function(loop)
          local sink = core.create(dir .. "/f")
          assert(work.flow(loop, { source = core.bytes(text), sink = sink, more = true, hash = true }))
          assert.is_nil(work.read_file(dir .. "/f"))
          assert(work.flow(loop, { source = core.bytes(small), sink = sink }))
          work.assert_same_bytes(text .. small, work.read_file(dir .. "/f"))
        end)
      end)
    end)

    it("can be abandoned at any time", function()
      work.with_loop({ threads = threads }, function(loop)
        for steps = 0, 3 do
          local source, sink = core.pipe()
          local a = loop:flow { source = core.bytes(text), sink = sink, hash = true }
          local b = loop:flow { source = source, hash = true, sink = core.spool():sink() }
          local c = loop:flow { source = core.bytes(text), hash = true }
          for _ = 1, steps do
            assert(loop:step())
          end
          b:close()
          a:close()
          c:close()
        end
      end)
    end)

    it("is abandoned when nobody holds it", function()
      work.with_loop({ threads = threads }, function(loop)
        for _ = 1, 10 do
          loop:flow { source = core.bytes(text), hash = true, sink = core.spool():sink() }
        end
        collectgarbage()
        collectgarbage()
        assert.equal(0, core.live().flows)
      end)
    end)

    it("runs beside others, each with its own result", function()
      work.with_loop({ threads = threads }, function(loop)
        local flows, want = {}, {}
        for i = 1, 12 do
          local bytes = text:sub(i * 1000)
          want[i] = core.digest(bytes)
          flows[i] = loop:flow { source = core.bytes(bytes), hash = true,
                                 sink = core.spool({ memory = i * 100000 }):sink() }
        end
        for i = 1, 12 do
          assert.equal(want[i], assert(await(loop, flows[i], "result")).digest)
        end
      end)
    end)

    it("outlives the handles of its source, sink and loop", function()
      local loop = core.loop { threads = threads }
      local spool = core.spool()
      local flow_ = loop:flow { source = core.bytes(text), sink = spool:sink(), hash = true }
      collectgarbage()
      collectgarbage()
      assert.equal(core.digest(text), assert(await(loop, flow_, "result")).digest)
      loop:close()
      assert.equal(core.digest(text), flow_:result().digest)
      flow_:close()
    end)
  end)
end

describe("loop:flow", function()
  it("checks its options before it takes anything", function()
    work.with_loop(nil, function(loop)
      local source = core.bytes("x")
      for _, bad in ipairs {
        {}, { source = "x" }, { source = source, sink = 1 }, { source = source, size = -1 },
        { source = source, digest = "sha256:xyz" }, { source = source, digest = "abc" },
        { source = source, hash = "md5" }, { source = source, hash = { "sha256", 3 } },
        { source = source, sorce = 1 }, { source = source, what = "a\0b" },
        { source = source, more = 1 },
      } do
        assert.has_error(function() loop:flow(bad) end)
      end
      assert.equal("x", source:read(1))
    end)
  end)

  it("keeps hands off what a flow uses", function()
    work.with_loop(nil, function(loop)
      local source, sink = core.bytes(text), core.collect(#text)
      local flow = loop:flow { source = source, sink = sink }
      assert.error_matches(function() source:read(1) end, "in use")
      assert.error_matches(function() sink:write("x") end, "in use")
      assert.error_matches(function() loop:flow { source = source } end, "not in use")
      source:close() -- lets go of it, and no more
      assert(await(loop, flow, "result"))
      work.assert_same_bytes(text, sink:bytes())
    end)
  end)

  it("says how far it is", function()
    work.with_loop(nil, function(loop)
      local flow = loop:flow { source = core.bytes(text) }
      assert.is_true(flow:moved() <= #text)
      assert(await(loop, flow, "result"))
      assert.equal(#text, flow:moved())
    end)
  end)
end)
