local options = require("epoch.options")

local SCHEMA = {
  tag = { type = "string", default = "latest", max = 10 },
  retries = { type = "integer", min = 0, max = 20 },
  rate = { type = "number", min = 0.5 },
  quiet = { type = "boolean", default = false },
  progress = { enum = { "auto", "bar", "none" } },
  annotations = { map = { type = "string" } },
  platforms = { array = { type = "string" }, min = 1 },
  tls = { fields = { ca_cert = { type = "string" }, pins = { array = { type = "integer" } } } },
  hosts = { map = { fields = { plain_http = { type = "boolean" } } } },
  body = { type = { "string", "function" } },
  even = { type = "integer", check = function(n) return n % 2 == 0, "must be even" end },
  extra = { type = "table" },
}

local function refused(given)
  local checked, why = options.validate("epoch.push", SCHEMA, given)
  assert.is_nil(checked)
  return why
end

describe("options", function()
  it("are copied, with defaults, and the caller's table stays as it is", function()
    local given = { retries = 3.0, annotations = { a = "1" }, platforms = { "x" }, tls = { pins = { 1 } } }
    local checked = options.check("epoch.push", SCHEMA, given)
    assert.equal("latest", checked.tag)
    assert.equal(false, checked.quiet)
    assert.equal("3", tostring(checked.retries)) -- an integer, also on 5.4
    assert.same({ a = "1" }, checked.annotations)
    checked.annotations.a, checked.platforms[1], checked.tls.pins[1] = "2", "y", 2
    assert.same({ retries = 3.0, annotations = { a = "1" }, platforms = { "x" }, tls = { pins = { 1 } } }, given)
    assert.same({ tag = "latest", quiet = false }, options.check("epoch.push", SCHEMA, nil))
  end)

  it("keep false and the identity of what is only a table", function()
    local store = {}
    local checked = options.check("x", { quiet = { type = "boolean", default = true }, extra = { type = "table" } },
      { quiet = false, extra = store })
    assert.equal(false, checked.quiet)
    assert.equal(store, checked.extra)
  end)

  it("give every caller defaults of its own", function()
    local schema = { list = { array = { type = "string" }, default = { "a" } } }
    local first = options.check("x", schema, {})
    first.list[1] = "changed"
    assert.same({ "a" }, options.check("x", schema, {}).list)
  end)

  it("name the option that was probably meant", function()
    assert.equal('epoch.push: option "tga" is unknown (did you mean "tag"?)', refused({ tga = "x" }))
    assert.equal('epoch.push: option "zzzzzzz" is unknown', refused({ zzzzzzz = 1 }))
    assert.equal('epoch.push: option "tls.ca_crt" is unknown (did you mean "ca_cert"?)',
      refused({ tls = { ca_crt = "x" } }))
    assert.equal('epoch.push: option "hosts.a.b:1.plain_htp" is unknown (did you mean "plain_http"?)',
      refused({ hosts = { ["a.b:1"] = { plain_htp = true } } }))
    assert.matches('"progress" must be one of "auto", "bar", "none", not "bra" %(did you mean "bar"',
      refused({ progress = "bra" }))
    assert.matches("\\n", refused({ ["a\nb"] = 1 }), 1, true)
    assert.matches("options have names, this one is 1", refused({ "x" }))
  end)

  it("say what is wrong with a value", function()
    local cases = {
      ['"tag" must be a string, not 5'] = { tag = 5 },
      ['"tag" must be at most 10 bytes long, not 11'] = { tag = ("x"):rep(11) },
      ['"retries" must be a whole number, not 1.5'] = { retries = 1.5 },
      ['"retries" must be a whole number, not "5"'] = { retries = "5" },
      ['"retries" must be at least 0, not -1'] = { retries = -1 },
      ['"retries" must be at most 20, not 21'] = { retries = 21 },
      ['"rate" must be at least 0.5, not 0.25'] = { rate = 0.25 },
      ['"quiet" must be a boolean, not "yes"'] = { quiet = "yes" },
      ['"annotations.a" must be a string, not true'] = { annotations = { a = true } },
      ['"annotations" must have names as keys, not 1'] = { annotations = { "x" } },
      ['"platforms" must be a list, not "x"'] = { platforms = "x" },
      ['"platforms" must be a list, but has the key "a"'] = { platforms = { a = "x" } },
      ['"platforms" must be at least 1 items long, not 0'] = { platforms = {} },
      ['"platforms[2]" must be a string, not 7'] = { platforms = { "x", 7 } },
      ['"tls" must be a table, not "x"'] = { tls = "x" },
      ['"tls.pins[1]" must be a whole number, not "1"'] = { tls = { pins = { "1" } } },
      ['"body" must be a string or a function, not a table'] = { body = {} },
      ['"even" must be even'] = { even = 3 },
    }
    for want, given in pairs(cases) do
      assert.equal("epoch.push: option " .. want, refused(given))
    end
    assert.matches("must be a number", refused({ rate = 0 / 0 }))
    assert.matches("without gaps", refused({ platforms = { [1] = "a", [3] = "c" } }))
    assert.equal('epoch.push takes a table of options, not "x"', refused("x"))
  end)

  it("may be required", function()
    local _, why = options.validate("x", { name = { type = "string", required = true } }, {})
    assert.equal('x: option "name" is required', why)
  end)

  it("raise where the option table was written", function()
    local function push(opts)
      local checked = options.check("epoch.push", SCHEMA, opts)
      return checked
    end
    local line
    local ok, why = pcall(function()
      line = debug.getinfo(1, "l").currentline + 1
      push({ tga = 1 })
    end)
    assert.is_false(ok)
    assert.matches("options_spec%.lua:" .. line .. ": epoch.push: option", why)
  end)

  it("refuse a schema with a rule that is none", function()
    assert.error_matches(function() options.validate("x", { a = { typ = "string" } }, {}) end, "unknown rule.*typ")
  end)
end)
