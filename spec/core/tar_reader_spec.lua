local core = require "epoch.core"
local golden = require "spec.support.golden"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local MIB = 1024 * 1024

local function map_records(map, size)
  local records = {}
  if map then
    records[#records + 1] = { "COCOON.sparse.map", map }
  end
  if size then
    records[#records + 1] = { "COCOON.sparse.size", size }
  end
  return records
end

--- A stream that has something of everything, 10 KiB long.
local function sample()
  local archive = table.concat {
    tar.file("snapshot.json", '{"version":1}'),
    tar.pax(map_records('[{"o":4096,"l":700}]', "1048576")),
    tar.file("cow.raw", work.noise(700)),
    tar.file("empty", ""),
    tar.pax { { "path", ("ä"):rep(60) }, { "mtime", "5.5" } },
    tar.file("short", work.noise(1024)),
    tar.pax { { "user.note", work.noise(900) } },
    tar.file("last", work.noise(500)),
  }
  return archive .. tar.trailer
end

describe("the tar reader", function()
  it("gives entries with their records, then their data, then a clean end", function()
    local reader = core.tar_reader(core.bytes(sample()), { sparse = tar.SPARSE })
    assert.same({ name = "snapshot.json", mode = 416, size = 13, mtime = 0, pax = {} },
                reader:next())
    assert.equal(512, reader:offset())
    local body = reader:body()
    assert.equal(13, body:total())
    assert.equal('{"ver', body:read(5))
    assert.equal('sion":1}', body:read(1000))
    assert.is_false(body:read(1))

    assert.same({
      name = "cow.raw", mode = 416, size = 700, mtime = 0,
      pax = map_records('[{"o":4096,"l":700}]', "1048576"),
      sparse = { map = '[{"o":4096,"l":700}]', size = 1048576 },
    }, reader:next())
    assert.is_true(reader:skip())

    assert.same({ name = "empty", mode = 416, size = 0, mtime = 0, pax = {} }, reader:next())
    assert.is_false(reader:body():read(1))

    assert.same({ name = ("ä"):rep(60), mode = 416, size = 1024, mtime = 5, pax = {} },
                reader:next())
    assert.equal(work.noise(1024), reader:body():read(5000))
    assert.equal("user.note", reader:next().pax[1][1])
    assert.is_true(reader:skip())
    assert.is_false(reader:next())
    assert.is_false(reader:next())
    assert.equal(#sample(), reader:offset())
  end)

  it("gives the same for one byte at a time", function()
    local archive = sample()
    local events = tar.whole(archive)
    assert.equal("end", events[6])
    assert.same(events, tar.in_pieces(archive, function() return 1 end))
  end)

  it("fails at every cut, in the same way in pieces", function()
    local archive = sample()
    assert.equal(10240, #archive)
    for n = 0, #archive - 1 do
      local code, message = tar.failure(archive:sub(1, n))
      if code ~= "truncated" then
        error(("cut at %d: %s: %s"):format(n, tostring(code), tostring(message)))
      end
    end
    for n = 0, #archive - 1, 257 do
      local cut = archive:sub(1, n)
      assert.same(tar.whole(cut), tar.in_pieces(cut, function() return 100 end))
    end
  end)

  it("says where the stream was cut", function()
    local function cut(n)
      return select(2, tar.failure(sample():sub(1, n)))
    end
    assert.matches("without the two zero blocks", cut(0))
    assert.matches("inside a header", cut(511))
    assert.matches("inside entry 'snapshot.json', 12 of 13 bytes are missing", cut(513))
    assert.matches("inside the padding of entry 'snapshot.json'", cut(525))
    assert.matches("without the two zero blocks", cut(1024))
    assert.matches("inside an extended header", cut(1537))
    assert.matches("after an extended header", cut(2048))
    assert.matches("without the two zero blocks", cut(9216 + 512))
  end)
end)

describe("the tar reader with real streams", function()
  it("gives the same in pieces as in one", function()
    local names = golden.names "%.tar$"
    assert.is_true(#names >= 4)
    for _, name in ipairs(names) do
      local archive = golden.read(name)
      local events = tar.whole(archive)
      local x = 1
      local function piece() -- 1 to 4096, many of them short
        x = (x * 16807) % 2147483647
        return 1 + x % (x % 3 == 0 and 4096 or 64)
      end
      if #archive < 200000 then
        piece = function() return 1 end
      end
      assert.same(events, tar.in_pieces(archive, piece), name)
      if name:find("gen1", 1, true) then -- directories, and names with a '/'
        assert.matches("^unsupported: ", events[1])
      else
        assert.equal("end", events[#events], name)
        assert.is_true(#events >= 4)
      end
    end
  end)

  it("gives what cocoon exported", function()
    local reader = core.tar_reader(core.bytes(golden.read "v2-big/export.tar"),
                                   { sparse = tar.SPARSE })
    local names = {}
    for entry in function() return reader:next() or nil end do
      names[#names + 1] = ("%s %o %d %s"):format(entry.name, entry.mode, entry.size,
                                                 entry.sparse and entry.sparse.size or "-")
      assert.is_true(tar.skip(reader))
    end
    assert.same({
      "snapshot.json 644 619 -", "cidata.img 644 1024 -", "config.json 640 72 -",
      "cow.raw 640 5000 -", "memory-ranges 640 3324705 4369185",
      "overlay.qcow2 640 1179648 4194304", "state.json 640 852 -",
    }, names)
  end)

  it("reads a file that is all hole", function()
    local events = tar.whole(golden.read "all-hole/export.tar")
    assert.matches("data%-zero.raw mode=640 size=0 .*sparse 1048576 null", events[4])
    assert.equal("end", events[#events])
  end)
end)

describe("the tar reader accepts", function()
  local function first(archive)
    local reader = core.tar_reader(core.bytes(archive), { sparse = tar.SPARSE })
    return assert(reader:next()), reader
  end

  it("what other programs write", function()
    local e = first(tar.file("gnu", "", { magic = "ustar  \0" }))
    assert.equal("gnu", e.name)
    e = first(tar.file("old", "", { type = "\0" }))
    assert.equal("old", e.name)
    e = first(tar.file("typed", "", { mode = "0100755" }))
    assert.equal(493, e.mode)
    e = first(tar.file("spaced", "", { mode = "000640 ", size = "0           " }))
    assert.equal(416, e.mode)
    e = first(tar.file("f", "", { mtime = "15300224477 " }))
    assert.equal(1795238207, e.mtime)
    assert.equal(("n"):rep(100), first(tar.file(("n"):rep(100), "")).name)
  end)

  it("sizes above 8 GiB, in base 256 and in a record", function()
    local e = first(tar.header { size = "\128\0\0\0\0\0\0\2\0\0\0\1" })
    assert.equal(8589934593, e.size)
    e = first(tar.header { size = "\128\0\0\0\0\32\0\0\0\0\0\0" })
    assert.equal(2 ^ 53, e.size)
    local reader
    e, reader = first(tar.pax { { "size", "9007199254740992" } } .. tar.header {})
    assert.equal(2 ^ 53, e.size)
    assert.equal(2 ^ 53, reader:body():total())
    assert.same({}, e.pax)
  end)

  it("a record's size, path and time over the header's", function()
    local e, reader = first(tar.pax { { "size", "3" }, { "path", "new" }, { "mtime", "-1.5" } } ..
                            tar.header { name = "a/b", prefix = "c", size = tar.octal(0),
                                         mtime = "00000000007" } .. tar.pad "abc" .. tar.trailer)
    assert.same({ name = "new", size = 3, mtime = -2, mode = 416, pax = {} }, e)
    assert.equal("abc", reader:body():read(10))
    assert.is_false(reader:next())
  end)

  it("records as they are", function()
    local records = { { "b", "" }, { "a", "x=y\n\0\255" }, { "COCOON.other", "[]" } }
    assert.same(records, first(tar.pax(records) .. tar.file("f", "")).pax)
    assert.same({}, first(tar.pax("") .. tar.file("f", "")).pax)
    local many = {}
    for i = 1, 64 do
      many[i] = { "k" .. i, "v" }
    end
    assert.same(many, first(tar.pax(many) .. tar.file("f", "")).pax)
  end)

  it("vendor records without a prefix to look for", function()
    local archive = tar.pax(map_records("nonsense", "x")) .. tar.file("f", "") .. tar.trailer
    assert.is_nil(tar.failure(archive, {}))
    assert.equal("invalid", tar.failure(archive))
  end)

  it("names of 255 bytes, of any script", function()
    for _, name in ipairs { ("n"):rep(255), ("é"):rep(127), "日本", "a b", "...", "-rf", "a\\b" } do
      assert.equal(name, first(tar.pax { { "path", name } } .. tar.file("f", "")).name)
    end
  end)

  it("zeros after the end, however many", function()
    local archive = tar.file("f", "") .. tar.trailer
    assert.is_nil(tar.failure(archive .. ("\0"):rep(8704)))
    assert.is_nil(tar.failure(archive .. "\0"))
    assert.is_nil(tar.failure(tar.trailer))
  end)

  it("an extended header of 1 MiB, and not a byte more", function()
    local rest = #tar.record("k", ("v"):rep(MIB - 100)) - (MIB - 100)
    local body = tar.record("k", ("v"):rep(MIB - rest))
    assert.equal(MIB, #body)
    assert.equal(MIB - rest, #first(tar.pax(body) .. tar.file("f", "")).pax[1][2])
    local code, message = tar.failure(tar.pax(tar.record("k", ("v"):rep(MIB - rest + 1))) ..
                                      tar.file("f", "") .. tar.trailer)
    assert.equal("too_large", code)
    assert.matches("an extended header of 1048577 bytes", message)
  end)

  it("a map of 45000 segments", function()
    local segments = {}
    for i = 1, 45000 do
      segments[i] = ('{"o":%d,"l":1}'):format(i * 8192)
    end
    local map = "[" .. table.concat(segments, ",") .. "]"
    local e = first(tar.pax(map_records(map, "400000000")) .. tar.file("f", ("x"):rep(45000)))
    assert.equal(map, e.sparse.map)
    assert.equal(400000000, e.sparse.size)
  end)
end)

describe("the tar reader refuses", function()
  local function refuses(code, text, archive)
    local got, message = tar.failure(archive)
    assert.equal(code, got, text)
    assert.matches(text, message, 1, true)
    assert.matches("^tar, block at byte %d+: ", message)
    local events = tar.whole(archive)
    assert.same(events, tar.in_pieces(archive, function() return 64 end))
  end

  local function entry(f, data)
    return tar.file("file", data or "", f) .. tar.trailer
  end

  local function with_records(body)
    return tar.pax(body) .. tar.file("file", ("x"):rep(10)) .. tar.trailer
  end

  it("everything that is not a regular file", function()
    for type, words in pairs {
      ["1"] = "hard link", ["2"] = "symbolic link", ["3"] = "character device",
      ["4"] = "block device", ["5"] = "directory", ["6"] = "fifo", ["7"] = "contiguous",
      S = "GNU sparse", L = "GNU long name", K = "GNU long link", g = "global extended header",
      V = "volume label", M = "multi-volume", D = "dump", X = "type \\x58", ["\255"] = "\\xFF",
    } do
      refuses("unsupported", words, entry { type = type })
    end
  end)

  it("headers that are not in order", function()
    refuses("invalid", "checksum is wrong", entry { sum = "0000000\0" })
    refuses("invalid", "checksum is not a number", entry { sum = "banana" })
    refuses("unsupported", "neither ustar nor GNU", entry { magic = "" })
    refuses("unsupported", "neither ustar nor GNU", entry { magic = "ustar\00001" })
    refuses("invalid", "checksum is not a number", ("\1"):rep(512) .. tar.trailer)
    refuses("invalid", "checksum is not a number", "{" .. ("a"):rep(2000))
    refuses("invalid", "single zero block", ("\0"):rep(512) .. tar.file("f", "") .. tar.trailer)
  end)

  it("numbers that are none, negative or too large", function()
    refuses("invalid", "size is not a number", entry { size = "0000000000x" })
    refuses("invalid", "size is not a number", entry { size = "00000000008" })
    refuses("invalid", "size is not a number", entry { size = "000 0000001" })
    refuses("invalid", "size is not a number", entry { size = "" })
    refuses("invalid", "size is not a number", entry { size = "-0000000001" })
    refuses("invalid", "size is not a number", entry { size = " 0000000001" })
    refuses("invalid", "mode is not a number", entry { mode = "rw-r--r" })
    refuses("invalid", "time is not a number", entry { mtime = "now" })
    refuses("invalid", "size is negative", entry { size = ("\255"):rep(12) })
    refuses("invalid", "size is negative", entry { size = "\192" .. ("\0"):rep(11) })
    refuses("too_large", "size is above 2^53", entry { size = "\128\0\0\0\127" .. ("\255"):rep(7) })
    refuses("too_large", "size is above 2^53", entry { size = "\128\0\0\0\0\32\0\0\0\0\0\1" })
    refuses("too_large", "size is above 2^53", entry { size = "\191" .. ("\255"):rep(11) })
  end)

  it("names that are not plain base names", function()
    for name, words in pairs {
      [""] = "empty name", ["."] = "not the name", [".."] = "not the name", ["/"] = "'/'",
      ["a/b"] = "'/'", ["../x"] = "'/'", ["/etc/x"] = "'/'", ["x/"] = "'/'",
      ["a\nb"] = "'a\\x0Ab': the name has a control", ["\127"] = "control",
      ["\194\133"] = "control", ["\255"] = "not UTF-8", ["\192\175"] = "not UTF-8",
      ["\237\160\128"] = "not UTF-8", ["a\195"] = "not UTF-8", ["\244\144\128\128"] = "not UTF-8",
    } do
      refuses("invalid", words, entry { name = name })
      refuses("invalid", words, tar.pax { { "path", name } } .. entry())
    end
    refuses("invalid", "'/'", entry { prefix = "dir" })
    refuses("invalid", "control", tar.pax { { "path", "a\0b" } } .. entry())
    refuses("invalid", "longer than 255", tar.pax { { "path", ("n"):rep(256) } } .. entry())
  end)

  it("a name that comes twice", function()
    local twice = tar.file("a", "1") .. tar.file("ab", "2")
    refuses("invalid", "'a' comes twice", twice .. tar.file("a", "3") .. tar.trailer)
    refuses("invalid", "'ab' comes twice",
            twice .. tar.pax { { "path", "ab" } } .. tar.file("c", "") .. tar.trailer)
    refuses("invalid", "'snapshot.json' comes twice",
            tar.file("snapshot.json", "1"):rep(2) .. tar.trailer)
  end)

  it("modes above 0777", function()
    for _, mode in ipairs { "0006777", "0004755", "0002755", "0001777", "0104755", "0120777",
                            "0040755", "0777777", "\128\0\0\0\255\0\0" } do
      refuses("invalid", "at most 0777", entry { mode = mode })
    end
  end)

  it("records that are not in order", function()
    for _, body in ipairs {
      "x", "5 a=b", "6 a=b", "7 a=b\n", "6 a=bc", "06 a=b\n", "+6 a=b\n", " 6 a=b\n", "6  a=b\n" ..
      "x", "0 a=b\n", "4 a\n", "3 =\n", "4 =b\n", "5 ab\n", "999999999 k=v\n",
      "18446744073709551622 a=b\n", "6 a=b\n\n", "6 a=b\n7", "2 \n", "1 \n", "6\ta=b\n",
      tar.record("a\0b", "c"),
    } do
      refuses("invalid", "extended header", with_records(body))
    end
    refuses("invalid", "key 'a' comes twice", with_records { { "a", "1" }, { "a", "1" } })
    refuses("invalid", "key 'path' comes twice", with_records { { "path", "1" }, { "path", "2" } })
    local many = {}
    for i = 1, 65 do
      many[i] = { "k" .. i, "v" }
    end
    refuses("too_large", "more than 64 records", with_records(many))
  end)

  it("records that cannot be", function()
    refuses("invalid", "size is not a number", with_records { { "size", "" } })
    refuses("invalid", "size is not a number", with_records { { "size", "-1" } })
    refuses("invalid", "size is not a number", with_records { { "size", "0x10" } })
    refuses("invalid", "size is not a number", with_records { { "size", "010" } })
    refuses("too_large", "size is above 2^53", with_records { { "size", "9007199254740993" } })
    refuses("too_large", "size is above 2^53", with_records { { "size", "9223372036854775807" } })
    refuses("too_large", "size is above 2^53", with_records { { "size", ("9"):rep(99) } })
    refuses("invalid", "mtime is not a time", with_records { { "mtime", "1.x" } })
    refuses("invalid", "mtime is not a time", with_records { { "mtime", "-" } })
    refuses("unsupported", "GNU sparse", with_records { { "GNU.sparse.map", "0,1" } })
    refuses("unsupported", "GNU sparse", with_records { { "GNU.sparse.major", "1" } })
  end)

  it("extended headers without their entry", function()
    refuses("invalid", "two extended headers", tar.pax { { "a", "b" } }:rep(2) .. entry())
    refuses("invalid", "without its entry", tar.pax { { "a", "b" } } .. tar.trailer)
  end)

  it("sparse records that lie", function()
    local function lies(code, text, map, size)
      refuses(code, text, with_records(map_records(map, size)))
    end
    lies("invalid", ".map without", '[{"o":0,"l":10}]', nil)
    lies("invalid", ".size without", nil, "4096")
    lies("invalid", "is not a number", '[{"o":0,"l":10}]', "-1")
    lies("invalid", "is not a number", '[{"o":0,"l":10}]', "4096 ")
    lies("too_large", "above 2^42", '[{"o":0,"l":10}]', "8796093022208")
    lies("too_large", "above 2^42", '[{"o":0,"l":10}]', ("9"):rep(40))
    lies("invalid", "ends at", '[{"o":1099511627776,"l":10}]', "4096")
    lies("invalid", "hold 9 bytes, the entry 10", '[{"o":0,"l":9}]', "4096")
    lies("invalid", "hold 0 bytes, the entry 10", "null", "4096")
    lies("invalid", "not negative", '[{"o":0,"l":20},{"o":20,"l":-10}]', "4096")
    lies("invalid", "begins before", '[{"o":5,"l":5},{"o":0,"l":5}]', "4096")
    lies("invalid", "'{'", "[1]", "4096")
  end)

  it("bytes after the end", function()
    refuses("invalid", "after the end", entry() .. "x")
    refuses("invalid", "after the end", entry() .. ("\0"):rep(5000) .. "x")
    refuses("invalid", "after the end", entry() .. entry())
  end)

  it("an oversized extended header before it makes room for it", function()
    local reader = core.tar_reader(core.bytes(
      tar.header { type = "x", size = tar.octal(2 * MIB) } .. ("0"):rep(2 * MIB)))
    assert.equal("too_large", select(3, reader:next()))
    assert.equal(512, reader:offset())
  end)

  it("a stream for good: the failure stays", function()
    local reader = core.tar_reader(core.bytes(entry { type = "5" } .. entry()))
    local _, message, code = reader:next()
    assert.same({ nil, message, code }, { reader:next() })
    assert.same({ nil, message, code }, { reader:skip() })
  end)
end)

describe("the tar reader's handles", function()
  local function open()
    return core.tar_reader(core.bytes(sample()), { sparse = tar.SPARSE })
  end

  it("raise on misuse", function()
    assert.has_error(function() core.tar_reader() end)
    assert.has_error(function() core.tar_reader(core.bytes "", { spares = "x" }) end)
    assert.has_error(function() core.tar_reader(core.bytes "", { sparse = "" }) end)
    assert.has_error(function() core.tar_reader(core.bytes "", { sparse = ("x"):rep(65) }) end)
    local reader = open()
    assert.error_matches(function() reader:body() end, "no entry at hand")
    reader:next()
    assert.error_matches(function() reader:next() end, "was not read")
    local body = reader:body()
    assert.error_matches(function() reader:body() end, "given out")
    body:close()
    assert.error_matches(function() reader:next() end, "was not read")
    assert.is_true(reader:skip())
    assert.equal("cow.raw", reader:next().name)
    reader:close()
    assert.error_matches(function() reader:next() end, "closed")
  end)

  it("keep others from the source", function()
    local source = core.bytes(sample())
    local reader = core.tar_reader(source)
    assert.error_matches(function() source:read(1) end, "in use")
    reader:close()
  end)

  it("let a body outlive its reader, but not the reader's close", function()
    local function body_alone()
      local reader = open()
      reader:next()
      return reader:body()
    end
    local body = body_alone()
    collectgarbage()
    collectgarbage()
    assert.equal('{"version":1}', body:read(100))

    local reader = open()
    reader:next()
    body = reader:body()
    reader:close()
    local _, message, code = body:read(1)
    assert.equal("invalid", code)
    assert.matches("reader was closed", message)
  end)

  it("do not let an old body read another entry's data", function()
    local archive = tar.file("a", "1111") .. tar.file("b", "2222") .. tar.trailer
    local reader = core.tar_reader(core.bytes(archive))
    reader:next()
    local old = reader:body()
    assert.is_true(reader:skip())
    reader:next()
    assert.equal("invalid", select(3, old:read(4)))
    assert.equal("2222", reader:body():read(4))
  end)

  it("wake a loop when more can be read", function()
    work.with_loop({}, function(loop)
      local await = require "epoch.await"
      local source, sink = core.pipe()
      local reader = core.tar_reader(source)
      assert.same("again", select(3, reader:next()))
      sink:write(sample():sub(1, 600))
      assert.equal("snapshot.json", await(loop, reader, "next").name)
      assert.is_true(await(loop, reader, "skip"))
      assert.same("again", select(3, reader:next()))
      sink:finish()
      assert.equal("truncated", select(3, await(loop, reader, "next")))
      reader:close()
    end)
  end)

  it("give every loop its turn while a long entry is skipped", function()
    work.with_loop({}, function(loop)
      local await = require "epoch.await"
      local data = ("x"):rep(3 * MIB)
      local reader = core.tar_reader(core.bytes(tar.file("big", data) .. tar.trailer))
      reader:next()
      assert.equal("again", select(3, reader:skip()))
      assert.is_true(await(loop, reader, "skip"))
      assert.is_false(reader:next())
    end)
  end)

  it("move an entry through a flow", function()
    work.with_loop({}, function(loop)
      local archive = sample()
      local reader = core.tar_reader(core.bytes(archive))
      for entry in function() return reader:next() or nil end do
        local result = assert(work.flow(loop, { source = reader:body(), sink = core.null(),
                                                hash = true, size = entry.size }))
        assert.equal(entry.size, result.size)
      end
      assert.equal(#archive, reader:offset())
    end)
  end)
end)
