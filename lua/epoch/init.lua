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
  config = "epoch.config",
  copy = "epoch.copy",
  core = "epoch.core",
  errors = "epoch.errors",
  fsck = "epoch.fsck",
  gc = "epoch.gc",
  home = "epoch.home",
  inspect = "epoch.inspect",
  json = "epoch.json",
  layout = "epoch.layout",
  locate = "epoch.locate",
  manifest = "epoch.manifest",
  media = "epoch.media",
  migrate = "epoch.migrate",
  objectstore = "epoch.objectstore",
  ports = "epoch.ports",
  puller = "epoch.puller",
  reference = "epoch.reference",
  registry = "epoch.registry",
  snapshot = "epoch.snapshot",
  task = "epoch.task",
  version = "epoch.version",
}

-- Functions that go by a name of their own.
local FUNCTIONS = {
  configure = "epoch.config",
}

return setmetatable({}, {
  __index = function(self, name)
    local module, home = PUBLIC[name], FUNCTIONS[name]
    if not module and not home then
      return nil
    end
    local value = home and require(home)[name] or require(module)
    rawset(self, name, value)
    return value
  end,
})
