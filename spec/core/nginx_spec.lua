--- The core inside nginx: in its workers, in its worker threads, beside its own reaping of
--- children.

local core = require "epoch.core"
local server = require "spec.support.server"
local http = require "spec.support.http"
local work = require "spec.support.work"

-- What a gateway would put into init_by_lua; build directories are found as epoch.lua does.
local PATHS = ([[
  package.path = "%s/lua/?.lua;" .. package.path
  package.cpath = "%s/build/lua/5.1/?.so;" .. package.cpath
]]):format(work.here(), work.here())

local JOB = PATHS .. [[
  local core = require "epoch.core"
  local await = require "epoch.await"
  local M = {}

  function M.hash(path)
    local loop = core.loop()
    local r, message = await.flow(loop, { source = core.file(path), hash = true })
    loop:close()
    return r and r.digest or message
  end

  function M.get(url)
    local loop = core.loop()
    local request = assert(loop:request { url = url })
    local response = assert(await(loop, request, "response"))
    local r, message = await.flow(loop, { source = request:body(), hash = true })
    loop:close()
    return response.status .. " " .. (r and r.digest or message)
  end

  -- nginx reaps every child of its workers itself
  function M.spawn(code)
    local loop = core.loop()
    local child = assert(loop:spawn { argv = { "/bin/sh", "-c", "cat; exit " .. code },
                                      stdin = "pipe", stdout = "pipe", stderr = "null" })
    local input = child:stdin()
    assert(input:write("through a child"))
    assert(await(loop, input, "finish"))
    local r = assert(await.flow(loop, { source = child:stdout(), hash = true }))
    local exit, message = await(loop, child, "wait")
    loop:close()
    return (exit and exit.code or message) .. " " .. r.digest
  end

  function M.live()
    collectgarbage()
    collectgarbage()
    local n = 0
    for _, count in pairs(core.live()) do
      n = n + count
    end
    return tostring(n)
  end

  return M
]]

describe("the core in nginx", function()
  if (os.getenv("EPOCH_BUILD") or "build") ~= "build" then
    pending("needs the plain build: Debian's nginx cannot load an instrumented library")
    return
  end

  local web

  local function in_handler(call)
    return server.lua(PATHS .. 'package.path = "${dir}/?.lua;" .. package.path\n'
                      .. 'ngx.print(require("job").' .. call .. ")")
  end

  local function in_thread(call)
    return server.lua('local ok, r = ngx.run_worker_thread("epoch", "job", ' .. call .. ")\n"
                      .. "ngx.print(tostring(r))")
  end

  setup(function()
    web = server.start {
      files = { ["big.bin"] = 8 * 1024 * 1024 },
      main = "thread_pool epoch threads=4;",
      http = 'lua_package_path "${dir}/?.lua;;";',
      locations = {
        ["= /hash"] = in_handler('hash("${dir}/www/big.bin")'),
        ["= /spawn"] = in_handler("spawn(7)"),
        ["= /live"] = in_handler("live()"),
        ["= /thread/hash"] = in_thread('"hash", "${dir}/www/big.bin"'),
        ["= /thread/get"] = in_thread('"get", "http://127.0.0.1:" .. ngx.var.server_port .. "/big.bin"'),
        ["= /thread/spawn"] = in_thread('"spawn", 3'),
        ["= /thread/live"] = in_thread('"live"'),
      },
    }
    work.write_file(web.dir .. "/job.lua", JOB)
  end)

  teardown(function()
    web:stop()
  end)

  local function get(path)
    local body
    work.with_loop(nil, function(loop)
      local response = assert(http.fetch(loop, { url = web.url .. path }))
      body = response.body
    end)
    return body
  end

  it("hashes in a handler and in a worker thread", function()
    local want = web:digest("big.bin")
    assert.equal(want, get("/hash"))
    assert.equal(want, get("/thread/hash"))
  end)

  it("downloads in a worker thread from the same nginx", function()
    assert.equal("200 " .. web:digest("big.bin"), get("/thread/get"))
  end)

  it("learns how a child ended though nginx reaps it", function()
    for _ = 1, 5 do
      assert.equal("7 " .. core.digest("through a child"), get("/spawn"))
      assert.equal("3 " .. core.digest("through a child"), get("/thread/spawn"))
    end
  end)

  it("serves many requests at once", function()
    local want = web:digest("big.bin")
    work.with_loop(nil, function(loop)
      local requests = {}
      for i = 1, 6 do
        requests[i] = assert(loop:request { url = web.url .. "/thread/hash" })
      end
      for i = 1, 6 do
        local sink = core.collect(1000)
        assert(work.flow(loop, { source = requests[i]:body(), sink = sink }))
        assert.equal(want, sink:bytes())
        requests[i]:close()
      end
    end)
  end)

  it("leaves nothing open, and nothing in the error log", function()
    assert.equal("0", get("/live"))
    assert.equal("0", get("/thread/live"))
    for line in web:error_log():gmatch("[^\n]+") do
      assert.is_nil(line:match("%[error%]") or line:match("%[alert%]") or line:match("%[emerg%]"), line)
    end
  end)
end)
