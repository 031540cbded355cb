--- What the programs of generation 1 left behind, for specs: cocoon's directories, and the store.

local core = require "epoch.core"
local golden = require "spec.support.golden"
local work = require "spec.support.work"

local M = {}

M.ID = "W2JU6RNPEHO2QGIGBWCR34YDIT"
M.BASE = ("cd"):rep(32) .. ".qcow2"

local function unpack_into(name, dir)
  work.write_file(dir .. ".tar", golden.read("gen1/" .. name .. ".tar"))
  assert(core.mkdir(dir))
  os.execute(("tar -xf '%s.tar' -C '%s'"):format(dir, dir))
end

--- cocoon's root, with the snapshot g-small, in a new directory.
---@param dir string
function M.root(dir)
  unpack_into("cocoon-root", dir)
end

--- The store below its prefix, with g-small:v1, in a new directory.
---@param dir string
function M.store(dir)
  unpack_into("objects", dir)
end

return M
