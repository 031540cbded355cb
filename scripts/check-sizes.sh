#!/bin/sh
# One concept a file: C files to 400 lines, Lua to 300, scripts to 120.
set -u
bad=0
limit() {
  max=$1
  shift
  for f in "$@"; do
    [ -f "$f" ] || continue
    n=$(wc -l <"$f")
    [ "$n" -le "$max" ] || { echo "$f: $n lines, the limit is $max" >&2; bad=1; }
  done
}
limit 400 src/*/*.c src/*/*.h
limit 300 $(find lua -name '*.lua') epoch.lua
limit 120 .ci/* scripts/*.sh packaging/*.sh packaging/*.lua spec/support/*.sh
exit $bad
