--- epoch: virtual machine snapshots and images in any OCI registry.
--
--     local epoch = require "epoch"
--
-- Only the public names; each module is loaded when it is first used.
local PUBLIC = {
  await = "epoch.await",
  client = "epoch.client",
  cloudimg = "epoch.cloudimg",
  cocoon = "epoch.cocoon",
  core = "epoch.core",
  errors = "epoch.errors",
  home = "epoch.home",
  json = "epoch.json",
  layout = "epoch.layout",
  manifest = "epoch.manifest",
  media = "epoch.media",
  ports = "epoch.ports",
  reference = "epoch.reference",
  registry = "epoch.registry",
  snapshot = "epoch.snapshot",
  task = "epoch.task",
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
