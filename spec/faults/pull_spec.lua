-- A pull with something wrong at each of its points.
local faults = require "spec.support.faults"

-- Where another host comes in, something to tell it that it must not know.
local function env(steps)
  return steps:find("307", 1, true) and { EPOCH_REGISTRY_TOKEN = "canary" } or nil
end

describe("a pull", function()
  local f

  setup(function()
    f = faults.start()
  end)

  teardown(function()
    f:stop()
  end)

  it("with each blob in turn not as it should be", function()
    local cases = {}
    for i, digest in ipairs(f.blobs) do
      for steps, code in pairs {
        flip = 4, shorter = 4, longer = 4, cut = 0, reset = 0, slow = 0, ["hang up"] = 0,
        ["404"] = 2, ["403"] = 3, ["500"] = 0, ["307"] = 0, ["401"] = 0,
        ["cut,500,401"] = 0, ["reset,307"] = 0, ["cut,whole"] = 0, ["cut,404"] = 2, ["reset,flip"] = 4,
      } do
        cases[#cases + 1] = {
          name = ("blob %d: %s"):format(i, steps), on = "GET " .. digest, steps = steps, code = code, env = env(steps),
        }
      end
    end
    local never = ("cut,"):rep(20)
    cases[#cases + 1] = { name = "cut for ever", on = "GET " .. f.blobs[3], steps = never, more = true, code = 4,
                          says = "after %d+ bytes" }
    assert.same({}, f:pull(cases))
  end)

  it("with a manifest that is not as it should be", function()
    local cases = {}
    for steps, code in pairs {
      flip = 4, shorter = 4, longer = 4, cut = 0, reset = 0, slow = 0,
      ["404"] = 2, ["403"] = 3, ["500"] = 0, ["307"] = 0, ["401"] = 0,
    } do
      cases[#cases + 1] = { name = steps, on = "GET manifest", steps = steps, code = code, env = env(steps) }
    end
    assert.same({}, f:pull(cases))
  end)

  it("whose cocoon is gone", function()
    local cases = {}
    for where, at in pairs(f:places()) do
      for how, more in pairs { killed = "", ["ended with 3"] = ":3" } do
        cases[#cases + 1] = { name = ("%s %s"):format(how, where), code = 1, killed = true,
                              env = { COCOON_FAKE_DIE = at .. more } }
      end
    end
    cases[#cases + 1] = { name = "after everything", code = 1, env = { COCOON_FAKE_EXIT = "7" }, says = "exit code 7" }
    assert.same({}, f:pull(cases))
  end)

  it("that is interrupted", function()
    local cases = {}
    for signal, code in pairs { INT = 130, TERM = 143 } do
      local function case(name, more)
        more.name, more.signal, more.code = ("SIG%s %s"):format(signal, name), signal, code
        more.says = "interrupted$"
        cases[#cases + 1] = more
      end
      case("before the manifest", { on = "GET manifest", steps = "hold" })
      case("in the manifest", { on = "GET manifest", steps = "hold half" })
      for i, digest in ipairs(f.blobs) do
        case("before blob " .. i, { on = "GET " .. digest, steps = "hold" })
        case("in blob " .. i, { on = "GET " .. digest, steps = "hold half" })
        case("between the parts of blob " .. i, { on = "GET " .. digest, steps = "cut,hold" })
      end
      case("while cocoon starts", { seen = "started", env = { COCOON_FAKE_SLEEP = "1" } })
      case("while cocoon reads", { seen = "entry memory-ranges", env = { COCOON_FAKE_RATE = "100000" } })
      case("while cocoon does nothing", { seen = "started", env = { COCOON_FAKE_HANG = "start" } })
    end
    assert.same({}, f:pull(cases))
  end)
end)
