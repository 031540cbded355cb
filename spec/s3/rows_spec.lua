--- Rows of a list are what the reader of all XML would have found.
local rows = require "epoch.s3.rows"
local xml = require "epoch.s3.xml"

local FIELDS = { "Key", "LastModified", "ETag", "Size" }

local function list_of(...)
  return "<List><Name>b</Name>" .. table.concat({ ... }) .. "<Prefix>p/</Prefix></List>"
end

local function read(bytes)
  return rows.read(bytes, "Row", FIELDS)
end

local function rows_in(list)
  local found = {}
  for _, element in ipairs(list) do
    found[#found + 1] = element.name == "Row" and element or nil
  end
  return found
end

-- As rows.read() should tell it, by the other reader.
local function read_slowly(bytes)
  local list = xml.parse(bytes)
  local found = list and rows_in(list)
  for n, element in ipairs(found or {}) do
    found[n] = {}
    for place, field in ipairs(FIELDS) do
      found[n][place] = xml.text(element, field)
    end
  end
  return found
end

local A = "<Row><Key>p/a</Key><LastModified>now</LastModified><ETag>&quot;1&quot;</ETag><Size>5</Size></Row>"
local B = "<Row><Key>p/b</Key><LastModified>now</LastModified><ETag>2</ETag><Size>6</Size></Row>"
local OTHER = "<Row><Owner><ID>me</ID><DisplayName></DisplayName></Owner><Size>7</Size><ETag>3</ETag>"
  .. "<Key>p/c &amp; d</Key><LastModified>then</LastModified><Type>Normal</Type></Row>"

describe("rows of a list", function()
  it("are read as they stand, with what is left of the list", function()
    local found, rest = read(list_of(A, B))
    assert.same({ { "p/a", "now", '"1"', "5" }, { "p/b", "now", "2", "6" } }, found)
    assert.equal(list_of("<Row/>"), rest)
  end)

  it("may look otherwise from one on, in any order of fields", function()
    local found = read(list_of(A, OTHER, OTHER, B, OTHER))
    assert.equal(5, #found)
    assert.same({ "p/c & d", "then", "3", "7" }, found[2])
    assert.same(read_slowly(list_of(A, OTHER, OTHER, B, OTHER)), found)
  end)

  it("are as many as are asked for at once", function()
    assert.equal(rows.MAX, #read(list_of(A:rep(rows.MAX))))
    assert.is_nil(read(list_of(A:rep(rows.MAX + 1))))
  end)

  it("are left to the other reader where anything is out of the ordinary", function()
    local leaves = ("<X>1</X>"):rep(29)
    assert.equal(2, #read(list_of(A, (B:gsub("<Key>", leaves:sub(1, 28 * 8) .. "%0")))))
    for what, list in pairs {
      ["no rows"] = list_of(),
      ["an attribute"] = list_of(A, (B:gsub("<Key>", "<Key a='b'>"))),
      ["an attribute of the row"] = list_of(A, (B:gsub("<Row>", "<Row a='b'>"))) .. A,
      ["a namespace"] = list_of(A, (B:gsub("Key>", "s:Key>"))),
      ["space between elements"] = list_of((A:gsub("><", "> <"))),
      ["space between rows"] = list_of(A, " ", B),
      ["another element between rows"] = list_of(A, "<Other/>", B),
      ["text in the row"] = list_of(A, (B:gsub("<Key>", "text%0"))),
      ["no key"] = list_of(A, (B:gsub("<Key>.-</Key>", ""))),
      ["two keys"] = list_of(A, (B:gsub("<Key>.-</Key>", "%0%0"))),
      ["a key inside"] = list_of(A, (B:gsub("</Row>", "<Owner><Key>x</Key></Owner>%0"))),
      ["an element without an end"] = list_of(A, (B:gsub("</Key>", ""))),
      ["a row without an end"] = list_of(A, (B:gsub("</Row>", ""))),
      ["a row in a row"] = list_of(A, "<Row>" .. B .. "</Row>"),
      ["elements that cross"] = list_of(A, (B:gsub("<Key>", "<Y><Z>%0"):gsub("</Row>", "</Y></Z>%0"))),
      ["an entity of its own"] = list_of(A, (B:gsub("p/b", "&b;"))),
      ["a comment"] = list_of(A, (B:gsub("<Key>", "<!-- -->%0"))),
      ["more elements than a pattern can have"] = list_of(A, (B:gsub("<Key>", leaves .. "%0"))),
    } do
      assert.is_nil(read(list), what)
    end
    assert.is_nil(read(list_of(A, (B:gsub("<Key>", ("<X>1</X>"):rep(5000) .. "%0")))))
  end)

  it("are found by both readers alike, whatever happened to the list", function()
    local SCRAPS = { "<", ">", "/", "&", ";", "&amp;", "&#65;", " ", "<Row>", "</Row>", "<Key>", "</Key>", "<Row/>",
                     "<X>", "</X>", "<Key>k</Key>", A, OTHER, "x='y'", "\0" }
    local state, taken, same = 1, 0, 0
    local function random(n)
      state = (state * 16807) % 2147483647
      return state % n + 1
    end
    for _ = 1, 10000 do
      local list = list_of(A, OTHER, B, B)
      for _ = 1, random(2) do
        local from = random(#list)
        list = list:sub(1, from - 1) .. SCRAPS[random(#SCRAPS)] .. list:sub(from + random(4) - 1)
      end
      local found, rest = read(list)
      local root = found and xml.parse(rest)
      local slowly = read_slowly(list)
      taken = taken + (found and 1 or 0)
      if root and #rows_in(root) == 1 then
        same = same + 1
        assert.same(slowly, found, list)
      elseif found and not root then
        assert.is_nil(slowly, list)
      end
    end
    assert.is_true(taken > 500 and same > 150, ("%d were read, %d of them whole"):format(taken, same))
  end)
end)
