-- Only what 5.1, LuaJIT and 5.4 have in common.
std = "min"
max_line_length = 100
include_files = { "epoch.lua", "lua", "spec", "examples", "bench", ".luacheckrc", ".busted" }
exclude_files = { "build" }
files["epoch.lua"] = { read_globals = { "jit" } }
files["spec"] = { std = "+busted" }
