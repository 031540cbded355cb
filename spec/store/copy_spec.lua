-- Copies between homes of every kind there is, and what must not come of them.
local copy = require "epoch.copy"
local core = require "epoch.core"
local errors = require "epoch.errors"
local homes = require "epoch.home"
local job = require "epoch.copy.job"
local json = require "epoch.json"
local media = require "epoch.media"
local registry = require "spec.support.registry"
local script = require "spec.support.registry_script"
local support = require "spec.support.store"
local work = require "spec.support.work"

local OPTIONS = { docker_config = false, proxy = "", retries = 0 }

local function kind(wanted, value, err)
  assert.is_nil(value)
  assert.is_true(errors.is(err))
  assert.equal(wanted, err.kind, tostring(err))
  return err
end

--- The home, with a log of what it was asked; `instead` has methods in place of its own.
local function watched(home, instead)
  local self = { log = {} }
  function self.count(what)
    local n = 0
    for _, line in ipairs(self.log) do
      n = n + (line:find(what, 1, true) and 1 or 0)
    end
    return n
  end
  return setmetatable(self, { __index = function(_, name)
    return function(_, ...)
      self.log[#self.log + 1] = name .. " " .. table.concat({ tostring((...)), tostring((select(2, ...))) }, " ")
      if instead and instead[name] then
        return instead[name](home, ...)
      end
      return home[name](home, ...)
    end
  end })
end

local function descriptor(bytes, media_type, more)
  local d = { mediaType = media_type or media.OCTET_STREAM, digest = core.digest(bytes), size = #bytes }
  for key, value in pairs(more or {}) do
    d[key] = value
  end
  return d
end

local function encoded(members)
  return assert(json.encode(members))
end

local function image(blobs, more)
  local layers = {}
  for i, bytes in ipairs(blobs) do
    layers[i] = descriptor(bytes, nil, { annotations = { [media.TITLE] = "file" .. i } })
  end
  local m = { schemaVersion = 2, mediaType = media.OCI_MANIFEST, artifactType = "application/vnd.spec+json",
              config = descriptor("{}", media.OCI_EMPTY), layers = json.array(layers) }
  for key, value in pairs(more or {}) do
    m[key] = value
  end
  return encoded(m)
end

local function index(children, more)
  local list = {}
  for i, bytes in ipairs(children) do
    list[i] = descriptor(bytes, bytes:find('"manifests"', 1, true) and media.OCI_INDEX or media.OCI_MANIFEST)
  end
  local m = { schemaVersion = 2, mediaType = media.OCI_INDEX, manifests = json.array(list) }
  for key, value in pairs(more or {}) do
    m[key] = value
  end
  return encoded(m)
end

local function put(home, name, tag, blobs, manifests)
  for _, bytes in ipairs(blobs) do
    assert(home:put_blob(name, core.digest(bytes), #bytes, function() return core.bytes(bytes) end))
  end
  for i, bytes in ipairs(manifests) do
    assert(home:put_manifest(name, i == #manifests and tag or core.digest(bytes), bytes,
      bytes:find('"manifests"', 1, true) and media.OCI_INDEX or media.OCI_MANIFEST))
  end
end

local function assert_has(task, home, name, tag, blobs, manifests)
  assert.equal(manifests[#manifests], assert(home:get_manifest(name, tag)).bytes)
  for _, bytes in ipairs(manifests) do
    assert.equal(bytes, assert(home:get_manifest(name, core.digest(bytes))).bytes)
  end
  for _, bytes in ipairs(blobs) do
    work.assert_same_bytes(bytes, support.bytes(task, home:get_blob(name, core.digest(bytes))))
  end
end

local SHARED, ONE, TWO = work.noise(900000), work.noise(70000), "two"
local BLOBS = { "{}", SHARED, ONE, TWO, "" }
local CHILD1, CHILD2 = image({ SHARED, ONE, SHARED, "" }), image({ SHARED, TWO })
local INNER = index({ CHILD2 })
local MANIFESTS = { CHILD1, CHILD2, INNER, index({ CHILD1, INNER, CHILD1 }) }
local TOTAL = 2 + #SHARED + #ONE + #TWO

--- Runs `use(from, to, task, dir)` with two new directories as homes.
local function with_homes(use, from, to)
  support.with_task(function(task, dir)
    local a = assert(homes.open(task, from or "file://" .. dir .. "/a", OPTIONS))
    local b = assert(homes.open(task, to or "file://" .. dir .. "/b", OPTIONS))
    use(a, b, task, dir)
    a:close()
    b:close()
  end)
end

local function path_of(dir, bytes)
  return dir .. "/a/blobs/" .. core.digest(bytes):gsub(":", "/")
end

describe("a copy between", function()
  local missing = registry.missing()
  local servers, runs = {}, 0

  setup(function()
    if not missing then
      servers.a, servers.b = registry.start(), registry.start()
    end
  end)

  teardown(function()
    for _, server in pairs(servers) do
      server:stop()
    end
  end)

  local KINDS = { "file", "oci", "registry" }

  local function open(of, side, task, dir)
    local urls = { file = "file://" .. dir .. "/" .. side, oci = "oci:" .. dir .. "/" .. side,
                   registry = servers[side] and servers[side].url }
    return assert(homes.open(task, urls[of], OPTIONS))
  end

  for _, first in ipairs(KINDS) do
    for _, second in ipairs(KINDS) do
      it(("%s and %s has every byte, and moves none a second time"):format(first, second), function()
        if missing and (first == "registry" or second == "registry") then
          return pending(missing)
        end
        runs = runs + 1
        local name = "vms/demo" .. runs
        support.with_task(function(task, dir)
          local from, to = watched(open(first, "a", task, dir)), watched(open(second, "b", task, dir))
          put(from, name, "v1", BLOBS, MANIFESTS)
          local given = { from = from, to = to, name = name, reference = "v1", to_name = name .. "/copy",
                          to_tag = "v2" }
          local most = 0
          function given.on_event(e)
            if e.event == "progress" and e.digest == core.digest(SHARED) then
              most = math.max(most, e.bytes)
            end
          end
          local result = assert(copy.copy(task, given))
          assert.equal(#SHARED, most)
          assert_has(task, to, name .. "/copy", "v2", BLOBS, MANIFESTS)
          assert.same({ name .. "/copy", "v2", core.digest(MANIFESTS[4]), "image-index", TOTAL }, {
            result.name, result.tag, result.digest, result.kind, result.transferred })
          local moved = {}
          for i, layer in ipairs(result.layers) do
            moved[i] = ("%s %d %s"):format(layer.title, layer.size, tostring(layer.transferred))
          end
          assert.same({ ("file1 %d true"):format(#SHARED), ("file2 %d true"):format(#ONE),
                        ("file3 %d false"):format(#SHARED), "file4 0 true",
                        ("file1 %d false"):format(#SHARED), "file2 3 true" }, moved)

          from.log, to.log = {}, {}
          result = assert(copy.copy(task, given))
          assert.equal(0, result.transferred)
          assert.equal(0, from.count("get_blob"))
          for _, layer in ipairs(result.layers) do
            assert.is_false(layer.transferred)
          end
          from:close()
          to:close()
        end)
      end)
    end
  end

  for _, of in ipairs(KINDS) do
    it("two repositories of one " .. of .. " moves nothing", function()
      if missing and of == "registry" then
        return pending(missing)
      end
      support.with_task(function(task, dir)
        local from, to = watched(open(of, "a", task, dir)), watched(open(of, "a", task, dir))
        put(from, "inside/one", "v1", BLOBS, MANIFESTS)
        local result = assert(copy.copy(task, { from = from, to = to, name = "inside/one", reference = "v1",
                                                to_name = "inside/two", to_tag = "v2" }))
        assert.equal(0, result.transferred)
        assert.equal(0, from.count("get_blob"))
        assert.equal(#BLOBS, to.count("mount_blob"))
        assert_has(task, to, "inside/two", "v2", BLOBS, MANIFESTS)
      end)
    end)

    for _, fault in ipairs { "flipped", "longer", "cut", "missing" } do
      it(("a directory and %s leaves no tag when a blob is %s"):format(of, fault), function()
        if missing and of == "registry" then
          return pending(missing)
        end
        runs = runs + 1
        local name = "faults/demo" .. runs
        support.with_task(function(task, dir)
          local from, to = open("file", "a", task, dir), open(of, "b", task, dir)
          local bytes = work.noise(5000) .. runs
          put(from, name, "v1", { "{}", bytes }, { image { bytes } })
          local path = path_of(dir, bytes)
          os.remove(path)
          local bent = { flipped = bytes:gsub("^.", function(c) return c == "x" and "y" or "x" end),
                         longer = bytes .. "x", cut = bytes:sub(2) }
          if bent[fault] then
            work.write_file(path, bent[fault])
          end
          local given = { from = from, to = to, name = name, reference = "v1" }
          local wanted = { flipped = "digest_mismatch", longer = "size_mismatch", cut = "size_mismatch",
                           missing = "not_found" }
          local err = kind(wanted[fault], copy.copy(task, given))
          assert.matches('^copy "file1": ', tostring(err))
          kind("not_found", to:get_manifest(name, "v1"))
          kind("not_found", to:blob_size(name, core.digest(bytes)))
          work.write_file(path, bytes)
          assert(copy.copy(task, given))
          assert_has(task, to, name, "v1", { bytes }, { image { bytes } })
        end)
      end)
    end
  end
end)

describe("a copy", function()
  it("by its digest has no tag, unless it is given one", function()
    with_homes(function(from, to, task)
      put(from, "demo", "v1", BLOBS, MANIFESTS)
      local given = { from = from, to = to, name = "demo", reference = core.digest(MANIFESTS[4]) }
      local result = assert(copy.copy(task, given))
      assert.is_nil(result.tag)
      assert.equal(core.digest(MANIFESTS[4]), result.digest)
      assert.equal(MANIFESTS[4], assert(to:get_manifest("demo", core.digest(MANIFESTS[4]))).bytes)
      assert.same({}, to:tags("demo"))
      given.to_tag = "v2"
      assert.equal("v2", assert(copy.copy(task, given)).tag)
      assert.same({ "v2" }, to:tags("demo"))
    end)
  end)

  it("to another tag of its repository puts the manifest, and nothing else", function()
    with_homes(function(from, _, task)
      put(from, "demo", "latest", BLOBS, MANIFESTS)
      local home = watched(from)
      local result = assert(copy.copy(task, { from = home, to = home, name = "demo", to_tag = "v2" }))
      assert.equal(core.digest(MANIFESTS[4]), result.digest)
      assert.equal(MANIFESTS[4], assert(from:get_manifest("demo", "v2")).bytes)
      assert.equal(0, home.count("blob"))
      assert.equal(1, home.count("put_manifest"))
    end)
  end)

  it("tells who listens", function()
    with_homes(function(from, to, task)
      local manifest = image({ SHARED, ONE })
      put(from, "demo", "v1", { "{}", SHARED, ONE }, { manifest })
      local lines, events
      local function listen()
        lines, events = {}, {}
        return assert(copy.copy(task, {
          from = from, to = to, name = "demo", reference = "v1", concurrency = 1,
          progress = function(line) lines[#lines + 1] = line end,
          on_event = function(e)
            if e.event ~= "progress" then
              events[#events + 1] = ("%s %s %s %s %d/%d %s"):format(e.op, e.event, e.title, e.digest, e.bytes,
                e.total, tostring(e.transferred))
            end
          end,
        }))
      end
      local result = listen()
      assert.equal(2 + #SHARED + #ONE, result.size)
      assert.same({ "config: 2B", "file1: 878.9K", "file2: 68.4K" }, lines)
      assert.equal(5, #events) -- a config is no layer
      assert.equal(("copy plan nil nil 0/%d nil"):format(#SHARED + #ONE), events[1])
      assert.equal(("copy start file1 %s 0/%d nil"):format(core.digest(SHARED), #SHARED), events[2])
      assert.equal(("copy done file1 %s %d/%d true"):format(core.digest(SHARED), #SHARED, #SHARED), events[3])
      listen()
      assert.same("file1: 878.9K, is there already", lines[2])
      assert.equal(("copy done file2 %s %d/%d false"):format(core.digest(ONE), #ONE, #ONE), events[5])
    end)
  end)

  it("moves so many blobs at once, and no more", function()
    with_homes(function(from, to, task)
      local blobs = { "{}" }
      for i = 1, 12 do
        blobs[#blobs + 1] = i .. work.noise(200000)
      end
      local manifest = image(blobs)
      put(from, "demo", "v1", blobs, { manifest })
      local now, most = 0, 0
      local counting = watched(to, { put_blob = function(home, ...)
        now = now + 1
        most = math.max(most, now)
        local ok, err = home:put_blob(...)
        now = now - 1
        return ok, err
      end })
      assert(copy.copy(task, { from = from, to = counting, name = "demo", reference = "v1", concurrency = 4 }))
      assert.equal(4, most)
    end)
  end)

  it("leaves out what is stored elsewhere, but not what the source has of it", function()
    with_homes(function(from, to, task)
      local urls, foreign = "http://127.0.0.1:1/layer", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
      local layers = { descriptor("here", "text/plain", { urls = json.array { urls } }),
                       descriptor("not here", foreign), descriptor("plain") }
      local manifest = image({}, { layers = json.array(layers) })
      put(from, "demo", "v1", { "{}", "here", "plain" }, { manifest })
      local result = assert(copy.copy(task, { from = from, to = to, name = "demo", reference = "v1" }))
      assert.equal(2 + #"here" + #"plain", result.transferred)
      assert.is_false(result.layers[2].transferred)
      kind("not_found", to:blob_size("demo", core.digest("not here")))
      assert_has(task, to, "demo", "v1", { "here", "plain" }, { manifest })
    end)
  end)

  it("takes along layers that an index lists itself, and what is of an unknown kind", function()
    with_homes(function(from, to, task)
      local cache = encoded { schemaVersion = 2, mediaType = media.OCI_INDEX, manifests = json.array {
        descriptor("layer", "application/vnd.oci.image.layer.v1.tar+gzip"),
        descriptor("{}", "application/vnd.buildkit.cacheconfig.v0") } }
      put(from, "demo", "cache", { "layer", "{}" }, { cache })
      local odd = image({ "layer" }, { mediaType = "application/vnd.odd.v1+json" })
      assert(from:put_manifest("demo", "odd", odd, "application/vnd.odd.v1+json"))
      for tag, bytes in pairs { cache = cache, odd = odd } do
        assert(copy.copy(task, { from = from, to = to, name = "demo", reference = tag }))
        assert_has(task, to, "demo", tag, { "layer", "{}" }, { bytes })
      end
    end)
  end)

  it("is no failure where the tag may not be moved and has not to be", function()
    with_homes(function(from, to, task)
      put(from, "demo", "v1", { "{}", TWO }, { image { TWO } })
      local why = "denied"
      local stiff = watched(to, { put_manifest = function()
        return errors.fail(why, "tags are forever here")
      end })
      local given = { from = from, to = stiff, name = "demo", reference = "v1" }
      kind("denied", copy.copy(task, given))
      assert(to:put_manifest("demo", "v1", (image { TWO })))
      assert(copy.copy(task, given))
      why = "cancelled"
      kind("cancelled", copy.copy(task, given))
      why = "denied"
      assert(to:put_manifest("demo", "v1", (image {})))
      kind("denied", copy.copy(task, given))
    end)
  end)

  it("that is cancelled leaves no tag, and can be done again", function()
    with_homes(function(from, to, task)
      put(from, "demo", "v1", BLOBS, MANIFESTS)
      local given = { from = from, to = to, name = "demo", reference = "v1", on_event = function(e)
        if e.event == "start" and e.total == #SHARED then
          task.loop:cancel("enough")
        end
      end }
      kind("cancelled", copy.copy(task, given))
      kind("not_found", to:get_manifest("demo", "v1"))
      given.on_event = nil
      assert(copy.copy(task, given))
      assert_has(task, to, "demo", "v1", BLOBS, MANIFESTS)
    end)
  end)

  it("refuses names that are none before anybody is asked", function()
    with_homes(function(from, to, task)
      local a, b = watched(from), watched(to)
      for name, bad in pairs { name = "../x", reference = "a b", to_name = "/etc", to_tag = "-x" } do
        local given = { from = a, to = b, name = "demo" }
        given[name] = bad
        kind("invalid", copy.copy(task, given))
      end
      kind("invalid", copy.copy(task, { from = a, to = b, name = "demo", reference = "sha256:../../x" }))
      kind("invalid", copy.all_tags(task, { from = a, to = b, name = "a//b" }))
      assert.same({ {}, {} }, { a.log, b.log })
      assert.error_matches(function() copy.copy(task, { from = a, to = b, name = "demo", tag = "v1" }) end,
        'option "tag" is unknown')
    end)
  end)
end)

describe("a copy of a manifest", function()
  local D = "sha256:" .. ("0"):rep(64)

  --- Answers what came of copying `reference` from a source that has these manifests and no
  -- blobs; `bytes` under "v1", others by the digest they are said to have.
  local function try(bytes, others, reference, media_type)
    local value, err
    with_homes(function(_, to, task)
      local calls = watched(to)
      value, err = copy.copy(task, {
        from = {
          get_manifest = function(_, _, given)
            local found = given == (reference or "v1") and bytes or (others or {})[given]
            if not found then
              return errors.fail("not_found", "there is no manifest " .. given)
            end
            return { bytes = found, media_type = media_type or json.decode(found).mediaType }
          end,
          get_blob = function(_, _, digest) return errors.fail("not_found", "there is no " .. digest) end,
          describe = function() return "the source" end,
        },
        to = calls, name = "demo", reference = reference or "v1",
      })
      assert.equal(0, calls.count("put_manifest demo v1"))
      kind("not_found", to:get_manifest("demo", "v1"))
    end)
    return value, err
  end

  it("that is hostile leads nowhere", function()
    kind("not_found", try(nil))
    kind("digest_mismatch", try(image {}, nil, D))
    kind("invalid", try("[]", nil, nil, media.OCI_MANIFEST))
    kind("invalid", try(image({}, { manifests = json.array {} })))
    kind("invalid", try(image {}, nil, nil, media.OCI_INDEX))
    for _, bad in ipairs { { digest = "sha256:../../x" }, { size = -1 }, { size = "5" }, { digest = 7 } } do
      kind("invalid", try(image({}, { layers = json.array { descriptor("x", nil, bad) } })))
      kind("invalid", try(image({}, { config = descriptor("x", nil, bad) })))
    end
    local err = kind("invalid", try(image({}, { layers = json.array { descriptor("x"), descriptor("x", nil,
      { size = 2 }) } })))
    assert.matches("is said to have 1 bytes, and 2", tostring(err))
    err = kind("not_found", try(image({}, { layers = json.array { descriptor("x") } })))
    assert.matches(core.digest("x"), tostring(err))
  end)

  it("that is of another time is refused with a word on it", function()
    local schema1 = encoded { schemaVersion = 1, name = "x", tag = "y", fsLayers = json.array {} }
    assert.matches("docker image of schema 1", tostring(kind("unsupported", try(schema1, nil, nil,
      "application/vnd.docker.distribution.manifest.v1+prettyjws"))))
    kind("unsupported", try('{"schemaVersion":1}', nil, nil, media.OCI_MANIFEST))
    local err = kind("unsupported", try(encoded { schemaVersion = 2, blobs = json.array {},
      mediaType = "application/vnd.oci.artifact.manifest.v1+json" }))
    assert.matches("what a \"application/vnd.oci.artifact.manifest.v1%+json\" needs is not known", tostring(err))
  end)

  it("that lists others believes none of them", function()
    local child = image({}, { config = json.null })
    local digest = core.digest(child)
    local err = kind("not_found", try(index { child }))
    assert.matches("^the manifest " .. digest, tostring(err))
    kind("digest_mismatch", try(index { child }, { [digest] = child .. " " }))
    kind("size_mismatch", try(index({}, { manifests = json.array { descriptor(child, media.OCI_MANIFEST,
      { size = 5 }) } }), { [digest] = child }))
    kind("invalid", try(index({}, { manifests = json.array { descriptor(child, media.OCI_INDEX) } }),
      { [digest] = child }))
  end)

  it("that lists itself, or others without end, comes to one", function()
    kind("digest_mismatch", try(index({}, { manifests = json.array { descriptor("x", media.OCI_INDEX) } }),
      { [core.digest("x")] = index({}) }))
    local others, top = {}, image({}, { config = json.null })
    for _ = 1, job.DEPTH + 1 do
      others[core.digest(top)] = top
      top = index { top }
    end
    assert.matches("more than 8 deep", tostring(kind("invalid", try(top, others))))
    local many, limit = {}, job.MANIFESTS
    for i = 1, 4 do
      many[i] = image({}, { config = json.null, annotations = { n = tostring(i) } })
      others[core.digest(many[i])] = many[i]
    end
    job.MANIFESTS = 3
    local value, err = try(index(many), others)
    job.MANIFESTS = limit
    assert.matches("more than 3 manifests", tostring(kind("too_large", value, err)))
  end)
end)

describe("all tags", function()
  it("are copied in order, and what they share once", function()
    with_homes(function(from, to, task)
      for i, tag in ipairs { "a", "b", "c" } do
        put(from, "demo", tag, { "{}", SHARED, tag }, { image({ SHARED, tag }, { annotations = { n = tostring(i) } }) })
      end
      local writer = watched(to)
      local results = assert(copy.all_tags(task, { from = from, to = writer, name = "demo", to_name = "demo2" }))
      assert.same({ "a", "b", "c" }, { results[1].tag, results[2].tag, results[3].tag })
      assert.same({ "a", "b", "c" }, to:tags("demo2"))
      assert.equal(5, writer.count("put_blob"))
      assert.equal(1, results[3].transferred)
    end)
  end)

  it("go on after one that fails, and the failure is told in the end", function()
    with_homes(function(from, to, task, dir)
      for _, tag in ipairs { "a", "b", "c", "d" } do
        put(from, "demo", tag, { "{}", tag }, { image { tag } })
      end
      os.remove(path_of(dir, "b"))
      work.write_file(path_of(dir, "d"), "x")
      local lines = {}
      local given = { from = from, to = to, name = "demo", progress = function(line) lines[#lines + 1] = line end }
      local value, err, results = copy.all_tags(task, given)
      kind("not_found", value, err)
      assert.matches("2 of 4 tags were not copied %(b, d%)", tostring(err))
      assert.same({ "a", "c", 2 }, { results[1].tag, results[2].tag, #results })
      assert.same({ "a", "c" }, to:tags("demo"))
      assert.matches("\ndemo:d: ", table.concat(lines, "\n"))
      kind("not_found", copy.all_tags(task, { from = to, to = from, name = "other" }))

      os.execute("rm -rf " .. dir .. "/b")
      value, err, results = copy.all_tags(task, { from = from, to = to, name = "demo", on_event = function(e)
        if e.event == "start" and e.digest == core.digest("c") then
          task.loop:cancel("enough")
        end
      end })
      kind("cancelled", value, err)
      assert.same({ "a", 1 }, { results[1].tag, #results })
    end)
  end)
end)

describe("a registry that misbehaves", function()
  local BYTES = work.noise(300000)
  local MANIFEST = image { BYTES }
  local DIGEST = core.digest(BYTES)
  local s

  local SOURCE = ([[
    local sent = ngx.shared.store:get("blob")
    if rest:find("manifests/", 1, true) then
      return answer(200, %q, { ["Content-Type"] = %q })
    elseif rest:find(%q, 1, true) then
      return answer(200, "{}")
    end
    note(repo, ngx.req.get_method())]]):format(MANIFEST, media.OCI_MANIFEST, core.digest("{}"))

  -- half of the blob, and the connection ends
  local CUT = [[
    local f = io.open(ngx.shared.store:get("path"), "rb")
    local bytes = f:read("*a")
    f:close()
    if count(repo .. ":cut") <= tonumber(ngx.shared.store:get("cuts")) then
      ngx.header["Content-Length"] = #bytes
      ngx.send_headers()
      ngx.print(bytes:sub(1, 150000))
      ngx.flush(true)
      return ngx.exit(444)
    end
    return answer(200, bytes)]]

  local SINK = [[
    local method = ngx.req.get_method()
    if rest:find("manifests/", 1, true) then
      note(repo, method .. " manifest")
      body()
      return answer(201)
    elseif ngx.var.arg_mount then
      note(repo, "mount from " .. ngx.var.arg_from)
      if repo == "mounts" then return answer(201) end
      return answer(202, "", { Location = "/v2/" .. repo .. "/blobs/uploads/0" })
    end
    if method == "HEAD" then return answer(404) end
    if method == "PATCH" then -- of what ends before its length was asked for
      body()
      return answer(202, "", { Location = "/v2/" .. repo .. "/blobs/uploads/2" })
    end
    if method == "PUT" then note(repo, "got " .. #body()) end
    upload(repo, rest)]]

  setup(function()
    s = script.start({ source = SOURCE .. CUT, ["cut-once"] = SOURCE .. CUT, mounts = SINK, refuses = SINK,
                       sink = SINK })
    work.write_file(s.dir .. "/blob", BYTES)
    script.set(s, "path", s.dir .. "/blob")
  end)

  teardown(function()
    s:stop()
  end)

  it("by ending a download leaves no tag", function()
    script.set(s, "cuts", 1000)
    with_homes(function(from, to, task)
      kind("truncated", copy.copy(task, { from = from, to = to, name = "source" }))
      kind("not_found", to:get_manifest("source", "latest"))
      kind("not_found", to:blob_size("source", DIGEST))
    end, s.url)
  end)

  it("by ending a download is asked again, when the other can be told again", function()
    script.set(s, "cuts", 1)
    support.with_task(function(task)
      local options = { docker_config = false, proxy = "", retries = 1 }
      local from = assert(homes.open(task, s.url, options))
      local to = assert(homes.open(task, s.other_url, options))
      local result = assert(copy.copy(task, { from = from, to = to, name = "cut-once", to_name = "sink" }))
      assert.equal(#BYTES + 2, result.transferred)
      assert.is_true(table.concat(script.seen(s, "sink"), "\n"):find("got " .. #BYTES, 1, true) ~= nil)
    end)
  end)

  it("is asked for mounts, and for no byte", function()
    script.set(s, "cuts", 0)
    with_homes(function(from, to, task)
      local before = script.requests(s, "GET /v2/source/blobs/")
      local result = assert(copy.copy(task, { from = from, to = to, name = "source", to_name = "mounts" }))
      assert.equal(0, result.transferred)
      assert.same({ "PUT manifest", "mount from source", "mount from source" },
        (function(lines) table.sort(lines) return lines end)(script.seen(s, "mounts")))
      assert.equal(0, script.requests(s, "GET /v2/source/blobs/") - before)
    end, s.url, s.url)
  end)

  it("gets the bytes when it mounts nothing", function()
    script.set(s, "cuts", 0)
    with_homes(function(from, to, task)
      local before = script.requests(s, "GET /v2/source/blobs/")
      local result = assert(copy.copy(task, { from = from, to = to, name = "source", to_name = "refuses",
                                              concurrency = 1 }))
      assert.equal(#BYTES + 2, result.transferred)
      assert.equal(2, script.requests(s, "GET /v2/source/blobs/") - before)
      assert.equal(2, script.requests(s, "POST /v2/refuses/blobs/uploads/?mount="))
      local seen = script.seen(s, "refuses")
      assert.equal("PUT manifest", seen[#seen])
    end, s.url, s.url)
  end)
end)
