local golden = require "spec.support.golden"
local work = require "spec.support.work"

-- Where ../shared is not, specs use the copy: they would not see that it says something else.
describe("spec/golden", function()
  it("says what ../shared/golden says, where that is", function()
    local shared = {}
    for _, name in ipairs(golden.names(".", golden.SHARED)) do
      shared[name] = true
    end
    for _, name in ipairs(golden.names(".", golden.COPY)) do
      if shared[name] and name ~= "README.md" then
        work.assert_same_bytes(golden.read(name, golden.SHARED), golden.read(name, golden.COPY))
      end
    end
  end)
end)
