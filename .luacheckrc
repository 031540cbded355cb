-- Only what 5.1, LuaJIT and 5.4 have in common.
std = "min"
max_line_length = 120
exclude_files = { "build" }
files["epoch.lua"] = { read_globals = { "jit" } }
files["bench"] = { read_globals = { "jit", "unpack", table = { fields = { "unpack" } } } }
files["spec"] = { std = "+busted", read_globals = { "jit" } }
