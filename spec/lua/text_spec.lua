local text = require("epoch.text")
local utf8 = require("epoch.utf8")

describe("text.printable", function()
  it("leaves what is printable alone", function()
    for _, s in ipairs({ "", "plain", "äöü 漢字 🙂", 'back\\slash "quoted"' }) do
      assert.equal(s, text.printable(s))
    end
  end)

  it("shows controls, bad bytes and what hides or turns text", function()
    assert.equal("\\x1b[31m", text.printable("\27[31m"))
    assert.equal("a\\x00b\\tc\\r\\n\\x7f", text.printable("a\0b\tc\r\n\127"))
    assert.equal("\\xff\\xc3", text.printable("\255\195"))
    assert.equal("\\u{9b}x", text.printable("\194\155x")) -- CSI as one character
    assert.equal("\\u{202e}gpj", text.printable("\226\128\174gpj"))
    assert.equal("\\u{200b}\\u{feff}\\u{2028}", text.printable("\226\128\139\239\187\191\226\128\168"))
    assert.equal("\\xed\\xa0\\x80", text.printable("\237\160\128")) -- a surrogate
    assert.equal("\\xc0\\xaf", text.printable("\192\175")) -- an overlong /
  end)

  it("is printable and within its length for every byte, every length, twice", function()
    local every = {}
    for b = 0, 255 do
      every[#every + 1] = string.char(b)
    end
    local hostile = table.concat(every) .. ("\195\164"):rep(20) .. ("\27"):rep(20) .. ("x"):rep(40)
    for max = 16, 700, 3 do
      local s = text.printable(hostile, max)
      assert.is_true(#s <= max)
      assert.is_nil(s:find("%c"))
      assert.is_true(utf8.valid(s))
      assert.equal(s, text.printable(s, max))
    end
  end)

  it("says when something is missing, and fills the room there is", function()
    assert.equal(("x"):rep(20), text.printable(("x"):rep(20), 20))
    assert.equal(("x"):rep(17) .. "...", text.printable(("x"):rep(21), 20))
    assert.equal(("ä"):rep(8) .. "...", text.printable(("ä"):rep(21), 20))
    assert.equal(8192, #text.printable(("x"):rep(1e6)))
  end)

  it("quotes", function()
    assert.equal('"a\\nb"', text.quote("a\nb"))
    assert.is_true(#text.quote(("x"):rep(1000)) <= 82)
  end)
end)

describe("a value in a message", function()
  it("is the same under every Lua", function()
    for shown, v in pairs { ["2"] = 2, ["-1"] = tonumber("-1.0"), ["1.5"] = 1.5, ['"a\\n"'] = "a\n", ["true"] = true,
                            ["a list or an object"] = {}, ["null"] = io.stdout } do
      assert.equal(shown, text.value(v))
    end
    assert.equal("missing", text.value(nil))
  end)
end)

describe("utf8", function()
  it("knows the edges of every length", function()
    local edges = {
      ["\0"] = 0, ["\127"] = 0x7F, ["\194\128"] = 0x80, ["\223\191"] = 0x7FF, ["\224\160\128"] = 0x800,
      ["\237\159\191"] = 0xD7FF, ["\238\128\128"] = 0xE000, ["\239\191\191"] = 0xFFFF,
      ["\240\144\128\128"] = 0x10000, ["\244\143\191\191"] = 0x10FFFF,
    }
    for s, cp in pairs(edges) do
      local got, n = utf8.codepoint(s, 1)
      assert.equal(cp, got)
      assert.equal(#s, n)
      assert.is_true(utf8.valid("x" .. s .. "y"))
    end
  end)

  it("refuses what is not UTF-8 and says where", function()
    for _, s in ipairs({ "\128", "\193\191", "\224\159\191", "\237\160\128", "\240\143\191\191",
                         "\244\144\128\128", "\245\128\128\128", "\255", "\195", "\226\130", "\240\159\153",
                         "\195x" }) do
      local ok, at = utf8.valid("ab" .. s)
      assert.is_false(ok)
      assert.equal(3, at)
    end
  end)
end)
