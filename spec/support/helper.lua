--- Runs once before any spec: where modules are found, what holds for every test.
local env = os.getenv

require("spec.support.paths")

-- An instrumented core instead of the one in build/: `make asan` and its like.
local build = env("EPOCH_BUILD")
if build and build ~= "" and build ~= "build" then
  local abi = _VERSION:match("[%d.]+$")
  package.cpath = ("%s/lua/%s/?.so;%s"):format(build, abi, package.cpath)
end

require("spec.support.leaks").install()
require("spec.support.release").install()

if env("EPOCH_HOSTILE_GC") then
  dofile("spec/support/hostile_gc.lua")
end
