local core = require "epoch.core"
local work = require "spec.support.work"

local Z, X = ("\0"):rep(8), ("x"):rep(8)

-- What is left of `bytes`, written in pieces of `step`, and where it stood: "offset+length …".
local function dense(bytes, step, options)
  local out = core.collect(#bytes)
  local sink = core.dense(out, options or { block = 8 })
  local at = 1
  while at <= #bytes do
    at = at + assert(sink:write(bytes:sub(at, at + step - 1)))
  end
  assert(sink:finish())
  local extents, size = sink:extents()
  assert.equal(#bytes, size)
  local where = {}
  for i, one in ipairs(extents) do
    where[i] = ("%d+%d"):format(one.offset, one.length)
  end
  sink:close()
  local left = out:bytes()
  out:close()
  return left, table.concat(where, " ")
end

-- The file again.
local function expand(left, where, size)
  local out, at, from = {}, 0, 1
  for offset, length in where:gmatch("(%d+)%+(%d+)") do
    out[#out + 1] = ("\0"):rep(offset - at) .. left:sub(from, from + length - 1)
    at, from = offset + length, from + length
  end
  return table.concat(out) .. ("\0"):rep(size - at)
end

describe("core.dense", function()
  it("leaves out the blocks of zeros, however the bytes come", function()
    for _, case in ipairs {
      { "", "" },
      { Z, "" },
      { Z .. Z .. "\0\0\0", "" },
      { X, "0+8" },
      { X .. Z .. X, "0+8 16+8" },
      { Z .. X .. X .. Z, "8+16" },
      { Z .. "\0\0\0\0\0\0\0x" .. Z .. X, "8+8 24+8" }, -- blocks are whole
      { "x\0\0\0\0\0\0\0" .. Z .. "\0\0x", "0+8 16+3" },
      { "xxxx" .. Z .. "xxxx", "0+16" }, -- zeros, and no block of them
      { X .. "\0\0", "0+8" },
    } do
      for step = 1, #case[1] + 1 do
        local left, where = dense(case[1], step)
        assert.equal(case[2], where)
        assert.equal(case[1], expand(left, where, #case[1]))
      end
    end
  end)

  it("fills small holes where there would be too many pieces, and leaves out the large ones", function()
    for _, case in ipairs {
      { X .. Z .. X .. Z .. Z .. X .. Z, 1, "0+48" },
      { Z .. Z .. X .. Z:rep(9) .. X .. Z, 1, "16+88" },
      { X .. Z .. X .. Z:rep(3) .. X .. Z:rep(4) .. X .. Z, 2, "0+56 88+8" },
      { X .. Z:rep(4) .. X .. Z:rep(400) .. X, 2, "0+8 40+3216" },
      { (X .. Z):rep(8) .. Z:rep(256) .. X .. Z, 16, "0+8 16+8 32+8 48+8 64+8 80+8 96+8 112+8 2176+8" },
      { (X .. Z):rep(30) .. Z:rep(256) .. X .. Z:rep(300), 8, "0+8 16+8 32+8 48+424 2528+8" },
    } do
      local bytes = case[1]
      for step = 1, #bytes, #bytes > 300 and 101 or 1 do
        local left, where = dense(bytes, step, { block = 8, pieces = case[2] })
        assert.equal(case[3], where)
        assert.equal(bytes, expand(left, where, #bytes))
      end
    end
  end)

  it("never leaves more pieces than it may", function()
    local parts = {}
    for i = 1, 400 do
      parts[i] = X .. Z:rep(1 + i * i % 37 * (i % 5 == 0 and 5 or 1))
    end
    local bytes = table.concat(parts)
    for _, pieces in ipairs { 1, 2, 3, 7, 64, 399, 400 } do
      local left, where = dense(bytes, 256, { block = 8, pieces = pieces })
      local _, n = where:gsub("%S+", "")
      assert.is_true(n <= pieces)
      assert.is_true(n > pieces / 2)
      work.assert_same_bytes(bytes, expand(left, where, #bytes))
    end
  end)

  it("is a sink of flows, on their threads too, and waits for a slow reader", function()
    local data, hole = work.noise(300000), ("\0"):rep(1048576)
    local bytes = data .. hole .. data
    for _, threads in ipairs { 0, 2 } do
      work.with_loop({ threads = threads }, function(loop)
        local spool = assert(core.spool())
        local sink = core.dense(spool:sink())
        assert(work.flow(loop, { source = core.bytes(bytes), sink = sink, digest = core.digest(bytes) }))
        local extents, size = sink:extents()
        assert.equal(#bytes, size)
        assert.equal(2, #extents)
        assert.equal(spool:size(), extents[1].length + extents[2].length)
        assert.is_true(spool:size() <= #data * 2 + 8192)
        sink:close()
        spool:close()

        local source, pipe = core.pipe()
        sink = core.dense(pipe)
        local feed = assert(loop:flow { source = core.bytes(bytes), sink = sink })
        local got = assert(work.flow(loop, { source = source, hash = true }))
        assert.is_true(got.size <= #data * 2 + 8192)
        assert(feed:result())
        feed:close()
        sink:close()

        source, pipe = core.pipe() -- a hole that is filled while the reader is slow
        sink = core.dense(pipe, { pieces = 1 })
        feed = assert(loop:flow { source = core.bytes(bytes), sink = sink })
        assert(work.flow(loop, { source = source, digest = core.digest(bytes), size = #bytes }))
        assert(feed:result())
        feed:close()
        sink:close()
      end)
    end
  end)

  it("raises on misuse", function()
    for _, options in ipairs { { block = 0 }, { block = 2 ^ 30 }, { pieces = 0 }, { pieces = 2 ^ 20 }, { x = 1 } } do
      assert.has_error(function() core.dense(core.null(), options) end)
    end
    assert.has_error(function() core.dense() end)
    assert.has_error(function() core.null():extents() end)
  end)
end)
