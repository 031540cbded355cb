local await = require "epoch.await"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

local MIB = 1024 * 1024

local function write_all(sink, data)
  while #data > 0 do
    local taken, message, code = sink:write(data)
    if not taken then
      return nil, message, code
    end
    data = data:sub(taken + 1)
  end
  return true
end

--- Writes entries {name=, data=, …} and gives the archive.
local function archive_of(entries, options)
  local out = core.collect(64 * MIB)
  local writer = core.tar_writer(out, options)
  for _, e in ipairs(entries) do
    local body = assert(writer:entry { name = e.name, mode = e.mode or 416, size = #e.data,
                                       mtime = e.mtime, pax = e.pax })
    assert(write_all(body, e.data))
    assert.is_true(body:finish())
  end
  assert.is_true(writer:finish())
  writer:close()
  return out:bytes()
end

local function entries_of(archive)
  local reader = core.tar_reader(core.bytes(archive), { sparse = tar.SPARSE })
  local out = {}
  while true do
    local entry, message = reader:next()
    assert(entry ~= nil, message)
    if not entry then
      return out
    end
    local body, pieces = reader:body(), {}
    for piece in function() return body:read(65536) or nil end do
      pieces[#pieces + 1] = piece
    end
    entry.data = table.concat(pieces)
    out[#out + 1] = entry
  end
end

describe("the tar writer", function()
  it("writes what Go writes, byte for byte", function()
    for _, name in ipairs { "v1-small/import.tar", "v2-big/import.tar" } do
      local theirs = golden.read(name)
      local again = archive_of(entries_of(theirs), { sparse = tar.SPARSE })
      work.assert_same_bytes(theirs, again)
    end
  end)

  it("gives headers and paddings alone, with which others write the same", function()
    local archive, pieces = golden.read("v1-small/import.tar"), {}
    local out = core.collect(MIB)
    local writer = core.tar_writer(out, { sparse = tar.SPARSE })
    for _, e in ipairs(entries_of(archive)) do
      local head, padding = writer:head { name = e.name, mode = e.mode, size = e.size, mtime = e.mtime, pax = e.pax }
      pieces[#pieces + 1] = head .. e.data .. ("\0"):rep(padding)
    end
    assert(writer:finish())
    work.assert_same_bytes(archive, table.concat(pieces) .. out:bytes())
    assert.equal(1024, #out:bytes())
  end)

  it("refuses for a header alone what it refuses for an entry", function()
    local writer = core.tar_writer(core.null(), { sparse = tar.SPARSE })
    assert.same({ nil, "invalid" }, { (writer:head { name = "a/b", size = 1 }),
                                      (select(3, writer:head { name = "a/b", size = 1 })) })
    assert(writer:head { name = "a", size = 1 })
    assert.equal("invalid", (select(3, writer:head { name = "a", size = 1 })))
    assert.has_error(function() writer:head { name = "b" } end)
    local body = assert(writer:entry { name = "c", size = 0 })
    assert.has_error(function() writer:head { name = "d", size = 0 } end)
    assert(body:finish())
    assert(writer:finish())
    assert.equal("invalid", (select(3, writer:head { name = "e", size = 0 })))
    writer:close()
  end)

  it("writes what the reader reads", function()
    local entries = {
      { name = "snapshot.json", mode = 420, mtime = 5, data = "{}", pax = {} },
      { name = "empty", mode = 0, mtime = 0, data = "", pax = {} },
      { name = ("n"):rep(100), mode = 511, mtime = 0, data = ("x"):rep(512), pax = {} },
      { name = ("n"):rep(101), mode = 416, mtime = 8 ^ 11 - 1, data = ("x"):rep(511), pax = {} },
      { name = ("é"):rep(127), mode = 416, mtime = 8 ^ 11, data = ("x"):rep(513), pax = {} },
      { name = "日本", mode = 416, mtime = -1, data = "x", pax = { { "z", "" }, { "a", "\0\n=" } } },
      { name = "cow.raw", mode = 416, mtime = 0, data = "0123456789",
        pax = { { "COCOON.sparse.map", '[{"o":7,"l":10}]' }, { "COCOON.sparse.size", "99" } } },
      { name = "hole", mode = 416, mtime = 0, data = "",
        pax = { { "COCOON.sparse.map", "null" }, { "COCOON.sparse.size", "1048576" } } },
    }
    local archive = archive_of(entries, { sparse = tar.SPARSE })
    local got = entries_of(archive)
    assert.same({ map = '[{"o":7,"l":10}]', size = 99 }, got[7].sparse)
    for i, e in ipairs(got) do
      e.sparse = nil
      e.size = nil
      assert.same(entries[i], e)
    end
    assert.equal(#entries, #got)
    work.assert_same_bytes(archive, archive_of(entries))
  end)

  it("writes records of every length around a power of ten", function()
    for _, n in ipairs { 1, 4, 5, 6, 94, 95, 96, 97, 991, 992, 993, 994, 9989, 9990, 9991, 99987,
                         99988 } do
      local pax = { { "k", ("v"):rep(n) } }
      local archive = archive_of { { name = "f", data = "", pax = pax } }
      assert.same(pax, entries_of(archive)[1].pax)
      assert.equal(tar.record("k", pax[1][2]), archive:sub(513, 512 + #tar.record("k", pax[1][2])))
    end
  end)

  it("has 1 MiB for records, and not a byte more", function()
    local rest = #tar.record("k", ("v"):rep(MIB - 100)) - (MIB - 100)
    local archive = archive_of { { name = "f", data = "", pax = { { "k", ("v"):rep(MIB - rest) } } } }
    assert.equal(MIB - rest, #entries_of(archive)[1].pax[1][2])
    local writer = core.tar_writer(core.null())
    local ok, message, code = writer:entry { name = "f", mode = 0, size = 0,
                                             pax = { { "k", ("v"):rep(MIB - rest + 1) } } }
    assert.is_nil(ok)
    assert.equal("too_large", code)
    assert.matches("records of more than 1048576 bytes", message)
    writer:close()
  end)

  it("writes sizes above 8 GiB in a record", function()
    for size, records in pairs { [8 ^ 11 - 1] = false, [8 ^ 11] = true, [2 ^ 53] = true } do
      local out = core.collect(4096)
      local writer = core.tar_writer(out)
      local body = writer:entry { name = "big", mode = 416, size = size }
      body:write("x")
      body:close()
      writer:close()
      local reader = core.tar_reader(core.bytes(out:bytes()))
      assert.equal(size, reader:next().size)
      assert.equal(records and 1536 or 512, reader:offset())
      reader:close()
    end
  end)

  it("is read by other programs", function()
    local archive = archive_of {
      { name = "plain", mtime = 1, data = "12345" }, { name = ("ü"):rep(100), data = ("x"):rep(5000) },
      { name = "noted", data = "", pax = { { "user.note", "n" } } },
    }
    local readers = {
      { "tar", "tar tf '%s' 2>/dev/null | wc -l" },
      { "python3", "python3 -c 'import sys,tarfile; " ..
        "print(len(tarfile.open(sys.argv[1]).getnames()))' '%s'" },
      { "bsdtar", "bsdtar tf '%s' | wc -l" },
    }
    local tried = 0
    work.in_directory(function(dir)
      work.write_file(dir .. "/a.tar", archive)
      for _, r in ipairs(readers) do
        if work.output("command -v " .. r[1]) then
          tried = tried + 1
          assert.equal(3, tonumber(work.output(r[2]:format(dir .. "/a.tar"))), r[1])
        else
          io.stderr:write("\nnot on this machine, so not asked to read a tar: " .. r[1] .. "\n")
        end
      end
    end)
    assert.is_true(tried > 0)
  end)
end)

describe("the tar writer refuses", function()
  local function refuses(code, text, entry)
    local writer = core.tar_writer(core.null(), { sparse = tar.SPARSE })
    local e = { name = "file", mode = 416, size = 10 }
    for k, v in pairs(entry) do
      e[k] = v
    end
    local body, message, got = writer:entry(e)
    assert.is_nil(body)
    assert.equal(code, got, text)
    assert.matches(text, message, 1, true)
    -- and goes on
    local ok = assert(writer:entry { name = "file", mode = 416, size = 0 })
    assert.is_true(ok:finish())
    assert.is_true(writer:finish())
    writer:close()
  end

  it("names that the reader would refuse", function()
    for name, words in pairs {
      [""] = "empty name", ["."] = "not the name", [".."] = "not the name", ["a/b"] = "'/'",
      ["/etc/x"] = "'/'", ["../x"] = "'/'", ["a\0b"] = "control", ["a\nb"] = "control",
      ["\194\155"] = "control", ["\255"] = "not UTF-8", [("n"):rep(256)] = "longer than 255",
    } do
      refuses("invalid", words, { name = name })
    end
  end)

  it("modes, times and sizes that the reader would refuse", function()
    for _, mode in ipairs { 512, 2541, 3583, 33188, 2 ^ 32 + 420, 2 ^ 53 } do
      refuses("invalid", "at most 0777", { mode = mode })
    end
    refuses("invalid", "time beyond", { mtime = 2 ^ 53 })
    refuses("invalid", "time beyond", { mtime = -2 ^ 53 })
  end)

  it("records that the reader would refuse", function()
    refuses("invalid", "cannot be a key", { pax = { { "", "x" } } })
    refuses("invalid", "cannot be a key", { pax = { { "a=b", "x" } } })
    refuses("invalid", "cannot be a key", { pax = { { "a\0", "x" } } })
    refuses("invalid", "comes twice", { pax = { { "a", "x" }, { "a", "y" } } })
    refuses("invalid", "made from the entry", { pax = { { "path", "x" } } })
    refuses("invalid", "made from the entry", { pax = { { "size", "1" } } })
    refuses("invalid", "made from the entry", { pax = { { "mtime", "1" } } })
    refuses("unsupported", "GNU sparse", { pax = { { "GNU.sparse.name", "x" } } })
    local many = {}
    for i = 1, 64 do
      many[i] = { "k" .. i, "v" }
    end
    refuses("too_large", "more than 64 records", { pax = many, size = 8 ^ 11 })
    many[65] = { "k65", "v" }
    refuses("too_large", "more than 64 records", { pax = many })
  end)

  it("sparse records that lie", function()
    local function lies(code, text, map, size)
      refuses(code, text, { pax = { { "COCOON.sparse.map", map }, { "COCOON.sparse.size", size } } })
    end
    lies("invalid", "hold 0 bytes", "null", "4096")
    lies("invalid", "hold 9 bytes", '[{"o":0,"l":9}]', "4096")
    lies("invalid", "ends at", '[{"o":1099511627776,"l":10}]', "4096")
    lies("too_large", "2^42", '[{"o":0,"l":10}]', "8796093022208")
    refuses("invalid", ".map without", { pax = { { "COCOON.sparse.map", "[]" } } })
    refuses("invalid", ".size without", { pax = { { "COCOON.sparse.size", "1" } } })
  end)

  it("a name that comes twice, and more than 65536 names; so does the reader", function()
    local out = core.collect(40 * MIB)
    local writer = core.tar_writer(out)
    for i = 1, 65536 do
      local body = writer:entry { name = "n" .. i, mode = 0, size = 0 }
      body:finish()
      body:close()
    end
    local _, message, code = writer:entry { name = "n65537", mode = 0, size = 0 }
    assert.equal("too_large", code)
    assert.matches("more than 65536 entries", message)
    assert.is_true(writer:finish())
    writer:close()
    local archive = out:bytes()
    assert.is_nil(tar.failure(archive))
    assert.equal("too_large", tar.failure(archive:sub(1, -1025) .. tar.file("n65537", "")))

    writer = core.tar_writer(core.null())
    writer:entry({ name = "twice", mode = 0, size = 0 }):finish()
    _, message, code = writer:entry { name = "twice", mode = 0, size = 0 }
    assert.equal("invalid", code)
    assert.matches("'twice' comes twice", message)
    writer:close()
  end)
end)

describe("an entry's body", function()
  local function begin(size)
    local out = core.collect(MIB)
    local writer = core.tar_writer(out)
    return writer:entry { name = "f", mode = 416, size = size }, writer, out
  end

  it("takes its size and no more", function()
    local body, writer = begin(3)
    assert.equal(2, body:write("ab"))
    local _, message, code = body:write("cd")
    assert.equal("size_mismatch", code)
    assert.matches("'f': more than its 3 bytes", message)
    body:close()
    assert.equal("size_mismatch", select(3, writer:finish()))
    writer:close()
  end)

  it("does not finish with less", function()
    local body, writer = begin(3)
    body:write("ab")
    local _, message, code = body:finish()
    assert.equal("size_mismatch", code)
    assert.matches("1 of its 3 bytes are missing", message)
    assert.equal("", writer:poison())
    writer:close()
  end)

  it("ends the archive when it is abandoned, even when nothing is missing", function()
    for size = 0, 3 do
      local body, writer, out = begin(size)
      body:write(("x"):rep(size))
      body:close()
      local _, message, code = writer:finish()
      assert.equal("incomplete", code)
      assert.matches("'f' was abandoned", message)
      assert.equal("incomplete", select(3, writer:entry { name = "g", mode = 0, size = 0 }))
      writer:close()
      assert.is_true(#out:bytes() <= 512 + size)
    end
  end)

  it("ends the archive when it is collected", function()
    local function writer_alone()
      return (select(2, begin(1)))
    end
    local writer = writer_alone()
    collectgarbage()
    collectgarbage()
    assert.equal("incomplete", select(3, writer:finish()))
    writer:close()
  end)

  it("is filled by a flow", function()
    work.with_loop({}, function(loop)
      local data = work.noise(4097):rep(800)
      local source, sink = core.pipe()
      local writer = core.tar_writer(sink)
      local body = writer:entry { name = "f", mode = 416, size = #data }
      local fill = loop:flow { source = core.bytes(data), sink = body }
      local empty = core.collect(8 * MIB)
      local drain = loop:flow { source = source, sink = empty }
      assert.equal(#data, await(loop, fill, "result").size)
      fill:close()
      assert.is_true(await(loop, writer, "finish"))
      assert.is_true(await(loop, writer, "finish"))
      writer:close()
      assert(await(loop, drain, "result"))
      drain:close()
      work.assert_same_bytes(data, entries_of(empty:bytes())[1].data)
    end)
  end)
end)

describe("the tar writer's handles", function()
  it("raise on misuse", function()
    assert.has_error(function() core.tar_writer() end)
    assert.has_error(function() core.tar_writer(core.null(), { spare = "x" }) end)
    local writer = core.tar_writer(core.null())
    for _, wrong in ipairs {
      {}, { name = "f" }, { name = "f", mode = 0 }, { mode = 0, size = 0 },
      { name = 5, mode = 0, size = 0 }, { name = "f", mode = "0", size = 0 },
      { name = "f", mode = 0, size = -1 }, { name = "f", mode = 0, size = 0.5 },
      { name = "f", mode = 0, size = "0" }, { name = "f", mode = 0, size = 2 ^ 54 },
      { name = "f", mode = 0, size = 0, mtime = 0.5 }, { name = "f", mode = 0, size = 0, uid = 0 },
      { name = "f", mode = 0, size = 0, pax = "x" }, { name = "f", mode = 0, size = 0, pax = { 1 } },
      { name = "f", mode = 0, size = 0, pax = { { "k" } } },
      { name = "f", mode = 0, size = 0, pax = { { "k", 1 } } },
    } do
      assert.has_error(function() writer:entry(wrong) end)
    end
    local body = writer:entry { name = "f", mode = 0, size = 0 }
    assert.error_matches(function() writer:entry { name = "g", mode = 0, size = 0 } end,
                         "was not finished")
    assert.error_matches(function() writer:finish() end, "was not finished")
    assert.is_true(body:finish())
    assert.is_true(writer:finish())
    assert.equal("invalid", select(3, writer:entry { name = "g", mode = 0, size = 0 }))
    writer:close()
    assert.error_matches(function() writer:finish() end, "closed")
  end)

  it("keep others from the sink, and give it back", function()
    local out = core.collect(MIB)
    local writer = core.tar_writer(out)
    assert.error_matches(function() out:write("x") end, "in use")
    writer:close()
    assert.equal(1, out:write("x"))
    writer = core.tar_writer(out)
    writer:poison()
    assert.equal(1, out:write("x"))
    writer:close()
  end)
end)

describe("the poison", function()
  local function is_spoiled(bytes, pad)
    assert.equal(pad + 512, #bytes)
    assert.equal(("\0"):rep(pad) .. ("\1"):rep(512), bytes)
  end

  --- A writer after `steps`, and what it has written, poison and all.
  local function poisoned(steps)
    local out = core.collect(MIB)
    local writer = core.tar_writer(out)
    steps(writer)
    local poison = writer:poison()
    assert.equal(poison, writer:poison())
    local written = out:bytes()
    out:write(poison)
    writer:close()
    return poison, written .. poison
  end

  local function fails(archive, code)
    assert.equal(code, tar.failure(archive))
  end

  it("is a block that cannot be a header, between entries", function()
    local poison, archive = poisoned(function() end)
    is_spoiled(poison, 0)
    fails(archive, "invalid")
    poison, archive = poisoned(function(w)
      local body = w:entry { name = "f", mode = 0, size = 5 }
      body:write("12345")
      body:finish()
    end)
    is_spoiled(poison, 0)
    fails(archive, "invalid")
    poison = poisoned(function(w) -- its header was never sent
      w:entry { name = "f", mode = 0, size = 5 }
    end)
    is_spoiled(poison, 0)
  end)

  it("is padding and such a block, after the last byte of an entry", function()
    local poison, archive = poisoned(function(w)
      w:entry({ name = "f", mode = 0, size = 5 }):write("12345")
    end)
    is_spoiled(poison, 507)
    fails(archive, "invalid")
    poison = poisoned(function(w)
      w:entry({ name = "f", mode = 0, size = 512 }):write(("x"):rep(512))
    end)
    is_spoiled(poison, 0)
  end)

  it("is nothing inside an entry", function()
    local poison, archive = poisoned(function(w)
      w:entry({ name = "f", mode = 0, size = 5 }):write("1234")
    end)
    assert.equal("", poison)
    fails(archive, "truncated")
    local body
    poison, archive = poisoned(function(w) -- all of the header, nothing of the data
      body = w:entry { name = "f", mode = 0, size = 5 }
      assert.equal("size_mismatch", select(3, body:finish()))
    end)
    assert.equal("", poison)
    fails(archive, "truncated")
  end)

  it("is nothing inside records that were sent in part", function()
    local source, sink = core.pipe() -- holds less than these records
    local writer = core.tar_writer(sink)
    local body = writer:entry { name = "f", mode = 0, size = 0, pax = { { "k", ("v"):rep(MIB / 2) } } }
    assert.equal("again", select(3, body:finish()))
    assert.equal("", writer:poison())
    assert.equal("incomplete", select(3, body:finish()))
    sink:finish()
    local reader = core.tar_reader(source)
    assert.equal("truncated", select(3, reader:next()))
    reader:close()
    writer:close()
  end)

  it("comes too late after the end", function()
    local writer = core.tar_writer(core.null())
    assert.is_true(writer:finish())
    local _, message, code = writer:poison()
    assert.equal("finished", code)
    assert.matches("too late", message)
    writer:close()
  end)

  it("can be sent while a flow still holds the entry", function()
    work.with_loop({}, function(loop)
      local source, sink = core.pipe()
      local feed, tap = core.pipe()
      local writer = core.tar_writer(sink)
      local flow = loop:flow { source = feed, sink = writer:entry { name = "f", mode = 0, size = 9 } }
      tap:write("123")
      loop:step()
      loop:step()
      assert.equal("", writer:poison())
      flow:close()
      assert.is_true(sink:finish())
      writer:close()
      local reader = core.tar_reader(source)
      assert.equal("f", reader:next().name)
      assert.equal("truncated", select(3, reader:skip()))
      reader:close()
      tap:close()
    end)
  end)
end)
