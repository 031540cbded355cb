#!/bin/sh
# `make install` and `luarocks make` into scratch directories, and the core loaded from
# there by both VMs. A copy is built, since LuaRocks leaves objects beside the sources.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$scratch/src"
git ls-files -z --cached --others --exclude-standard |
  tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$scratch/src"

loads() { # VM, prefix, abi
  (cd / && "$1" -e "package.path = '$2/share/lua/$3/?.lua;$2/share/lua/$3/?/init.lua;' .. package.path
    package.cpath = '$2/lib/lua/$3/?.so;' .. package.cpath
    local core = require 'epoch.core'
    assert(package.searchpath == nil or package.searchpath('epoch.core', package.cpath):find('$2', 1, true))
    for kind, n in pairs(core.live()) do assert(n == 0, kind) end
    assert(require 'epoch.await')")
  echo "ok: $1 loads the core and the modules of $2"
}

make --no-print-directory install PREFIX=/opt/epoch DESTDIR="$scratch/image"
loads lua5.4 "$scratch/image/opt/epoch" 5.4
loads luajit "$scratch/image/opt/epoch" 5.1
make --no-print-directory install PREFIX="$scratch/prefix"
(cd / && "$scratch/prefix/bin/epoch" version)
make --no-print-directory uninstall PREFIX="$scratch/prefix"
left=$(find "$scratch/prefix" ! -type d)
[ -z "$left" ] || { echo "uninstall left: $left" >&2; exit 1; }
echo "ok: uninstall leaves nothing"

cd "$scratch/src"
for abi in 5.4 5.1; do
  vm=lua5.4 incdir=/usr/include/lua5.4
  if [ $abi = 5.1 ]; then vm=luajit incdir=$(pkg-config --variable=includedir luajit); fi
  find . -name '*.o' -delete
  luarocks --lua-version=$abi make --deps-mode=none --tree "$scratch/rocks" \
    LUA_INCDIR="$incdir" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
  loads $vm "$scratch/rocks" $abi
done
