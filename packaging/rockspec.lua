-- Writes epoch-scm-1.rockspec from the tree (`make rockspec`), or with --check says whether
-- it would change. LuaRocks wants every file by name; this way no list is kept by hand.

local NAME = "epoch-scm-1.rockspec"

local HEAD = [[
-- Written by packaging/rockspec.lua (`make rockspec`): change it there.
rockspec_format = "3.0"
package = "epoch"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Virtual machine snapshots and cloud images to and from OCI registries",
  license = "MIT",
}
dependencies = { "lua >= 5.1, < 5.5", "lua-cjson", "argparse" }
external_dependencies = {
  CURL = { library = "curl" }, -- no header: Debian's is where LuaRocks does not look, but gcc does
  CRYPTO = { header = "openssl/evp.h", library = "crypto" },
  ARCHIVE = { header = "archive.h", library = "archive" },
  ZSTD = { header = "zstd.h", library = "zstd" },
}
test = { type = "busted" }
build = {
  type = "builtin",
  install = { bin = { epoch = "epoch.lua" } },
  modules = {
]]

-- The core's libraries: which files make up each, as patterns, and what it is linked with.
-- LuaRocks links every file it is given, so base goes whole into each of them.
local PARTS = {
  { "epoch.core", { "crypto", "zstd" }, "^src/base/", "^src/lua/",
    but = { "^src/base/unwrap", "^src/lua/unwrap", "^src/lua/http" } },
  { "epoch.core.http", { "curl", "crypto", "zstd" }, "^src/base/", "^src/http/", "^src/lua/http",
    "^src/lua/arguments", "^src/lua/handle", "^src/lua/host", but = { "^src/base/unwrap" } },
  { "epoch.core.unwrap", { "archive", "crypto", "zstd" }, "^src/base/", "^src/lua/unwrap",
    "^src/lua/arguments", "^src/lua/handle", "^src/lua/host", but = {} },
}

local function files(where, pattern)
  local pipe = assert(io.popen(("find %s -name '%s' -type f | LC_ALL=C sort"):format(where, pattern)))
  local list = {}
  for line in pipe:lines() do
    list[#list + 1] = line
  end
  pipe:close()
  return list
end

local function any(patterns, first, path)
  for i = first, #patterns do
    if path:find(patterns[i]) then
      return true
    end
  end
  return false
end

local function part(out, spec)
  local libraries, incdirs, libdirs = {}, {}, {}
  for _, name in ipairs(spec[2]) do
    libraries[#libraries + 1] = ("%q"):format(name)
    incdirs[#incdirs + 1] = ('"$(%s_INCDIR)"'):format(name:upper())
    libdirs[#libdirs + 1] = ('"$(%s_LIBDIR)"'):format(name:upper())
  end
  out[#out + 1] = ("    [%q] = {\n      defines = { \"_GNU_SOURCE\" },\n"):format(spec[1])
  out[#out + 1] = ("      incdirs = { %s },\n"):format(table.concat(incdirs, ", "))
  out[#out + 1] = ("      libdirs = { %s },\n"):format(table.concat(libdirs, ", "))
  out[#out + 1] = ('      libraries = { %s, "pthread", "m" },\n      sources = {\n'):format(
    table.concat(libraries, ", "))
  for _, path in ipairs(files("src", "*.c")) do
    if any(spec, 3, path) and not any(spec.but, 1, path) then
      out[#out + 1] = ("        %q,\n"):format(path)
    end
  end
  out[#out + 1] = "      },\n    },\n"
end

local function rockspec()
  local out = { HEAD }
  for _, spec in ipairs(PARTS) do
    part(out, spec)
  end
  for _, path in ipairs(files("lua", "*.lua")) do
    local module = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    out[#out + 1] = ("    [%q] = %q,\n"):format(module, path)
  end
  out[#out + 1] = "  },\n}\n"
  return table.concat(out)
end

local wanted = rockspec()
if arg[1] == "--check" then
  local file = io.open(NAME)
  local there = file and file:read("*a")
  if there ~= wanted then
    io.stderr:write(NAME, " is not what the tree says: run `make rockspec`\n")
    os.exit(1)
  end
else
  local file = assert(io.open(NAME, "w"))
  assert(file:write(wanted))
  assert(file:close())
end
