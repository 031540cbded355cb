--- Writes the seed corpora of the tar targets: lua5.4 spec/fuzz/seeds.lua, from the top.
dofile("spec/support/paths.lua")

local tar = require "spec.support.tar"

local function write(target, seeds)
  for i, bytes in ipairs(seeds) do
    local f = assert(io.open(("spec/fuzz/corpus/%s/%02d"):format(target, i), "wb"))
    assert(f:write(bytes))
    assert(f:close())
  end
end

local maps = {
  "null", "[]", '[{"o":0,"l":10}]', '[{"o":4096,"l":8192},{"o":65536,"l":4096}]',
  ' [ { "l" : 1 , "o" : 2 } ] ', '[{"o":0,"l":0},{"o":0,"l":0}]', '[{"o":4398046511104,"l":0}]',
  '[{"o":4398046511105,"l":0}]', '[{"o":5,"l":5},{"o":0,"l":5}]', '[{"o":0,"l":-1}]',
  '[{"o":01,"l":1}]', '[{"o":0,"l":1},]', '[{"o":0,"o":1}]', "nul", "[", "[{", '[{"o"', "{}",
}
write("sparse", maps)

local function sparse(map, size)
  return { { "COCOON.sparse.map", map }, { "COCOON.sparse.size", size } }
end

local function body(records)
  local out = {}
  for i, r in ipairs(records) do
    out[i] = tar.record(r[1], r[2])
  end
  return table.concat(out)
end

local many = {}
for i = 1, 65 do
  many[i] = { "k" .. i, "v" }
end

write("pax", {
  "", "6 a=b\n", "5 a=\n", "7 a=b=\n", "6 a=b\n6 c=d\n", "6 a=b\n6 a=c\n", "06 a=b\n", "5 ab\n",
  "999999999 k=v\n", "6 a=b", body(sparse(maps[4], "1048576")), body { { "a", ("x"):rep(93) } },
  body { { "a", ("x"):rep(94) } }, "100 a=" .. ("x"):rep(93) .. "\n", body { { "b", "\0\n=\255" } },
  body { { "GNU.sparse.major", "1" } }, body(many), "9 a\0b=cd\n", "3 =\n",
})

local archives = {
  tar.trailer,
  tar.file("a", "1") .. tar.file("b", "") .. tar.trailer,
  tar.file("a", ("x"):rep(600)) .. tar.trailer .. ("\0"):rep(700),
  tar.pax(sparse('[{"o":9,"l":10}]', "99")) .. tar.file("f", "0123456789") .. tar.trailer,
  tar.pax(sparse("null", "99")) .. tar.file("f", "") .. tar.trailer,
  tar.pax { { "path", ("é"):rep(60) }, { "mtime", "-1.5" }, { "size", "3" }, { "note", "x" } } ..
    tar.file("f", "abc") .. tar.trailer,
  tar.file("f", "", { magic = "ustar  \0", size = "\128\0\0\0\0\0\0\0\0\0\0\0" }) .. tar.trailer,
  tar.header { size = "\128\0\0\0\0\32\0\0\0\0\0\0" },
  tar.header { size = "\255\255\255\255\255\255\255\255\255\255\255\255" },
  tar.file("f", "", { type = "5" }), tar.file("f", "", { type = "g" }),
  tar.file("f", "", { mode = "0104755" }), tar.file("a/b", ""), tar.file("f", "", { prefix = "p" }),
  tar.pax("") .. tar.trailer, tar.pax(""):rep(2), tar.file("a", ""):rep(2) .. tar.trailer,
  tar.pax(many) .. tar.file("f", ""), tar.header { type = "x", size = tar.octal(2 ^ 21) },
  tar.file("f", "123"):sub(1, 514), ("\0"):rep(512) .. tar.file("f", ""),
  tar.file("f", "") .. tar.trailer .. "x",
  tar.pax { { "path", "short" } } .. tar.file("f", "") .. tar.pax({ { "a", ("b"):rep(99) } }):sub(1, 515),
}
for i, archive in ipairs(archives) do
  archives[i] = "\1\6" .. archive
end
write("tar", archives)
