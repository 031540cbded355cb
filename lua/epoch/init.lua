--- epoch: virtual machine snapshots and images in any OCI registry.
--
--     local epoch = require "epoch"
--
-- Only the public names; each module is loaded when it is first used.
local PUBLIC = {
  await = "epoch.await",
  core = "epoch.core",
  errors = "epoch.errors",
  json = "epoch.json",
  reference = "epoch.reference",
  version = "epoch.version",
}

return setmetatable({}, {
  __index = function(self, name)
    local module = PUBLIC[name]
    if not module then
      return nil
    end
    local value = require(module)
    rawset(self, name, value)
    return value
  end,
})
