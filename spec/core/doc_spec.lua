local core = require "epoch.core"
local source = require "spec.support.source"
local work = require "spec.support.work"

-- docs/core.d.lua says what the core offers; neither may have what the other has not.
describe("core.d.lua", function()
  local text = source.read("docs/core.d.lua")

  local function documented(owner, separator)
    local names = {}
    for name in text:gmatch("\nfunction " .. owner .. separator .. "([%w_]+)") do
      names[name] = true
    end
    return names
  end

  local function same(names, object)
    local missing = {}
    for name in pairs(names) do
      if type(object[name]) ~= "function" then
        missing[#missing + 1] = name .. " is documented and not there"
      end
    end
    for name, value in pairs(object) do
      if type(value) == "function" and not names[name] then
        missing[#missing + 1] = name .. " is there and not documented"
      end
    end
    assert.same({}, missing)
  end

  it("has every function", function()
    same(documented("core", "%."), core)
  end)

  it("has every method", function()
    work.with_loop(nil, function(loop)
      local out = assert(core.tar_writer(core.null()))
      local child = assert(loop:spawn { argv = { "/bin/true" } })
      local request = assert(loop:request { url = "http://127.0.0.1:9/" })
      for name, object in pairs {
        hasher = core.hasher(), source = core.bytes(""), sink = core.null(), spool = core.spool(),
        relay = core.relay(core.bytes("")),
        loop = loop, timer = loop:timer(1), flow = loop:flow { source = core.bytes("") },
        tar_reader = core.tar_reader(core.bytes("")), tar_writer = out, process = child,
        request = request,
      } do
        -- the metatable is closed to scripts, not to the debug library
        same(documented(name, ":"), debug.getmetatable(object).__index)
        if object ~= loop then
          object:close()
        end
      end
      work.in_directory(function(dir)
        local lock = assert(core.lock(dir .. "/lock"))
        same(documented("lock", ":"), debug.getmetatable(lock).__index)
        lock:close()
      end)
    end)
  end)
end)
