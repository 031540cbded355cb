local challenge = require("epoch.challenge")

local function refused(header)
  local list, err = challenge.parse(header)
  assert.is_nil(list)
  return err
end

describe("challenge.parse", function()
  it("reads what registries send", function()
    assert.same({ { scheme = "bearer", params = {
      realm = "https://auth.example/token", service = "registry.example", scope = "repository:a/b:pull,push",
    } } }, challenge.parse('Bearer realm="https://auth.example/token",service="registry.example",'
      .. 'scope="repository:a/b:pull,push"'))
    assert.same({ { scheme = "basic", params = { realm = "Registry Realm" } } },
      challenge.parse('Basic realm="Registry Realm"'))
  end)

  it("reads several challenges in one header and in several", function()
    local want = {
      { scheme = "newauth", params = { realm = "apps", type = "1", title = 'Login to "apps"' } },
      { scheme = "basic", params = { realm = "simple" } },
    }
    assert.same(want, challenge.parse(
      [[Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple"]]))
    assert.same(want, challenge.parse({
      [[Newauth realm="apps", type=1, title="Login to \"apps\""]], [[Basic realm="simple"]] }))
    assert.same({ { scheme = "negotiate", params = {} }, { scheme = "basic", params = { realm = "x" } },
                  { scheme = "ntlm", params = {} } }, challenge.parse("Negotiate, Basic realm=x,NTLM"))
  end)

  it("tells a token68 from a parameter", function()
    assert.same({ { scheme = "negotiate", params = {}, token68 = "YII.~+/==" },
                  { scheme = "x", params = { a = "b" } } },
      challenge.parse("Negotiate YII.~+/==, X a=b"))
    assert.same({ { scheme = "a", params = { b = "c" } } }, challenge.parse("A b=c"))
    assert.same({ { scheme = "a", params = {}, token68 = "b=" } }, challenge.parse("A b="))
  end)

  it("takes schemes and names in any case", function()
    assert.same({ { scheme = "bearer", params = { realm = "X" } } }, challenge.parse('BEARER REALM="X"'))
  end)

  it("allows the blanks and empty elements that the grammar allows", function()
    assert.same({ { scheme = "a", params = { b = "c", d = "" } }, { scheme = "e", params = {} } },
      challenge.parse('\t, ,A   b = c\t,, d\t=\t"" , ,e ,'))
    assert.same({}, challenge.parse(""))
    assert.same({}, challenge.parse(" , ,"))
    assert.same({}, challenge.parse({}))
  end)

  it("undoes escapes and keeps foreign bytes", function()
    assert.same({ { scheme = "a", params = { b = 'x"y\\z\tä,= ]' } } },
      challenge.parse('A b="x\\"\\y\\\\z\tä,= ]"'))
  end)

  it("refuses what is malformed, with the place", function()
    local cases = {
      ["a=b"] = "byte 1.*belongs to no scheme",
      ["A b=c d=e"] = "byte 7.*a comma must stand here",
      ["A b=c, B=d"] = "byte 8.*is there twice",
      ['A b="c'] = "byte 5.*has no end",
      ['A b="c\\'] = "nothing to escape",
      ['A b="c\\\1"'] = "nothing to escape",
      ['A b="c\r\nX: y"'] = "byte 7.*control character",
      ['A b="c\0"'] = "control character",
      ['A b="c"d'] = "a comma must stand here",
      ["A b c"] = "neither a token nor a parameter",
      ["A b=, c=d"] = "a parameter after a token",
      ["A b=c, d="] = "has no value",
      ["A b=(c)"] = "has no value",
      ["(A)"] = "a scheme or a parameter must stand here",
      ["\228 b=c"] = "a scheme or a parameter must stand here",
      ['"A"'] = "a scheme or a parameter must stand here",
      ["A\nB"] = "a comma must stand here",
    }
    for header, want in pairs(cases) do
      local err = refused(header)
      assert.equal("invalid", err.kind)
      assert.matches(want, err.message)
      assert.is_nil(err.message:find("%c"))
    end
    assert.equal("invalid", refused({ "Basic", "a=b" }).kind) -- no header goes on in the next
  end)

  it("refuses what is too long, all headers together", function()
    local most = "A b=" .. ("c"):rep(8188)
    assert.is_truthy(challenge.parse(most))
    assert.equal("too_large", refused(most .. "c").kind)
    assert.equal("too_large", refused({ most, "B" }).kind)
    assert.equal("too_large", refused(("A,"):rep(1e6)).kind)
  end)

  it("raises for what is no header", function()
    assert.error_matches(function() challenge.parse(nil) end, "must be a string or a list")
  end)
end)
