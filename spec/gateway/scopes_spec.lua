-- What scopes and patterns mean.
local reference = require "epoch.reference"
local scopes = require "epoch.gateway.access.scopes"

local function right(scope)
  return assert(scopes.parse(scope))
end

describe("a scope that is typed", function()
  it("is read and written", function()
    for typed, shown in pairs {
      ["pull:*"] = "pull:*", ["push,pull:vms/*"] = "pull,push:vms/*", ["delete,push,pull:a"] = "pull,push,delete:a",
      ["pull,pull:team-*/x"] = "pull:team-*/x",
    } do
      assert.equal(shown, scopes.format(right(typed)))
      assert.same(right(typed), right(shown))
    end
  end)

  it("is refused when it could mean something else", function()
    for _, typed in ipairs {
      "", "pull", "pull:", ":a", "pull,:a", ",pull:a", "pull push:a", "all:a", "*:a", "Pull:a", "pull:A", "pull:a:b",
      "pull:**", "pull:a/**", "pull:/a", "pull:a/", "pull:a//b", "pull:a b", "pull:a?", "pull:[a]", "pull:../a",
      "pull:a\n", "pull:" .. ("a"):rep(256), "repository:a:pull",
    } do
      local parsed, err = scopes.parse(typed)
      assert(parsed == nil, typed)
      assert.equal("invalid", err.kind)
    end
  end)
end)

describe("a pattern", function()
  it("stands for names", function()
    for _, case in ipairs {
      { "*", "a", true }, { "*", "a/b/c", true },
      { "a", "a", true }, { "a", "ab", false }, { "a", "a/b", false },
      { "vms/*", "vms/a", true }, { "vms/*", "vms/a/b", true }, { "vms/*", "vms", false },
      { "vms/*", "vmsx/a", false }, { "vms/*", "x/vms/a", false },
      { "*/base", "a/base", true }, { "*/base", "a/b/base", true }, { "*/base", "a/base/c", false },
      { "*/base", "base", false },
      { "a*b*c", "abc", true }, { "a*b*c", "axbxc", true }, { "a*b*c", "acb", false }, { "a*b*c", "abcb", false },
      { "a*b*c", "abcbc", true }, { "ab*ba", "aba", false }, { "ab*ba", "abba", true },
      { "a.b", "axb", false }, { "a-*", "a-b", true },
    } do
      assert(scopes.matches(case[1], case[2]) == case[3], case[1] .. " " .. case[2])
    end
  end)

  -- The same question asked of Lua's own patterns.
  it("means what it says, for all short ones", function()
    local letters, names = { "a", "b", "*" }, {}
    local function words(from, n, use, word)
      use(word or "")
      for _, letter in ipairs(n > 0 and from or {}) do
        words(from, n - 1, use, (word or "") .. letter)
      end
    end
    words({ "a", "b" }, 6, function(word) names[#names + 1] = word ~= "" and word or nil end)
    local seen = 0
    words(letters, 5, function(pattern)
      if pattern == "" or pattern:find("**", 1, true) then
        return
      end
      local plain = "^" .. pattern:gsub("%*", ".*") .. "$"
      for _, name in ipairs(names) do
        seen = seen + 1
        assert((name:find(plain) ~= nil) == scopes.matches(pattern, name), pattern .. " " .. name)
      end
    end)
    assert.is_true(seen > 10000)
  end)

  it("takes no longer for hostile ones", function()
    local pattern, name = ("a*"):rep(100) .. "b", ("a"):rep(255)
    assert.is_true(reference.check_name(name))
    local began = os.clock()
    for _ = 1, 100 do
      assert.is_false(scopes.matches(pattern, name))
    end
    assert.is_true(os.clock() - began < 1)
  end)
end)

describe("rights", function()
  it("allow what one of them allows", function()
    local rights = { right "pull:*", right "push:vms/*", right "delete:vms/old" }
    assert.is_true(scopes.allow(rights, "pull", "any"))
    assert.is_true(scopes.allow(rights, "push", "vms/a"))
    assert.is_true(scopes.allow(rights, "delete", "vms/old"))
    assert.is_false(scopes.allow(rights, "push", "any"))
    assert.is_false(scopes.allow(rights, "delete", "vms/a"))
    assert.is_false(scopes.allow({}, "pull", "any"))
  end)
end)

describe("a wish of docker's", function()
  it("is read", function()
    for given, shown in pairs {
      ["repository:a/b:pull"] = "repository:a/b:pull", ["repository:a:push,pull"] = "repository:a:pull,push",
      ["repository:a:*"] = "repository:a:pull,push,delete", ["repository:a:pull,fly"] = "repository:a:pull",
      ["registry:catalog:*"] = "registry:catalog:*",
    } do
      assert.equal(shown, scopes.format_wish(scopes.wish(given)))
    end
    assert.is_nil(scopes.format_wish(scopes.wish "repository:a:fly"))
    for _, given in ipairs { "", "a", "repository:A:pull", "repository:../x:pull", "repository:a", "registry:x:*",
                             "repository(plugin):a:pull", "repository:a\0:pull" } do
      assert.is_nil(scopes.wish(given))
    end
  end)

  it("comes with others, but not with thousands", function()
    local list = assert(scopes.wishes { "repository:a:pull  repository:b:push", "nonsense", "registry:catalog:*" })
    assert.same({ "repository:a:pull", "repository:b:push", "registry:catalog:*" },
      { scopes.format_wish(list[1]), scopes.format_wish(list[2]), scopes.format_wish(list[3]) })
    local none, err = scopes.wishes { ("x "):rep(scopes.MAX_WISHES + 1) }
    assert.is_nil(none)
    assert.equal("invalid", err.kind)
  end)
end)
