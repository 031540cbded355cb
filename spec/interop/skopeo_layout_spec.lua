-- Image layouts with skopeo, in both directions.
local core = require "epoch.core"
local homes = require "epoch.home"
local json = require "epoch.json"
local support = require "spec.support.store"
local work = require "spec.support.work"

local function with_home(use)
  support.with_task(function(task, dir)
    local home = assert(homes.open(task, "oci:" .. dir .. "/lay"))
    use(home, dir .. "/lay", task)
    home:close()
  end)
end

local function run(command)
  local p = assert(io.popen("(" .. command .. ") 2>&1; echo \"exit $?\""))
  local text = p:read("*a")
  p:close()
  return text:match("^(.-)exit (%d+)\n$")
end

describe("skopeo", function()
  local skopeo = core.which("skopeo")
  local COPY = "%s --insecure-policy copy -q --preserve-digests 'oci:%s:%s' 'oci:%s:%s'"

  it("reads what is stored here, and is read", function()
    if not skopeo then
      return pending("skopeo is not here: apt-get install skopeo")
    end
    with_home(function(home, dir, task)
      local layer = work.noise(50000)
      local config = '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["'
        .. core.digest(layer) .. '"]}}'
      for _, bytes in ipairs { config, layer } do
        assert(home:put_blob("demo", core.digest(bytes), #bytes, bytes))
      end
      local manifest = ([[{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",]]
        .. [["config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":]]
        .. [=[[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":%d}]}]=])
        :format(core.digest(config), #config, core.digest(layer), #layer)
      local digest = assert(home:put_manifest("demo", "x", manifest))
      assert(home:put_manifest("demo", "y", manifest))

      local text, code = run(("%s inspect 'oci:%s:x'"):format(skopeo, dir))
      assert.equal("0", code, text)
      assert.equal(digest, json.decode(text).Digest)
      local other = dir .. "2"
      text, code = run(COPY:format(skopeo, dir, "x", other, "z"))
      assert.equal("0", code, text)
      local theirs = assert(homes.open(task, "oci:" .. other))
      assert.same({ "z" }, theirs:tags("whatever"))
      assert.equal(manifest, theirs:get_manifest("whatever", "z").bytes)
      work.assert_same_bytes(layer, support.bytes(task, theirs:get_blob("whatever", core.digest(layer))))

      -- both write into the same one, in turn
      assert(theirs:put_manifest("demo", "ours", manifest))
      text, code = run(COPY:format(skopeo, dir, "y", other, "w"))
      assert.equal("0", code, text)
      text, code = run(("%s inspect --raw 'oci:%s:ours'"):format(skopeo, other))
      assert.same({ manifest, "0" }, { text, code })
      assert.same({ "ours", "w", "z" }, theirs:tags("demo"))
      theirs:close()
    end)
  end)
end)
