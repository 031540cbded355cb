--- The puller in nginx workers: they ask at once for the same, and none has time for what goes on
-- in the background.
local await = require "epoch.await"
local children = require "spec.support.children"
local generation1 = require "spec.support.generation1"
local http = require "spec.support.http"
local paths = require "epoch.cocoon.paths"
local server = require "spec.support.server"
local work = require "spec.support.work"

local SETUP = ([[
  package.path = "%s/lua/?.lua;%s/lua/?/init.lua;" .. package.path
  package.cpath = "%s/build/lua/5.1/?.so;" .. package.cpath
  puller = require("epoch.puller").new_from_config({ home = "file://${dir}/home" }, "${dir}/cocoon")
]]):format(work.here(), work.here(), work.here())

-- The worker's own number, and what it got.
local ENSURE = [[
  local ok, err = puller:ensure_snapshot_tag("g-small", "v1")
  ngx.print(ngx.worker.id(), " ", tostring(ok or err))
]]

local PREWARM = [[
  local warming, err = puller:prewarm { "g-small:v1" }
  ngx.print(warming and "started" or tostring(err))
]]

describe("the puller in nginx", function()
  if (os.getenv("EPOCH_BUILD") or "build") ~= "build" then
    pending("needs the plain build: Debian's nginx cannot load an instrumented library")
    return
  end

  local web, root

  before_each(function()
    web = server.start {
      workers = 4, http = "init_by_lua_block {" .. SETUP .. "}",
      locations = { ["= /ensure"] = server.lua(ENSURE), ["= /prewarm"] = server.lua(PREWARM) },
    }
    root = web.dir .. "/cocoon"
    generation1.store(web.dir .. "/home")
  end)

  after_each(function()
    web:stop()
  end)

  it("answers several workers that want the same at once", function()
    local workers = {}
    work.with_loop(nil, function(loop)
      local requests = {}
      for i = 1, 24 do -- at once, so each has a connection of its own, for any worker
        requests[i] = assert(loop:request { url = web.url .. "/ensure" })
      end
      for _, request in ipairs(requests) do
        assert(await(loop, request, "response"))
        local worker, answer = assert(work.read_all(loop, request:body())):match("^(%d+) (.*)$")
        assert.equal("true", answer)
        workers[worker] = true
        request:close()
      end
    end)
    assert.is_not_nil(next(workers, next(workers)), "only one worker was asked")
    assert.is_true(paths.new { root_dir = root }:snapshot_exists("g-small"))
  end)

  it("goes on in the background while the worker waits for others", function()
    work.with_loop(nil, function(loop)
      local response = assert(http.fetch(loop, { url = web.url .. "/prewarm" }))
      assert.equal("started", response.body)
    end)
    assert.is_true(children.eventually(function()
      return paths.new { root_dir = root }:snapshot_exists("g-small")
    end, 10))
    assert.is_nil(web:error_log():find("%[alert%]"))
  end)
end)
