--- A snapshot that cocoon has made, through a store of generation 1 into the directories of another
--- cocoon: the real one where it is, else the stand-in.
local core = require "epoch.core"
local golden = require "spec.support.golden"
local homes = require "epoch.home"
local json = require "epoch.json"
local paths = require "epoch.cocoon.paths"
local registry = require "epoch.registry"
local standin = require "spec.support.standin"
local support = require "spec.support.store"

local program = { program = standin.real() or standin.program }

describe("cocoon", function()
  it("takes what was pulled into its directories for its own", function()
    support.with_task(function(task, dir)
      local mine, other = dir .. "/mine", dir .. "/other"
      for _, root in ipairs { mine, other } do
        assert(core.mkdir(root))
      end
      local words = { "snapshot", "import", "--name=demo" }
      local result = standin.run(task.loop, mine, words, golden.read("v1-small/export.tar"), program)
      assert.equal(0, result.code, result.stderr)

      local home = assert(homes.open(task, "file://" .. dir .. "/home"))
      local m = assert(registry.push(task, home, paths.new { root_dir = mine, task = task }, { name = "demo" }))
      assert(registry.pull(task, home, paths.new { root_dir = other, task = task }, { name = "demo" }))
      home:close()

      local files = standin.files(other, "demo")
      for name, file in pairs(standin.files(mine, "demo")) do
        assert.equal(core.digest(file.bytes), core.digest(files[name].bytes), name)
      end
      local bytes
      bytes, result = standin.output(task.loop, other, { "snapshot", "export", "-o", "-", "--", "demo" }, program)
      assert.equal(0, result.code, result.stderr)
      local reader = assert(core.tar_reader(core.bytes(bytes), { sparse = "COCOON.sparse" }))
      assert.equal("snapshot.json", assert(task:await(reader, "next")).name)
      local said = json.decode(support.bytes(task, reader:body())).config
      reader:close()
      assert.same({ m.snapshot_id, "demo", m.cpu, m.memory }, { said.id, said.name, said.cpu, said.memory })
    end)
  end)
end)
