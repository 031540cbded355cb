local core = require "epoch.core"
local interpreter = require "spec.support.interpreter"
local work = require "spec.support.work"

describe("a source of bytes", function()
  it("is read to its end, and again", function()
    local s = core.bytes("hello")
    assert.equal(5, s:total())
    assert.equal("hel", s:read(3))
    assert.equal("lo", s:read(3))
    assert.is_false(s:read(3))
    assert.is_false(s:read(3))
    assert.equal("hello", s:rewind():read(10))
  end)

  it("may be empty", function()
    assert.is_false(core.bytes(""):read(1))
  end)

  it("is of no use once it is closed", function()
    local s = core.bytes("x")
    assert.is_true(s:close())
    assert.is_true(s:close())
    assert.error_matches(function() s:read(1) end, "source is closed")
    assert.matches("closed", tostring(s))
  end)
end)

describe("a slice of a source", function()
  it("is a source of its own", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/f", "..0123456789..")
      local small, big = core.spool {}, core.spool { memory = 1, dir = dir }
      assert.equal(12, small:sink():write("..0123456789") and big:sink():write("..0123456789"))
      for _, whole in ipairs {
        core.bytes("0123456789"), core.file(dir .. "/f", { offset = 2, length = 10 }),
        small:source(2), big:source(2),
      } do
        assert.equal("01234", whole:read(5))
        local part = assert(whole:slice(3, 4))
        assert.equal(4, part:total())
        assert.equal("56789", whole:read(9))
        local of_it = assert(part:slice(1, 2))
        whole:close()
        assert.equal("3456", part:read(9))
        assert.is_false(part:read(9))
        assert.equal("345", part:rewind():read(3))
        part:close()
        assert.equal("45", of_it:read(9))
        assert.error_matches(function() whole:slice(0, 1) end, "closed")
        of_it:close()
      end
      assert.is_false(core.bytes("ab"):slice(2, 0):read(1))
      small:close()
      big:close()
    end)
  end)

  it("is refused where there is no such part, or no order but the source's", function()
    for _, range in ipairs { { 3, 0 }, { 2, 1 }, { 0, 3 }, { 2 ^ 53, 2 ^ 53 } } do
      local part, message, code = core.bytes("ab"):slice(range[1], range[2])
      assert.is_nil(part)
      assert.equal("invalid", code)
      assert.matches("no such range", message)
    end
    assert.error_matches(function() core.bytes("ab"):slice(-1, 1) end, "bad argument")
    assert.error_matches(function() core.bytes("ab"):slice(0) end, "bad argument")
    local from, into = core.pipe()
    assert.equal("unsupported", select(3, from:slice(0, 1)))
    from:close()
    into:close()
  end)
end)

describe("a source of a file", function()
  it("gives a range of it", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/f", "0123456789")
      local s = assert(core.file(dir .. "/f", { offset = 2, length = 5 }))
      assert.equal(5, s:total())
      assert.equal("23456", s:read(100))
      assert.is_false(s:read(100))
      assert.equal("2345", s:rewind():read(4))
      assert.equal("789", core.file(dir .. "/f", { offset = 7 }):read(9))
      assert.is_false(core.file(dir .. "/f", { offset = 10 }):read(9))
    end)
  end)

  it("says what is wrong with the path or the range", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/f", "0123456789")
      os.execute("mkfifo '" .. dir .. "/fifo'")
      local function refused(code, ...)
        local s, message, got = core.file(...)
        assert.is_nil(s)
        assert.equal(code, got)
        assert.matches(dir, message, 1, true)
      end
      refused("not_found", dir .. "/none")
      refused("invalid", dir)
      refused("invalid", dir .. "/fifo")
      refused("invalid", dir .. "/f", { offset = 11 })
      refused("invalid", dir .. "/f", { offset = 6, length = 5 })
    end)
  end)

  it("fails when the file has become shorter", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/f", "0123456789")
      local s = assert(core.file(dir .. "/f"))
      work.write_file(dir .. "/f", "0123")
      assert.equal("0123", s:read(100))
      local r, message, code = s:read(100)
      assert.is_nil(r)
      assert.equal("truncated", code)
      assert.matches("became shorter", message)
    end)
  end)

  it("checks its arguments before it opens anything", function()
    for _, bad in ipairs { { offset = -1 }, { offset = 0.5 }, { offset = "1" }, { length = 2 ^ 54 },
                           { offset = 0 / 0 }, { ofset = 1 }, { [1] = 1 } } do
      assert.has_error(function() core.file("/etc/passwd", bad) end)
    end
    assert.has_error(function() core.file("/etc/pas\0swd") end)
    assert.has_error(function() core.file("") end)
  end)
end)

describe("a collector", function()
  it("keeps up to its limit, and no byte more", function()
    local c = core.collect(5)
    assert.equal(2, c:write("ab"))
    assert.equal(0, c:write(""))
    assert.equal(3, c:write("cde"))
    local n, message, code = c:write("f")
    assert.is_nil(n)
    assert.equal("too_large", code)
    assert.matches("more than 5 bytes", message)
    assert.equal("abcde", c:bytes())
  end)

  it("is broken after a failure", function()
    local c = core.collect(1)
    assert.is_nil((c:write("ab")))
    local _, message, code = c:write("a")
    assert.equal("invalid", code)
    assert.matches("failed before", message)
  end)
end)

describe("a pipe", function()
  it("answers again when there is nothing, and when it is full", function()
    local source, sink = core.pipe()
    local r, _, code = source:read(10)
    assert.is_nil(r)
    assert.equal("again", code)
    local written, full = 0, nil
    for _ = 1, 1000 do
      local n, _, why = sink:write(("x"):rep(4096))
      full = why
      if not n then break end
      written = written + n
    end
    code = full
    assert.equal("again", code)
    assert.is_true(sink:finish())
    local got = 0
    while true do
      local s = source:read(65536)
      if not s then break end
      got = got + #s
    end
    assert.equal(written, got)
  end)

  it("that nobody reads any more is a failure, not a signal", function()
    local source, sink = core.pipe()
    source:close()
    local n, message, code = sink:write("x")
    assert.is_nil(n)
    assert.equal("io", code)
    assert.matches("Broken pipe", message)
    sink:close()
  end)
end)

describe("core.create", function()
  it("makes a file that appears when it is finished", function()
    work.in_directory(function(dir)
      local path = dir .. "/f"
      local sink = assert(core.create(path, { mode = tonumber("640", 8) }))
      sink:write("whole")
      assert.is_nil(work.read_file(path))
      assert.equal("0", work.output("ls -A '" .. dir .. "' | wc -l"))
      assert.is_true(sink:finish())
      assert.equal("whole", work.read_file(path))
      assert.equal("640", work.output("stat -c %a '" .. path .. "'"))
      assert.is_true(sink:finish())
      sink:close()
      assert.equal("1", work.output("ls -A '" .. dir .. "' | wc -l"))
    end)
  end)

  it("leaves the old file alone until then, and after an abandoned write", function()
    work.in_directory(function(dir)
      local path = dir .. "/f"
      work.write_file(path, "old")
      local sink = assert(core.create(path))
      sink:write("new")
      sink:close()
      assert.equal("old", work.read_file(path))
      sink = assert(core.create(path))
      sink:write("new")
      sink:finish()
      assert.equal("new", work.read_file(path))
    end)
  end)

  it("without replacing fails when the name is taken", function()
    work.in_directory(function(dir)
      local path = dir .. "/f"
      local sink = assert(core.create(path, { replace = false }))
      work.write_file(path, "other")
      sink:write("mine")
      local ok, message, code = sink:finish()
      assert.is_nil(ok)
      assert.equal("exists", code)
      assert.matches(path, message, 1, true)
      assert.equal("other", work.read_file(path))
    end)
  end)

  it("does not follow a link that stands in its place", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/victim", "old")
      os.execute(("ln -s victim '%s/f'"):format(dir))
      local sink = assert(core.create(dir .. "/f"))
      sink:write("new")
      assert.is_true(sink:finish())
      assert.equal("old", work.read_file(dir .. "/victim"))
      assert.equal("new", work.read_file(dir .. "/f"))
    end)
  end)

  it("replaces nothing but files", function()
    work.in_directory(function(dir)
      os.execute(("mkfifo '%s/fifo'; mkdir '%s/dir'; ln -s fifo '%s/link'"):format(dir, dir, dir))
      for _, name in ipairs { "fifo", "dir", "link" } do
        local sink, message, code = core.create(dir .. "/" .. name)
        assert.is_nil(sink)
        assert.equal("exists", code)
        assert.matches(name .. " is there and is no regular file$", message)
      end
    end)
  end)

  it("leaves the mode to the umask, unless it is told", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/child.lua", interpreter.paths() .. [[
        local create = require("epoch.core").create
        create(arg[1] .. "/a"):finish()
        create(arg[1] .. "/b", { mode = tonumber("644", 8) }):finish()
      ]])
      assert.equal("640 644 ", work.output(("umask 027; env %s %s %s/child.lua %s && stat -c %%a %s/? | tr '\\n' ' '")
        :format(interpreter.preloaded(), interpreter.path(), dir, dir, dir)))
    end)
  end)

  it("says which directory is missing", function()
    local sink, message, code = core.create("/nonexistent/dir/f")
    assert.is_nil(sink)
    assert.equal("not_found", code)
    assert.matches("/nonexistent/dir/", message, 1, true)
    assert.equal("invalid", select(3, core.create("/tmp/")))
  end)

  it("tells of a full disk", function()
    -- /dev/full is no directory to make files in, so a tiny limit on file sizes stands in
    work.in_directory(function(dir)
      local script = ([[
        package.cpath = %q
        local core = require "epoch.core"
        local sink = core.create(%q)
        local n, message, code
        for _ = 1, 100 do
          n, message, code = sink:write(("x"):rep(4096))
          if not n then break end
        end
        io.write(tostring(code))]]):format(package.cpath, dir .. "/f")
      work.write_file(dir .. "/s.lua", script)
      local lua = jit and "luajit" or "lua5.4"
      assert.equal("no_space", work.output(
        ("sh -c \"trap '' XFSZ; ulimit -f 8; exec %s '%s/s.lua'\""):format(lua, dir)))
      assert.is_nil(work.read_file(dir .. "/f"))
    end)
  end)
end)

describe("a tap", function()
  it("counts, hashes and passes on", function()
    local kept = core.collect(100)
    local tap = core.tap(kept, { hash = { "sha256", "sha512" } })
    tap:write("ab")
    tap:write("c")
    assert.equal(3, tap:seen())
    assert.equal(core.digest("abc"), tap:digest())
    assert.equal(core.digest("abc", "sha512"), tap:digest("sha512"))
    assert.error_matches(function() kept:bytes() end, "this sink is in use")
    assert.is_true(tap:finish())
    tap:close()
    assert.equal("abc", kept:bytes())
  end)

  it("verifies what was promised before it finishes the next sink", function()
    work.in_directory(function(dir)
      local function ends(bytes, promise)
        local path = dir .. "/f"
        os.remove(path)
        local tap = core.tap(core.create(path), promise)
        local ok, message, code = tap:write(bytes)
        if ok then
          ok, message, code = tap:finish()
        end
        tap:close()
        assert.equal(ok and bytes or nil, work.read_file(path))
        return code, message
      end
      assert.is_nil(ends("abc", { size = 3, digest = core.digest("abc") }))
      assert.equal("size_mismatch", ends("abc", { size = 2 }))
      assert.equal("size_mismatch", ends("abc", { size = 4 }))
      assert.equal("too_large", ends("abc", { limit = 2 }))
      local code, message = ends("abc", { digest = core.digest("abd"), what = "layer x" })
      assert.equal("digest_mismatch", code)
      assert.equal(("layer x has the digest %s, not the promised %s"):format(
                     core.digest("abc"), core.digest("abd")), message)
    end)
  end)
end)

describe("zstd", function()
  local function pack(bytes, options)
    local out = core.collect(10 * 1024 * 1024)
    local z = core.zstd(out, options)
    if #bytes > 0 then
      z:write(bytes)
    end
    assert.is_true(z:finish())
    z:close()
    return out:bytes()
  end

  local function unpack_(packed, options)
    local out = core.collect(10 * 1024 * 1024)
    local z = core.unzstd(out, options)
    for i = 1, #packed, 1000 do
      local n, message, code = z:write(packed:sub(i, i + 999))
      if not n then
        z:close()
        return nil, message, code
      end
    end
    local ok, message, code = z:finish()
    z:close()
    if not ok then
      return nil, message, code
    end
    return out:bytes()
  end

  it("comes back as it was", function()
    for _, bytes in ipairs { "", "x", ("abc"):rep(100000), work.noise(300000) } do
      work.assert_same_bytes(bytes, (unpack_(pack(bytes))))
      work.assert_same_bytes(bytes, (unpack_(pack(bytes, { level = 19 }))))
    end
    assert.is_true(#pack(("abc"):rep(100000)) < 1000)
  end)

  it("is read by the zstd program, and reads what that writes", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/a.zst", pack("from the core"))
      assert.equal("from the core", work.output(("zstd -dcq '%s/a.zst'"):format(dir)))
      os.execute(("printf 'from zstd' | zstd -q -o '%s/b.zst'"):format(dir))
      assert.equal("from zstd", unpack_(work.read_file(dir .. "/b.zst")))
    end)
  end)

  it("tells a cut, a changed and a bombing stream", function()
    local packed = pack(work.noise(5000))
    assert.equal("truncated", select(3, unpack_(packed:sub(1, -5))))
    assert.equal("invalid", select(3, unpack_(packed:sub(1, 2000) .. "!" .. packed:sub(2002))))
    assert.equal("invalid", select(3, unpack_("this is no zstd")))
    assert.equal("too_large", select(3, unpack_(pack(("\0"):rep(1000000)), { limit = 999999 })))
    assert.equal(1000000, #unpack_(pack(("\0"):rep(1000000)), { limit = 1000000 }))
  end)
end)

describe("core.unwrap", function()
  local text = work.noise(700000)

  local function through(command, bytes)
    local out, message, code
    work.in_directory(function(dir)
      work.write_file(dir .. "/in", bytes or text)
      os.execute(("(%s) < '%s/in' > '%s/out'"):format(command, dir, dir))
      work.with_loop(nil, function(loop)
        out, message, code = work.read_all(loop, core.unwrap(core.file(dir .. "/out")))
      end)
    end)
    return out, message, code
  end

  for _, command in ipairs { "gzip -c", "zstd -qc", "xz -0 -c", "cat" } do
    it("takes off what " .. command .. " put on", function()
      work.assert_same_bytes(text, (through(command)))
      assert.equal("", through(command, ""))
      assert.equal("abc", through(command, "abc"))
    end)

    if command ~= "cat" then
      it("fails when what " .. command .. " wrote is cut", function()
        local out, message, code = through(command .. " | head -c 300000")
        assert.is_true(out == nil)
        assert.is_string(message)
        assert.equal("invalid", code)
      end)
    end
  end

  it("works on a pipe that fills slowly", function()
    work.with_loop(nil, function(loop)
      local source, sink = core.pipe()
      local packed
      work.in_directory(function(dir)
        work.write_file(dir .. "/in", text)
        os.execute(("gzip -c < '%s/in' > '%s/out'"):format(dir, dir))
        packed = work.read_file(dir .. "/out")
      end)
      local feed = loop:flow { source = core.bytes(packed), sink = sink }
      work.assert_same_bytes(text, (work.read_all(loop, core.unwrap(source))))
      feed:close()
    end)
  end)

  it("can be left half-way", function()
    work.in_directory(function(dir)
      work.write_file(dir .. "/in", text)
      os.execute(("gzip -c < '%s/in' > '%s/out'"):format(dir, dir))
      local source = core.unwrap(core.file(dir .. "/out"))
      local bytes, _, code = source:read(10) -- the thread may or may not be quicker
      assert.is_true(code == "again" or bytes ~= nil)
      source:close()
    end)
  end)
end)
