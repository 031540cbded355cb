--- The rings: who may include, require and name what. A module that is new gets its place
--- in RANK below; CONTRIBUTING.md says which.

local source = require("spec.support.source")

-- Lua modules by ring, the innermost first. A module requires its own ring and inner ones.
local RANK = {
  -- words every ring uses: errors, texts, numbers, waiting
  [0] = { "core", "attendants", "await", "task", "errors", "nearest", "options", "version", "text", "utf8",
          "whole", "calendar", "queue", "body", "pieces", "lock", "random",
          "run.*" },
  -- formats, without a connection: what is read and written
  [1] = { "json", "json_encode", "json_slices", "host", "reference", "media", "manifest", "manifest.*",
          "descriptor", "annotations", "challenge",
          "digest", "sparse", "catalog", "index", "url", "config", "config.*" },
  -- protocols, and the cocoon program
  [2] = { "retry", "auth", "credentials", "transport.*", "client", "client.*", "objectstore",
          "objectstore.*", "s3", "s3.*", "layout", "layout.*", "cocoon", "cocoon.*", "kubernetes" },
  -- use cases: sequence and cleanup
  [3] = { "ports", "snapshot", "snapshot.*", "cloudimg", "cloudimg.*", "registry", "registry.*",
          "migrate", "migrate.*", "copy", "copy.*", "listeners", "gc", "gc.*", "fsck", "fsck.*", "job",
          "home", "locate", "mirrors", "inspect", "puller", "puller.*" },
  -- the public names
  [4] = { "epoch" },
  -- the doors
  [5] = { "cli", "cli.*", "gateway", "gateway.*" },
}

-- Modules of others, and the only ones of ours that may require them.
local FOREIGN = {
  ["cjson"] = "^epoch%.json$",
  ["cjson.safe"] = "^epoch%.json$",
  ["argparse"] = "^epoch%.cli",
}

-- What modules of the gateway find in nginx, for requiring them without.
local OF_NGINX = {
  ["ngx"] = {},
  ["ngx.semaphore"] = {},
  ["resty.lrucache"] = { new = function() return {} end },
}

local function rank_of(module)
  local short = module:gsub("^epoch%.", "")
  for rank, names in pairs(RANK) do
    for _, name in ipairs(names) do
      local prefix = name:match("^(.+%.)%*$")
      if name == short or (prefix and short:sub(1, #prefix) == prefix) then
        return rank
      end
    end
  end
end

local function none(problems)
  assert(#problems == 0, "\n  " .. table.concat(problems, "\n  "))
end

describe("C", function()
  local function is_lua(name)
    return name:find("^lua") or name:find("^lauxlib") or name:find("lua/", 1, true)
      or name:find("lep%.h$") or name:find("compat%.h$")
  end
  local ALLOWED = {
    ["src/base"] = function(inc)
      return not is_lua(inc.name) and not inc.name:find("^curl/") and not inc.name:find("../", 1, true)
    end,
    ["src/http"] = function(inc)
      return not is_lua(inc.name) and (not inc.name:find("../", 1, true) or inc.name:find("^%.%./base/[%w_]+%.h$"))
    end,
    ["src/lua"] = function(inc)
      return not inc.name:find("^curl/")
        and (not inc.name:find("../", 1, true) or inc.name:find("^%.%./base/") or inc.name:find("^%.%./http/http%.h$"))
    end,
  }

  local files = source.files("src", ".c")
  for _, path in ipairs(source.files("src", ".h")) do
    files[#files + 1] = path
  end

  it("includes inwards only", function()
    local problems = {}
    assert.is_true(#files > 0)
    for _, path in ipairs(files) do
      local ring = path:match("^src/[^/]+")
      local allowed = ALLOWED[ring]
      if not allowed then
        problems[#problems + 1] = path .. ": no such ring; src/ has base, http and lua"
      end
      for _, inc in ipairs(allowed and source.includes(path) or {}) do
        if not allowed(inc) then
          problems[#problems + 1] = ("%s includes %s, which %s must not"):format(path, inc.name, ring)
        end
      end
    end
    none(problems)
  end)

  -- Comments may say why something is there; code and strings know only bytes.
  it("knows no cocoon, JSON or manifest", function()
    local problems = {}
    for _, path in ipairs(files) do
      local code = source.without_c_comments(source.read(path)):lower()
      for _, word in ipairs({ "cocoon", "json", "manifest" }) do
        if code:find(word, 1, true) then
          problems[#problems + 1] = path .. " says " .. word
        end
      end
    end
    none(problems)
  end)

  it("exports one luaopen_… from each library", function()
    local build = os.getenv("EPOCH_BUILD") or "build"
    for _, abi in ipairs({ "5.4", "5.1" }) do
      for _, part in ipairs({ "core", "core/http", "core/unwrap" }) do
        local pipe = assert(io.popen(("nm -D --defined-only %s/lua/%s/epoch/%s.so"):format(build, abi, part)))
        local names = {}
        for line in pipe:lines() do
          names[#names + 1] = line:match("%S+$")
        end
        pipe:close()
        assert.same({ "luaopen_epoch_" .. part:gsub("/", "_") }, names)
      end
    end
  end)
end)

describe("Lua", function()
  local modules, order = {}, {}
  for _, path in ipairs(source.files("lua", ".lua")) do
    local module = source.module_of(path)
    modules[module] = path
    order[#order + 1] = module
  end

  it("has a ring for every module", function()
    local problems = {}
    assert.is_true(#order > 0)
    for _, module in ipairs(order) do
      if not rank_of(module) then
        problems[#problems + 1] = module .. " has no place in RANK of spec/arch_spec.lua"
      end
    end
    none(problems)
  end)

  it("requires inwards only, and what exists", function()
    local problems = {}
    for _, module in ipairs(order) do
      for _, wanted in ipairs(source.requires(modules[module])) do
        local home = FOREIGN[wanted]
        if home then
          if not module:find(home) then
            problems[#problems + 1] = ("%s requires %s itself"):format(module, wanted)
          end
        elseif not (wanted == "epoch.core" or modules[wanted] or wanted:find("^ngx") or wanted:find("^resty")) then
          problems[#problems + 1] = ("%s requires %s, which is not there"):format(module, wanted)
        elseif wanted:find("^ngx") or wanted:find("^resty") then
          if not module:find("^epoch%.gateway") then
            problems[#problems + 1] = ("%s requires %s outside the gateway"):format(module, wanted)
          end
        elseif (rank_of(wanted) or 0) > (rank_of(module) or 0) then
          problems[#problems + 1] = ("%s requires %s, which is further out"):format(module, wanted)
        end
      end
    end
    none(problems)
  end)

  it("has no module that requires itself in the end", function()
    local state = {}
    local function visit(module, trail)
      if state[module] == "open" then
        error("a circle: " .. table.concat(trail, " -> ") .. " -> " .. module, 0)
      end
      if state[module] or not modules[module] then
        return
      end
      state[module] = "open"
      trail[#trail + 1] = module
      for _, wanted in ipairs(source.requires(modules[module])) do
        visit(wanted, trail)
      end
      trail[#trail] = nil
      state[module] = "done"
    end
    for _, module in ipairs(order) do
      visit(module, {})
    end
  end)

  it("touches no global when it is required", function()
    local real = package.loaded._G -- busted gives specs an environment of their own
    local watched = { _G = real }
    for name, value in pairs(real) do
      if type(value) == "table" and value ~= real and value ~= package.loaded then
        watched[name] = value
      end
    end
    local function copy()
      local all = {}
      for name, t in pairs(watched) do
        for key, value in pairs(t) do
          all[name .. "." .. tostring(key)] = value
        end
      end
      return all
    end

    local loaded = {}
    for _, module in ipairs(order) do
      loaded[module], package.loaded[module] = package.loaded[module], nil
    end
    for name, module in pairs(OF_NGINX) do
      loaded[name], package.loaded[name] = package.loaded[name] or false, module
    end
    for _, module in ipairs(order) do
      local before = copy()
      require(module)
      local after = copy()
      for key, value in pairs(after) do
        assert(rawequal(before[key], value), ("requiring %s changes %s"):format(module, key))
      end
      for key in pairs(before) do
        assert(after[key] ~= nil, ("requiring %s removes %s"):format(module, key))
      end
    end
    for _, module in ipairs(order) do
      package.loaded[module] = loaded[module]
    end
    for name in pairs(OF_NGINX) do
      package.loaded[name] = loaded[name] or nil
    end
  end)
end)
