-- A push with something wrong at each of its points.
local faults = require "spec.support.faults"

-- Where another host comes in, something to tell it that it must not know.
local function env(steps)
  return steps:find("307", 1, true) and { EPOCH_REGISTRY_TOKEN = "canary" } or nil
end

describe("a push", function()
  local f

  setup(function()
    f = faults.start()
  end)

  teardown(function()
    f:stop()
  end)

  it("with each blob in turn not getting through", function()
    local cases = {}
    local function case(i, what, steps, code, more)
      more = more or {}
      more.name, more.on, more.steps, more.code = ("blob %d: %s: %s"):format(i, what, steps), what, steps, code
      more.env = env(steps)
      cases[#cases + 1] = more
    end
    case(3, "PUT " .. f.blobs[3], ("500,"):rep(20), 1, { more = true })
    for i, digest in ipairs(f.blobs) do
      for steps, code in pairs {
        flip = 1, reset = 0, slow = 0, ["hang up"] = 0, ["403"] = 3, ["500"] = 0, ["307"] = 0, ["401"] = 0,
        ["session lost"] = 0, ["answer lost"] = 0, ["500,reset,401"] = 0,
      } do
        case(i, "PUT " .. digest, steps, code)
      end
    end
    for steps, code in pairs { ["403"] = 3, ["500"] = 0, ["401"] = 0, ["307"] = 0, ["hang up"] = 0 } do
      case(2, "HEAD " .. f.blobs[2], steps, code)
    end
    for steps, code in pairs { ["403"] = 3, ["500"] = 0, ["401"] = 0, ["hang up"] = 0, ["404"] = 2 } do
      case(0, "POST", steps, code)
    end
    assert.same({}, f:push(cases))
  end)

  it("whose manifest does not get through", function()
    local cases = {}
    for steps, code in pairs {
      ["blob missing"] = 2, ["403"] = 3, ["500"] = 0, ["401"] = 0, ["hang up"] = 0, ["400"] = 1,
      ["answer lost"] = 0,
    } do
      cases[#cases + 1] = { name = "manifest: " .. steps, on = "PUT manifest", steps = steps, code = code }
    end
    assert.same({}, f:push(cases))
  end)

  it("whose cocoon is gone", function()
    local cases = {}
    for where, at in pairs(f:places()) do
      for how, more in pairs { killed = "", ["ended with 3"] = ":3" } do
        cases[#cases + 1] = { name = ("%s %s"):format(how, where), code = 1, env = { COCOON_FAKE_DIE = at .. more } }
      end
    end
    cases[#cases + 1] = { name = "after everything", code = 1, env = { COCOON_FAKE_EXIT = "7" }, says = "exit code 7" }
    assert.same({}, f:push(cases))
  end)

  it("that is interrupted", function()
    local cases = {}
    for signal, code in pairs { INT = 130, TERM = 143 } do
      local function case(name, more)
        more.name, more.signal, more.code = ("SIG%s %s"):format(signal, name), signal, code
        more.says = "interrupted$"
        cases[#cases + 1] = more
      end
      case("while cocoon ends", { on = "HEAD " .. f.blobs[4], steps = "hold", env = { COCOON_FAKE_HANG = "end" } })
      for i, digest in ipairs(f.blobs) do
        case("before blob " .. i, { on = "HEAD " .. digest, steps = "hold" })
        case("in blob " .. i, { on = "PUT " .. digest, steps = "hold half" })
        case("after blob " .. i, { on = "PUT " .. digest, steps = "hold" })
      end
      case("before a session", { on = "POST", steps = "hold" })
      case("while a session is opened", { on = "POST", steps = "late" })
      case("before the manifest", { on = "PUT manifest", steps = "hold" })
      case("while cocoon starts", { seen = "started", env = { COCOON_FAKE_SLEEP = "15" } })
      case("while cocoon writes", { seen = "started", env = { COCOON_FAKE_RATE = "25000" } })
    end
    assert.same({}, f:push(cases))
  end)

  it("with no room for its spools", function()
    assert.same({}, f:push {
      { name = "full", code = 1, limit = 400, says = f.root:gsub("%p", "%%%0") .. "/spool.*File too large" },
    })
  end)
end)
