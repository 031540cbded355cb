--- crane, regctl and skopeo with our client and layouts: what each stores the other reads, byte
-- for byte, on every registry that is here; and their logins are ours.
local artifacts = require "spec.support.artifacts"
local core = require "epoch.core"
local homes = require "epoch.home"
local media = require "epoch.media"
local registries = require "spec.support.registries"
local support = require "spec.support.store"
local tar = require "spec.support.tar"
local work = require "spec.support.work"

-- REG is the registry's HOST:PORT, FROM, TO and REF are below it, DIR is a layout whose image
-- is tagged x, HOME the client's own. regctl keeps logins in a file that is none of docker's.
local CLIENTS = {
  {
    name = "crane",
    push = "crane push --insecure DIR TO", pull = "crane pull --insecure --format=oci FROM DIR",
    copy = "crane copy --insecure FROM TO", digest = "crane digest --insecure REF",
    manifest = "crane manifest --insecure REF", validate = "crane validate --insecure --remote REF",
    tags = "crane ls --insecure REF", names = "crane catalog --insecure REG",
    blob = "crane blob --insecure REF",
    login = "crane auth login --insecure -u USER -p PASSWORD REG",
  },
  {
    name = "regctl",
    push = "regctl --host reg=REG,tls=disabled image copy ocidir://DIR:x TO",
    pull = "regctl --host reg=REG,tls=disabled image copy FROM ocidir://DIR:x",
    copy = "regctl --host reg=REG,tls=disabled image copy FROM TO",
    digest = "regctl --host reg=REG,tls=disabled image digest REF",
    manifest = "regctl --host reg=REG,tls=disabled manifest get --format raw-body REF",
    tags = "regctl --host reg=REG,tls=disabled tag ls REF", names = "regctl --host reg=REG,tls=disabled repo ls REG",
  },
  {
    name = "skopeo",
    push = "skopeo --insecure-policy copy -q --preserve-digests --dest-tls-verify=false oci:DIR:x docker://TO",
    pull = "skopeo --insecure-policy copy -q --preserve-digests --src-tls-verify=false docker://FROM oci:DIR:x",
    copy = "skopeo --insecure-policy copy -q --preserve-digests --src-tls-verify=false --dest-tls-verify=false "
      .. "docker://FROM docker://TO",
    manifest = "skopeo inspect --tls-verify=false --raw docker://REF",
    login = "skopeo login --tls-verify=false --authfile HOME/.docker/config.json -u USER -p PASSWORD REG",
  },
}

--- What a command prints; an error when it fails.
local function run(home, command, values)
  values.HOME = home
  command = command:gsub("%f[%u]%u%u+", values)
  local pipe = assert(io.popen(("HOME='%s' DOCKER_CONFIG='%s/.docker' timeout 60 %s 2>'%s/stderr'; echo \"exit $?\"")
    :format(home, home, command, home)))
  local text, code = pipe:read("*a"):match("^(.-)exit (%d+)\n$")
  pipe:close()
  if code ~= "0" then
    error(("%s: exit %s\n%s"):format(command, code, work.read_file(home .. "/stderr")), 2)
  end
  return text
end

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do
    list[#list + 1] = word
  end
  table.sort(list)
  return list
end

local function put_blobs(home, name, list)
  for _, bytes in ipairs(list) do
    assert(home:put_blob(name, core.digest(bytes), #bytes, core.bytes(bytes)))
  end
end

local MANIFEST = [[{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",]]
  .. [["config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":]]
  .. [=[[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"%s","size":%d}]}]=]

--- Stores an image that clients can look into: its manifest, digest and layer.
local function put_image(home, name, tag)
  local unpacked, layer = tar.file("file", work.noise(20000)) .. tar.trailer, nil
  work.in_directory(function(dir)
    work.write_file(dir .. "/tar", unpacked)
    os.execute("gzip " .. dir .. "/tar")
    layer = work.read_file(dir .. "/tar.gz")
  end)
  local config = ('{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}')
    :format(core.digest(unpacked))
  put_blobs(home, name, { config, layer })
  local manifest = MANIFEST:format(core.digest(config), #config, core.digest(layer), #layer)
  return manifest, assert(home:put_manifest(name, tag, manifest, media.OCI_MANIFEST)), layer
end

--- Stores a snapshot, one of whose files is empty.
local function put_snapshot(home, name, tag, task)
  local store = artifacts.store(task)
  local manifest = artifacts.snapshot(store, name, { { "cow.raw", work.noise(50000) }, { "empty", "" } })
  for digest, bytes in pairs(store.blobs) do
    assert(home:put_blob(name, digest, #bytes, core.bytes(bytes)))
  end
  return manifest, assert(home:put_manifest(name, tag, manifest, media.OCI_MANIFEST))
end

registries.each(function(_, start)
  local r

  setup(function()
    r = start()
  end)

  teardown(function()
    r:stop()
  end)

  local function with_home(use)
    support.with_task(function(task, dir)
      assert(core.mkdir(dir .. "/home"))
      local home = assert(homes.open(task, r.url, { docker_config = false, proxy = "" }))
      use(home, dir, task)
      home:close()
    end)
  end

  for _, program in ipairs(CLIENTS) do
    if not core.which(program.name) then
      pending(("SKIPPED: needs %s, which is not in PATH"):format(program.name))
    else
      it("and " .. program.name .. ": it pushes our layout, and we its image", function()
        with_home(function(home, dir, task)
          local name = registries.fresh(program.name)
          local layout = assert(homes.open(task, "oci:" .. dir .. "/ours"))
          local manifest, digest, layer = put_image(layout, "demo", "x")
          layout:close()
          run(dir .. "/home", program.push, { REG = r.host, DIR = dir .. "/ours", TO = r.host .. "/" .. name .. ":v1" })
          local got = assert(home:get_manifest(name, "v1"))
          assert.same({ bytes = manifest, digest = digest, media_type = media.OCI_MANIFEST }, got)
          work.assert_same_bytes(layer, support.bytes(task, home:get_blob(name, core.digest(layer))))

          run(dir .. "/home", program.pull,
            { REG = r.host, DIR = dir .. "/theirs", FROM = r.host .. "/" .. name .. ":v1" })
          layout = assert(homes.open(task, "oci:" .. dir .. "/theirs"))
          assert.equal(manifest, assert(layout:get_manifest("demo", digest)).bytes)
          work.assert_same_bytes(layer, support.bytes(task, layout:get_blob("demo", core.digest(layer))))
          layout:close()
        end)
      end)

      it("and " .. program.name .. ": it reads what we push", function()
        with_home(function(home, dir)
          local name = registries.fresh(program.name)
          local manifest, digest, layer = put_image(home, name, "v1")
          put_image(home, name, "v2")
          local function ask(what, ref)
            return run(dir .. "/home", program[what], { REG = r.host, REF = r.host .. "/" .. name .. ref })
          end
          assert.equal(manifest, ask("manifest", ":v1"))
          assert.equal(manifest, ask("manifest", "@" .. digest))
          if program.digest then
            assert.equal(digest, words(ask("digest", ":v1"))[1])
          end
          if program.validate then
            assert.matches("PASS", ask("validate", ":v1"))
            work.assert_same_bytes(layer, ask("blob", "@" .. core.digest(layer)))
          end
          if program.tags then
            assert.same({ "v1", "v2" }, words(ask("tags", "")))
            assert.is_truthy(ask("names", ""):find(name, 1, true))
          end
        end)
      end)

      it("and " .. program.name .. ": it copies a snapshot of ours as it is", function()
        with_home(function(home, dir, task)
          local from, to = registries.fresh "from", registries.fresh "to"
          local manifest, digest = put_snapshot(home, from, "v1", task)
          run(dir .. "/home", program.copy,
            { REG = r.host, FROM = r.host .. "/" .. from .. ":v1", TO = r.host .. "/" .. to .. ":v2" })
          local got = assert(home:get_manifest(to, "v2"))
          assert.equal(digest, got.digest)
          assert.equal(manifest, got.bytes)
          assert.equal(0, home:blob_size(to, core.digest ""))
        end)
      end)
    end
  end
end, function(one) return one.anonymous end)

registries.each(function(_, start)
  local r

  setup(function()
    r = start { auth = true }
  end)

  teardown(function()
    r:stop()
  end)

  for _, program in ipairs(CLIENTS) do
    if program.login and core.which(program.name) then -- what is not here was named above
      it("that wants a password: a login of " .. program.name .. " is ours, too", function()
        support.with_task(function(task, dir)
          assert(core.mkdir(dir .. "/.docker"))
          run(dir, program.login, { REG = r.host, USER = r.user, PASSWORD = r.password })
          local home = assert(homes.open(task, r.url, { docker_config = dir .. "/.docker/config.json", proxy = "" }))
          local name = registries.fresh "login"
          local manifest = put_image(home, name, "v1")
          assert.equal(manifest, assert(home:get_manifest(name, "v1")).bytes)
          if program.validate then
            assert.matches("PASS", run(dir, program.validate, { REG = r.host, REF = r.host .. "/" .. name .. ":v1" }))
          end
          home:close()
        end)
      end)
    end
  end
end, function(one) return one.takes_options end)
