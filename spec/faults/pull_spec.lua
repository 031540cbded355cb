-- A pull with something wrong at each of its points.
local faults = require "spec.support.faults"

-- Where another host comes in, something to tell it that it must not know.
local function env(steps)
  return steps:find("307", 1, true) and { EPOCH_REGISTRY_TOKEN = "canary" } or nil
end

-- Of a blob, and the exit code then.
local FAULTS = {
  flip = 4, shorter = 4, longer = 4, cut = 0, reset = 0, slow = 0, ["hang up"] = 0,
  ["404"] = 2, ["403"] = 3, ["500"] = 0, ["307"] = 0, ["401"] = 0,
  ["cut,500,401"] = 0, ["reset,307"] = 0, ["cut,whole"] = 0, ["cut,404"] = 2, ["reset,flip"] = 4,
}

-- What a signal may come in the middle of, for each of these blobs.
local function interrupted(blobs, more)
  local cases = {}
  for signal, code in pairs { INT = 130, TERM = 143 } do
    local function case(name, on, steps, fake, seen)
      cases[#cases + 1] = { name = ("SIG%s %s"):format(signal, name), signal = signal, code = code,
                            says = "interrupted$", on = on, steps = steps, env = fake, seen = seen }
    end
    more(case)
    for i, digest in ipairs(blobs) do
      case("before blob " .. i, "GET " .. digest, "hold")
      case("in blob " .. i, "GET " .. digest, "hold half")
      case("between the parts of blob " .. i, "GET " .. digest, "cut,hold")
    end
  end
  return cases
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
    local cases = {
      { name = "cut for ever", on = "GET " .. f.blobs[3], steps = ("cut,"):rep(20), more = true, code = 4,
        says = "after %d+ bytes" },
    }
    for i, digest in ipairs(f.blobs) do
      for steps, code in pairs(FAULTS) do
        cases[#cases + 1] = {
          name = ("blob %d: %s"):format(i, steps), on = "GET " .. digest, steps = steps, code = code, env = env(steps),
        }
      end
    end
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
    assert.same({}, f:pull(interrupted(f.blobs, function(case)
      case("while cocoon does nothing", nil, nil, { COCOON_FAKE_HANG = "start" }, "started")
      case("while cocoon starts", nil, nil, { COCOON_FAKE_SLEEP = "4" }, "started")
      case("before the manifest", "GET manifest", "hold")
      case("in the manifest", "GET manifest", "hold half")
      case("while cocoon reads", nil, nil, { COCOON_FAKE_RATE = "100000" }, "entry memory-ranges")
    end)))
  end)

  it("of an image with a part that is not as it should be", function()
    local cases = {}
    for steps, code in pairs(FAULTS) do
      cases[#cases + 1] = { name = steps, on = "GET " .. f.parts[2], steps = steps, code = code, env = env(steps) }
    end
    cases[#cases + 1] = { name = "the first part", on = "GET " .. f.parts[1], steps = "reset,flip", code = 4 }
    assert.same({}, f:pull_image(cases))
  end)

  it("of an image whose cocoon is gone", function()
    assert.same({}, f:pull_image {
      { name = "before the first byte", code = 1, env = { COCOON_FAKE_DIE = "0" } },
      { name = "in the middle", code = 1, env = { COCOON_FAKE_DIE = "200000:3" } },
      { name = "after the last byte", code = 1, env = { COCOON_FAKE_DIE = "400004" } },
      { name = "after everything", code = 1, env = { COCOON_FAKE_EXIT = "7" }, says = "exit code 7" },
    })
  end)

  it("of an image that is interrupted", function()
    assert.same({}, f:pull_image(interrupted({ f.parts[2] }, function(case)
      case("while cocoon starts", nil, nil, { COCOON_FAKE_SLEEP = "4" }, "started")
      case("while cocoon reads", nil, nil, { COCOON_FAKE_RATE = "200000" }, "started")
    end)))
  end)

  it("into a file", function()
    local cases = interrupted({ f.parts[2] }, function() end)
    for steps, code in pairs(FAULTS) do
      cases[#cases + 1] = { name = steps, on = "GET " .. f.parts[2], steps = steps, code = code, env = env(steps) }
    end
    assert.same({}, f:get(cases))
  end)
end)
