--- make conformance: what it makes of what a suite does. The suite itself is other people's program.
local gateway = require "spec.support.gateway"
local work = require "spec.support.work"

local REPORT = [[
cat >"$OCI_RESULTS_DIR/junit.xml" <<END
<testsuites><testsuite name="s">
<testcase name="ping" status="%s" time="0.1"></testcase>
<testcase name="rarely asked" status="skipped"/>
</testsuite></testsuites>
END
]]

-- Both kinds of variables lead to the gateway.
local ASK = [[
for url in "$OCI_ROOT_URL" "http://$OCI_REGISTRY"; do
  curl -qsf --noproxy '*' "$url/v2/" || exit 9
done
[ "$OCI_REPORT_DIR" = "$OCI_RESULTS_DIR" ] || exit 9
]]

-- What it prints for a suite that is this script, and its exit code.
local function conformance(script, store)
  local text, code
  work.in_directory(function(dir)
    local suite = dir .. "/a suite"
    work.write_file(suite, "#!/bin/sh\n" .. script)
    os.execute(("chmod 755 '%s'"):format(suite))
    local pipe = assert(io.popen(("make -s conformance SUITE='%s' STORE=%s 2>&1; echo \"exit $?\""):format(suite,
      store or "")))
    text, code = pipe:read("*a"):match("^(.-)exit (%d+)\n$")
    pipe:close()
  end)
  return tonumber(code), text
end

describe("make conformance", function()
  if gateway.missing() then
    pending(gateway.missing())
    return
  end

  it("is content when tests were run and all of them passed", function()
    local code, text = conformance(ASK .. REPORT:format("passed"))
    assert.equal(0, code, text)
    assert.matches("conformance: skipped: rarely asked\n", text, 1, true)
    assert.matches("1 passed, 0 failed, 1 skipped; the suite's exit code is 0", text, 1, true)
  end)

  it("fails when a test failed, and says which, whatever the suite's exit code", function()
    for _, status in ipairs { "failed", "failure", "error", "panicked" } do
      local code, text = conformance(REPORT:format(status))
      assert.not_equal(0, code)
      assert.matches("conformance: failed: ping\n", text, 1, true)
    end
  end)

  it("fails with the suite, and shows what that has printed", function()
    local code, text = conformance("echo all is lost; " .. REPORT:format("passed") .. "exit 3")
    assert.not_equal(0, code)
    assert.matches("all is lost\n", text, 1, true)
    assert.matches("the suite's exit code is 3", text, 1, true)
  end)

  it("fails when nothing was run", function()
    for _, script in ipairs { "exit 0", REPORT:format("skipped"), "no such command" } do
      local code, text = conformance(script)
      assert.not_equal(0, code)
      assert.matches("the suite ran no test", text, 1, true)
    end
  end)

  it("says how to call it", function()
    assert.not_equal(0, (conformance("exit 0", "floppy")))
    local pipe = io.popen("make -s conformance 2>&1")
    assert.matches("make conformance SUITE=PATH", pipe:read("*a"), 1, true)
    pipe:close()
  end)
end)
