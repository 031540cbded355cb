--- Clients of others, and ours, at a gateway on a bucket: an image goes there and comes back byte for
-- byte, with its tags, in the catalog, and with what refers to it.
local copies = require "epoch.copy"
local core = require "epoch.core"
local gateway = require "spec.support.gateway"
local homes = require "epoch.home"
local json = require "epoch.json"
local media = require "epoch.media"
local radosgw = require "spec.support.radosgw"
local registry = require "epoch.registry"
local s3 = require "epoch.objectstore.s3"
local support = require "spec.support.store"
local work = require "spec.support.work"

local MIB = 1024 * 1024

-- DIR is a layout, its image tagged x; REG is the gateway, HOST:PORT.
local CLIENTS = {
  crane = {
    push = "crane push --insecure DIR REG/crane/image:x",
    pull = "crane pull --insecure --format=oci REG/crane/image:x DIR",
    tags = "crane ls --insecure REG/crane/image", names = "crane catalog --insecure REG",
  },
  regctl = {
    push = "regctl --host reg=REG,tls=disabled image copy ocidir://DIR:x REG/regctl/image:x",
    pull = "regctl --host reg=REG,tls=disabled image copy REG/regctl/image:x ocidir://DIR:x",
    tags = "regctl --host reg=REG,tls=disabled tag ls REG/regctl/image",
    names = "regctl --host reg=REG,tls=disabled repo ls REG",
  },
  skopeo = {
    push = "skopeo --insecure-policy copy -q --preserve-digests --dest-tls-verify=false oci:DIR:x "
      .. "docker://REG/skopeo/image:x",
    pull = "skopeo --insecure-policy copy -q --preserve-digests --src-tls-verify=false docker://REG/skopeo/image:x "
      .. "oci:DIR:x",
    delete = "skopeo delete --tls-verify=false docker://REG/skopeo/image:x",
  },
}

local missing = gateway.missing("lua5.4") or radosgw.missing()
local describe_or_skip = missing and function(name)
  describe(name, function()
    it("is not tried", function() pending(missing) end)
  end)
end or describe

describe_or_skip("at a gateway on a bucket", function()
  local ceph, bucket, g

  setup(function()
    ceph = radosgw.start()
    bucket = ceph:bucket()
    local given = ceph:options {}
    g = gateway.start {
      store = "s3://" .. bucket .. "/p", workers = 2,
      config = ('s3 = { endpoint = %q, access_key = %q, secret_key = %q, prefix = "" }\nproxy = ""\n'):format(
        given.endpoint, given.access_key, given.secret_key),
    }
  end)

  teardown(function()
    if g then
      g:stop()
    end
    ceph:stop()
  end)

  local function run(home, command, dir)
    command = command:gsub("%f[%u]%u%u+", { DIR = dir, REG = g.host })
    local pipe = assert(io.popen(("HOME='%s' DOCKER_CONFIG='%s' timeout 60 %s 2>'%s/stderr'; echo \"exit $?\"")
      :format(home, home, command, home)))
    local text, code = pipe:read("*a"):match("^(.-)exit (%d+)\n$")
    pipe:close()
    assert(code == "0", ("%s: exit %s\n%s"):format(command, code, work.read_file(home .. "/stderr")))
    return text
  end

  -- A layout with an image of a small and a large layer: its digest.
  local function put_image(task, dir)
    local home = assert(homes.open(task, "oci:" .. dir))
    local layers, ids = {}, {}
    for i, bytes in ipairs { work.noise(1000), work.plenty(20 * MIB + 3) } do
      ids[i] = core.digest(bytes)
      assert(home:put_blob("demo", ids[i], #bytes, bytes))
      layers[i] = { mediaType = "application/vnd.oci.image.layer.v1.tar+gzip", digest = ids[i], size = #bytes }
    end
    local config = assert(json.encode { architecture = "amd64", os = "linux",
                                        rootfs = { type = "layers", diff_ids = json.array(ids) } })
    assert(home:put_blob("demo", core.digest(config), #config, config))
    local manifest = assert(json.encode {
      schemaVersion = 2, mediaType = media.OCI_MANIFEST, layers = json.array(layers),
      config = { mediaType = media.OCI_CONFIG, digest = core.digest(config), size = #config } })
    local digest = assert(home:put_manifest("demo", "x", manifest, media.OCI_MANIFEST))
    home:close()
    return digest
  end

  local function check(task, dir, digest)
    local home = assert(homes.open(task, "oci:" .. dir))
    local manifest = assert(home:get_manifest("demo", digest))
    for _, layer in ipairs(json.decode(manifest.bytes).layers) do
      local source = assert(home:get_blob("demo", layer.digest))
      assert.equal(layer.digest, task:flow { source = source, hash = true }.digest)
    end
    home:close()
  end

  for name, client in pairs(CLIENTS) do
    it(name .. " pushes and pulls", function()
      if not core.which(name) then
        return pending(name .. " is not here")
      end
      support.with_task(function(task, dir)
        local digest = put_image(task, dir .. "/from")
        run(dir, client.push, dir .. "/from")
        run(dir, client.pull, dir .. "/to")
        check(task, dir .. "/to", digest)
        assert.matches("%f[%w]x%f[%W]", client.tags and run(dir, client.tags) or "x")
        assert.matches(name .. "/image", client.names and run(dir, client.names) or name .. "/image", 1, true)
        if client.delete then
          run(dir, client.delete)
        end
      end)
    end)
  end

  it("our client pushes, pulls, lists and deletes", function()
    support.with_task(function(task, dir)
      local digest = put_image(task, dir .. "/from")
      local function open(home)
        return assert(homes.open(task, home, { docker_config = false, proxy = "" }))
      end
      assert(copies.copy(task, {
        from = open("oci:" .. dir .. "/from"), to = open(g.url), name = "demo", reference = "x", to_name = "our/image",
      }))
      local theirs = open(g.url)
      assert.same({ "x" }, theirs:tags("our/image"))
      assert.equal(digest, assert(theirs:get_manifest("our/image", "x")).digest)
      assert(copies.copy(task, {
        from = theirs, to = open("oci:" .. dir .. "/to"), name = "our/image", reference = "x", to_name = "demo",
      }))
      check(task, dir .. "/to", digest)
      local home = registry.new(task, assert(s3.open(task, ceph:options { bucket = bucket, prefix = "p" })))
      assert.equal(digest, assert(home:get_manifest("our/image", "x")).digest)
      assert(theirs:delete_manifest("our/image", digest))
      assert.equal("not_found", select(2, theirs:get_manifest("our/image", "x")).kind)
      assert.equal("not_found", select(2, home:get_manifest("our/image", "x")).kind)
    end)
  end)
end)
