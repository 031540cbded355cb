--- The real cocoon, where there is one: the table that the stand-in is held to holds for it,
-- and each takes what the other exports.
local behaviour = require "spec.support.cocoon_behaviour"
local core = require "epoch.core"
local golden = require "spec.support.golden"
local standin = require "spec.support.standin"

-- The smallest disk that its converter takes: a qcow2 header with one empty table.
local function qcow2()
  local function be(n, bytes)
    local out = {}
    for i = bytes, 1, -1 do
      out[i] = string.char(n % 256)
      n = math.floor(n / 256)
    end
    return table.concat(out)
  end
  local header = "QFI\251" .. be(3, 4) .. be(0, 8) .. be(0, 4) .. be(16, 4) .. be(1048576, 8) .. be(0, 4)
    .. be(1, 4) .. be(196608, 8) .. be(65536, 8) .. be(1, 4) .. be(0, 4) .. be(0, 8)
    .. be(0, 8) .. be(0, 8) .. be(0, 8) .. be(4, 4) .. be(104, 4)
  local function cluster(bytes)
    return bytes .. ("\0"):rep(65536 - #bytes)
  end
  return cluster(header) .. cluster(be(131072, 8)) .. cluster(("\0\1"):rep(4)) .. cluster("")
end

describe("the real cocoon", function()
  local real = standin.real()
  if not real then
    pending("cocoon is not in PATH and EPOCH_COCOON_BINARY is not set")
    return
  end
  local images = { ["the whole"] = qcow2() }
  if core.which("qemu-img") then
    images["the first 4 bytes"] = qcow2():sub(1, 4)
  else
    pending("a cut image: cocoon looks at it with qemu-img, which is not in PATH")
  end
  behaviour.describe(real, images)

  it("takes what the stand-in exports, and the other way round", function()
    for _, pair in ipairs { { standin.program, real }, { real, standin.program } } do
      behaviour.with_root(function(loop, root)
        local import = { "snapshot", "import", "--name=x" }
        assert.equal(0, standin.run(loop, root .. "/a", import, behaviour.whole, { program = pair[1] }).code)
        local bytes, result = standin.output(loop, root .. "/a", { "snapshot", "export", "-o", "-", "--", "x" },
          { program = pair[1] })
        assert.equal(0, result.code, result.stderr)
        result = standin.run(loop, root .. "/b", import, bytes, { program = pair[2] })
        assert.equal(0, result.code, result.stderr)
        standin.assert_same_files(standin.files(root .. "/a", "x"), standin.files(root .. "/b", "x"))
        assert.equal(256, standin.snapshots(root .. "/b").x.queue_size)
      end)
    end
  end)

  it("and the stand-in read the same of a big export", function()
    local bytes = golden.read("v2-big/export.tar")
    behaviour.with_root(function(loop, root)
      for name, program in pairs { a = real, b = standin.program } do
        local result = standin.run(loop, root .. "/" .. name, { "snapshot", "import", "--name=x" }, bytes,
          { program = program })
        assert.equal(0, result.code, result.stderr)
      end
      local files = standin.files(root .. "/a", "x")
      assert.is_not_nil(next(files))
      standin.assert_same_files(files, standin.files(root .. "/b", "x"))
    end)
  end)
end)
