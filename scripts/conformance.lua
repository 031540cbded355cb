-- make conformance: a binary of the OCI distribution-spec's conformance suite against a gateway that
-- is started for it, on a free port, over a directory or (STORE=s3) over a real S3 store.
--
--     lua5.4 scripts/conformance.lua SUITE [s3]
--
-- Suites of two kinds are about for version 1.1, with variables of their own; both are set. The exit
-- code is 0 only when tests were run and none of them failed.
package.path = "./?.lua;" .. package.path
require "spec.support.paths"

local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local radosgw = require "spec.support.radosgw"
local work = require "spec.support.work"

local LIMIT = 900 -- seconds
local REPOSITORY, OTHER = "conformance/one", "conformance/two"

-- What a suite of either kind gets to know. What is optional in 1.1 is asked for, too.
local function environment(host, dir)
  return {
    -- the older kind
    OCI_ROOT_URL = "http://" .. host, OCI_NAMESPACE = REPOSITORY, OCI_CROSSMOUNT_NAMESPACE = OTHER,
    OCI_TEST_PULL = "1", OCI_TEST_PUSH = "1", OCI_TEST_CONTENT_DISCOVERY = "1", OCI_TEST_CONTENT_MANAGEMENT = "1",
    OCI_AUTOMATIC_CROSSMOUNT = "1", OCI_REPORT_DIR = dir,
    -- the newer kind
    OCI_REGISTRY = host, OCI_TLS = "disabled", OCI_REPO1 = REPOSITORY, OCI_REPO2 = OTHER, OCI_RESULTS_DIR = dir,
    OCI_VERSION = "1.1", OCI_API_BLOBS_UPLOAD_CANCEL = "true", OCI_API_BLOBS_DIGEST_HEADER = "true",
    OCI_API_MANIFESTS_DIGEST_HEADER = "true", OCI_API_MANIFESTS_TAG_PARAM = "true", OCI_DATA_SPARSE = "false",
  }
end

local function quoted(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Runs the suite in a directory of its own, where it writes what it wants to: its exit code.
local function run(suite, host, dir)
  local words = { "cd", quoted(dir), "&& exec env -i PATH=\"$PATH\"", "HOME=" .. quoted(dir) }
  for name, value in pairs(environment(host, dir)) do
    words[#words + 1] = name .. "=" .. quoted(value)
  end
  words[#words + 1] = ("timeout %d %s >log 2>&1"):format(LIMIT, quoted(suite))
  return tonumber(work.output(("(%s); echo $?"):format(table.concat(words, " "))))
end

-- What its report says: the names of its tests by what came of them.
local function read_report(dir)
  local found = { passed = {}, skipped = {}, failed = {} }
  for attributes in (work.read_file(dir .. "/junit.xml") or ""):gmatch("<testcase ([^>]*)>") do
    local name, status = attributes:match('name="([^"]*)"'), attributes:match('status="([^"]*)"')
    local list = status == "passed" and found.passed or (status == "skipped" or status == "pending") and found.skipped
      or found.failed
    list[#list + 1] = name or "a test without a name"
  end
  return found
end

local function judge(code, dir)
  local found = read_report(dir)
  for _, kind in ipairs { "skipped", "failed" } do
    for _, name in ipairs(found[kind]) do
      print(("conformance: %s: %s"):format(kind, name))
    end
  end
  local good = code == 0 and #found.failed == 0 and #found.passed > 0
  if not good then
    print(work.read_file(dir .. "/log") or "")
  end
  if #found.passed + #found.failed == 0 then
    print("conformance: the suite ran no test")
  end
  print(("conformance: %d passed, %d failed, %d skipped; the suite's exit code is %s"):format(#found.passed,
    #found.failed, #found.skipped, code))
  return good
end

local function against(options, suite)
  local served = gateway.start(options)
  local good
  local ok, why = pcall(work.in_directory, function(dir)
    good = judge(run(suite, served.host, dir), dir)
  end)
  local said = served:log()
  served:stop()
  if not ok or not good then
    print("the gateway has said:\n" .. said .. (why or ""))
  end
  return ok and good
end

local function in_s3(suite)
  local store = radosgw.start()
  local bucket = store:bucket()
  local given = store:options { bucket = bucket }
  local ok, good = pcall(against, { store = "s3://" .. bucket, env = {
    EPOCH_S3_ENDPOINT = given.endpoint, EPOCH_S3_ACCESS_KEY = given.access_key,
    EPOCH_S3_SECRET_KEY = given.secret_key, EPOCH_S3_BUCKET = bucket, EPOCH_S3_PATH_STYLE = "true",
  } }, suite)
  store:stop()
  if not ok then
    print(good)
  end
  return ok and good
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or work.here() .. "/" .. path
end

local function main(suite, store)
  local missing = gateway.missing() or store == "s3" and radosgw.missing()
  local stat = suite and suite ~= "" and core.stat(suite)
  if not stat or stat.type ~= "file" then
    print("make conformance SUITE=PATH [STORE=s3]: PATH is a binary of the conformance suite of\n"
      .. "https://github.com/opencontainers/distribution-spec (conformance/README.md says how to build one)")
    return false
  elseif store and store ~= "" and store ~= "s3" then
    print("STORE is s3, or nothing for a directory")
    return false
  elseif missing then
    print("conformance: " .. missing)
    return false
  end
  return store == "s3" and in_s3(absolute(suite)) or store ~= "s3" and against({}, absolute(suite))
end

os.exit(main(arg[1], arg[2]) and 0 or 1)
