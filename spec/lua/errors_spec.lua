local errors = require("epoch.errors")

describe("errors", function()
  it("print as one sentence", function()
    local err = errors.new("not_found", "there is no tag v1", { op = "pull demo:v1", status = 404 })
    assert.equal("pull demo:v1: there is no tag v1", tostring(err))
    assert.equal("there is no tag v1", tostring(errors.new("not_found", "there is no tag v1")))
    assert.equal(404, err.status)
    assert.is_true(errors.is(err))
  end)

  it("are told from other tables", function()
    assert.is_false(errors.is({ kind = "io", message = "x" }))
    assert.is_false(errors.is("io"))
    assert.is_false(errors.is(nil))
  end)

  it("come as nil, err from fail", function()
    local value, err = errors.fail("io", "no")
    assert.is_nil(value)
    assert.equal("io", err.kind)
  end)

  it("keep kind, status and signal when wrapped, and say the operations from the outside in", function()
    local inner = errors.new("denied", "refused", { op = "fetch the manifest", status = 403 })
    local outer = errors.wrap(inner, "pull demo:v1")
    assert.equal("pull demo:v1: fetch the manifest: refused", tostring(outer))
    assert.equal("denied", outer.kind)
    assert.equal(403, outer.status)
    assert.equal(inner, outer.cause)
    assert.equal("fetch the manifest", inner.op)
    local cancelled = errors.new("cancelled", "interrupted", { signal = 15 })
    assert.equal(15, errors.wrap(cancelled, "run x").signal)
  end)

  it("wrap what was raised as a string", function()
    local err = errors.wrap("boom", "push demo")
    assert.equal("internal", err.kind)
    assert.equal("push demo: boom", tostring(err))
  end)

  it("take the core's message and code", function()
    local err = errors.from_core("open /x: No such file or directory", "not_found", "push demo")
    assert.equal("not_found", err.kind)
    assert.equal("push demo: open /x: No such file or directory", tostring(err))
    assert.equal("quite_new", errors.from_core("m", "quite_new").kind)
    assert.equal("internal", errors.from_core("m").kind)
  end)

  it("hold nothing that a terminal obeys", function()
    local err = errors.new("unavailable", "server said \27]0;x\7\r\n\255", { op = "get a\0b" })
    assert.equal("get a\\x00b: server said \\x1b]0;x\\x07\\r\\n\\xff", tostring(err))
    assert.is_true(#errors.new("io", ("x"):rep(1e5)).message <= 8192)
  end)

  it("raise for misuse, naming the field that was meant", function()
    assert.error_matches(function() errors.new("io", "m", { statsu = 1 }) end, 'did you mean "status"')
    assert.error_matches(function() errors.new("io", "m", { op = 1 }) end, "must be a string")
    assert.error_matches(function() errors.new("", "m") end, "must be a word")
    assert.error_matches(function() errors.new("io") end, "must be a string")
  end)

  it("say whether trying again can help", function()
    for _, kind in ipairs({ "unavailable", "timeout", "rate_limited", "truncated", "busy" }) do
      assert.is_true(errors.retryable(kind), kind)
    end
    for _, kind in ipairs({ "not_found", "denied", "digest_mismatch", "invalid", "cancelled", "whatever" }) do
      assert.is_false(errors.retryable(kind), kind)
    end
  end)

  it("have the exit codes of the contract", function()
    local want = {
      not_found = 2, unauthorized = 3, denied = 3, digest_mismatch = 4, size_mismatch = 4, truncated = 4,
      invalid = 4, too_large = 4, usage = 64, io = 1, process = 1, unavailable = 1, cancelled = 1, whatever = 1,
    }
    for kind, code in pairs(want) do
      assert.equal(code, errors.exit_code(errors.new(kind, "m")), kind)
    end
    assert.equal(0, errors.exit_code(nil))
    assert.equal(1, errors.exit_code("boom"))
    assert.equal(130, errors.exit_code(errors.new("cancelled", "m", { signal = 2 })))
    assert.equal(143, errors.exit_code(errors.new("cancelled", "m", { signal = 15 })))
  end)
end)
