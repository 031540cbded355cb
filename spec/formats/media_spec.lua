local media = require "epoch.media"

describe("media types", function()
  it("of a snapshot's files go by their names", function()
    local ours = "application/vnd.cocoonstack."
    for name, expected in pairs {
      ["config.json"] = ours .. "vm.config+json", ["state.json"] = ours .. "vm.state+json",
      ["memory-ranges"] = ours .. "vm.memory", ["cidata.img"] = ours .. "vm.cidata",
      ["overlay.qcow2"] = ours .. "disk.qcow2", ["x.qcow2"] = ours .. "disk.qcow2",
      ["cow.raw"] = ours .. "disk.raw", ["data-a.raw"] = ours .. "disk.raw",
      ["config.json.bak"] = "application/octet-stream", ["raw"] = "application/octet-stream",
      ["xqcow2"] = "application/octet-stream", ["memory"] = "application/octet-stream",
    } do
      assert.equal(expected, media.for_file(name))
    end
  end)

  it("of disks are those, their parts and the older ones", function()
    local n = 0
    for _, family in ipairs { "disk.", "windows.disk." } do
      for _, format in ipairs { "qcow2", "raw", "qcow2.part", "raw.part" } do
        n = n + 1
        assert.is_true(media.is_disk("application/vnd.cocoonstack." .. family .. format))
      end
    end
    assert.equal(8, n)
    for _, other in ipairs { "text/plain", "application/vnd.cocoonstack.vm.memory",
                             "application/vnd.cocoonstack.disk.qcow2.part.part", "" } do
      assert.is_false(media.is_disk(other))
    end
  end)
end)
