#!/bin/sh
# The installed `epoch` command: whichever Lua is there, and the modules of this prefix.
prefix='@PREFIX@'
for lua in lua5.4 luajit lua5.1 lua; do
  command -v $lua >/dev/null 2>&1 || continue
  abi=$($lua -e 'io.write((_VERSION:gsub("Lua ", "")))') || continue
  [ -f "$prefix/lib/lua/$abi/epoch/core.so" ] || continue
  exec $lua -e "local s, c = '$prefix/share/lua/$abi/', '$prefix/lib/lua/$abi/'
    package.path = s .. '?.lua;' .. s .. '?/init.lua;' .. package.path
    package.cpath = c .. '?.so;' .. package.cpath" "$prefix/share/epoch/epoch.lua" "$@"
done
echo "epoch: needs Lua 5.4 or LuaJIT; on Debian: apt-get install lua5.4 lua-cjson lua-argparse" >&2
exit 1
