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
    ["epoch.core"] = {
      defines = { "_GNU_SOURCE" },
      incdirs = { "$(CURL_INCDIR)", "$(CRYPTO_INCDIR)", "$(ARCHIVE_INCDIR)", "$(ZSTD_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)", "$(CRYPTO_LIBDIR)", "$(ARCHIVE_LIBDIR)", "$(ZSTD_LIBDIR)" },
      libraries = { "curl", "crypto", "archive", "zstd", "pthread", "m" },
      sources = {
]]

local function files(where, pattern)
  local pipe = assert(io.popen(("find %s -name '%s' -type f | LC_ALL=C sort"):format(where, pattern)))
  local list = {}
  for line in pipe:lines() do
    list[#list + 1] = line
  end
  pipe:close()
  return list
end

local function rockspec()
  local out = { HEAD }
  for _, path in ipairs(files("src", "*.c")) do
    out[#out + 1] = ("        %q,\n"):format(path)
  end
  out[#out + 1] = "      },\n    },\n"
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
