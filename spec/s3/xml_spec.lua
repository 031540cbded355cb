local xml = require "epoch.s3.xml"

local function refused(s, why)
  local element, err = xml.parse(s)
  assert.is_nil(element)
  assert.is_true(err.kind == "invalid" or err.kind == "too_large")
  assert.matches(why, err.message, 1, true)
end

local LIST = [[
<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>
  <Contents>
    <Key>a/&amp;b&#x20ac;&#65;</Key><ETag>&quot;0f&quot;</ETag>
    <Owner xmlns:xsi='x' xsi:type="CanonicalUser"><ID>me</ID></Owner>
  </Contents>
  <Contents><Key>c</Key></Contents><Prefix/><Delimiter ></Delimiter >
</ListBucketResult>
]]

describe("XML of S3", function()
  it("is read into elements with text", function()
    local list = assert(xml.parse(LIST))
    assert.equal("ListBucketResult", list.name)
    assert.equal("false", xml.text(list, "IsTruncated"))
    assert.equal("", xml.text(list, "Prefix"))
    assert.is_nil(xml.text(list, "Marker"))
    assert.equal(5, #list)
    assert.equal("a/&b\226\130\172A", xml.text(list[2], "Key"))
    assert.equal('"0f"', xml.text(list[2], "ETag"))
    assert.equal("me", xml.text(list[2][3], "ID"))
    assert.equal("Contents", list[3].name)
  end)

  it("may have a mark, space or nothing before it, and prefixes of namespaces in it", function()
    assert.equal("x", assert(xml.parse("<a>x</a>")).text)
    assert.equal("a", assert(xml.parse("\239\187\191<?xml version='1.0'?><a/>\n")).name)
    assert.equal("a", assert(xml.parse("   \n \n<?xml version='1.0'?>\n<s:a xmlns:s='u'/>")).name)
    assert.equal("  x ", assert(xml.parse("<a>  x </a>")).text)
    assert.equal(" ", assert(xml.parse("<a> </a>")).text)
  end)

  it("resolves characters by number", function()
    assert.equal("\0\127\194\128\223\191\224\160\128\239\191\191\240\144\128\128\244\143\191\191",
      assert(xml.parse("<a>&#0;&#127;&#x80;&#x7FF;&#x800;&#65535;&#x10000;&#1114111;</a>")).text)
  end)

  it("is refused where it is broken", function()
    refused("", "there is no element")
    refused("  ", "there is no element")
    refused("x", "text outside")
    refused("<a>", "<a> is not closed")
    refused("<a><b></a></b>", "</a> closes nothing")
    refused("</a>", "</a> closes nothing")
    refused("<a/><b/>", "a second element")
    refused("<a/>x", "text outside")
    refused("<a>x<b/></a>", "in the middle of text")
    refused("<a><b/>x</a>y", "text outside")
    refused("<a b></a>", "<a has no end")
    refused("<a b=c></a>", "<a has no end")
    refused("<a b='<'></a>", "<a has no end")
    refused("<a", "<a has no end")
    refused("<a>< b/></a>", "neither the beginning nor the end")
    refused("<s:a></a>", "</a> closes nothing")
  end)

  it("has no entities of its own, no document type, no instructions", function()
    for _, text in ipairs { "&lol;", "&", "&;", "&amp", "&#;", "&#x;", "&#xg;", "&#1114112;", "&#x110000;", "&a&b;;",
                            "&#-1;", "&# 1;", "&AMP;" } do
      refused("<a>" .. text .. "</a>", "an entity")
    end
    refused('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "neither the beginning")
    refused("<?xml version='1.0'?><?php x?><a/>", "neither the beginning")
    refused("<a><![CDATA[x]]></a>", "neither the beginning")
    refused("<a><!-- x --></a>", "neither the beginning")
  end)

  it("has bounds", function()
    assert(xml.parse(("<a>"):rep(16) .. ("</a>"):rep(16)))
    refused(("<a>"):rep(17) .. ("</a>"):rep(17), "more than 16 deep")
    refused(("<a>"):rep(1000000), "more than 16 deep")
    refused("<a>" .. ("<b/>"):rep(100000) .. "</a>", "more than 100000 elements")
    refused("<a>" .. ("x"):rep(xml.MAX) .. "</a>", "at most")
    refused("<a " .. ("b "):rep(100000) .. "/>", "has no end")
    refused("<a>" .. ("&"):rep(100000) .. "</a>", "an entity")
  end)

  it("of a thousand long keys is read in bounds", function()
    local one = "<Contents><Key>" .. ("k"):rep(1024) .. "</Key><Size>5</Size></Contents>"
    local list = "<L>" .. one:rep(1000) .. "</L>"
    assert.is_true(#list < xml.MAX)
    assert.equal(1000, #assert(xml.parse(list)))
  end)

  it("is written with its text escaped", function()
    local text = "a<b>&amp;\"c'\r\n"
    assert.equal(text, assert(xml.parse("<a>" .. xml.escape(text) .. "</a>")).text)
  end)
end)
