local bodies = require "epoch.body"
local core = require "epoch.core"
local errors = require "epoch.errors"
local resendable = require "epoch.client.body"
local support = require "spec.support.store"
local work = require "spec.support.work"

-- A reader of these pieces; then it says `why`, or that it is at its end.
local function reader(pieces, why, code)
  local self = { at = 0, closed = 0 }
  function self.read()
    self.at = self.at + 1
    return pieces[self.at], not pieces[self.at] and why or nil, code
  end
  function self.close()
    self.closed = self.closed + 1
  end
  return self
end

describe("a body", function()
  it("becomes a source, whatever it is", function()
    support.with_task(function(task)
      local bytes = work.noise(700000)
      local object = reader { bytes:sub(1, 300000), bytes:sub(300001), "", "more" }
      for _, body in ipairs { bytes, core.bytes(bytes), object, function() return core.bytes(bytes) end,
                              function() return bytes end, function() return reader { bytes } end } do
        local source = assert(bodies.source(task, body))
        assert.equal(#bytes, source:total())
        work.assert_same_bytes(bytes, support.bytes(task, source))
      end
      assert.equal(1, object.closed)
    end)
  end)

  it("that fails says why, and is let go of", function()
    support.with_task(function(task)
      local given = errors.new("timeout", "too slow")
      local cases = {
        { reader({ "a" }, given), "timeout", "too slow" },
        { reader({}, "plain words"), "io", "read the body: plain words" },
        { reader({}, "of the core", "truncated"), "truncated", "read the body: of the core" },
        { reader { "abcdef" }, "too_large", "" }, { function() return nil, given end, "timeout", "too slow" },
        { function() return nil, "words" end, "io", "open the body: words" },
        { function() end, "io", "open the body: there is none" },
      }
      for _, case in ipairs(cases) do
        local source, err = bodies.source(task, case[1], { limit = 5 })
        assert.is_nil(source)
        assert.is_true(errors.is(err))
        assert.equal(case[2], err.kind)
        assert.is_true(tostring(err):find(case[3], 1, true) ~= nil, tostring(err))
        assert.is_true(type(case[1]) == "function" or case[1].closed == 1)
      end
    end)
  end)

  it("that fails is asked no more by whoever would send it again", function()
    support.with_task(function(task)
      local object = reader({ "a" }, "words")
      local body = resendable.new(task, object, {})
      for _ = 1, 2 do
        local source, err = body:open()
        assert.is_nil(source)
        assert.equal("read the body: words", tostring(err))
      end
      body:close()
      assert.same({ 2, 1 }, { object.at, object.closed })
    end)
  end)

  it("that nobody wants is let go of", function()
    support.with_task(function(task)
      local object = reader { "a" }
      resendable.new(task, object, {}):close()
      assert.same({ 0, 1 }, { object.at, object.closed })
    end)
  end)

  it("is one of four things", function()
    support.with_task(function(task)
      for _, bad in ipairs { 7, true, {}, function() return 7 end } do
        assert.error_matches(function() bodies.source(task, bad) end, "a body is a source, a string, a function")
      end
    end)
  end)
end)
