#!/bin/sh
# usage: check-objects.sh BUILD     What the compiled core may hold and show:
# no variable that can be written but a pthread_once_t named *_once, one exported symbol.
set -u
build=${1:-build} bad=0

# Constant tables of pointers live in .data.rel.ro, which is read-only after loading.
writable=$(find "$build"/obj/base "$build"/obj/http "$build"/obj/5.* -name '*.o' -exec objdump -t {} + |
  awk '/^.*file format/ { file = $1 }
       $3 == "O" && $4 ~ /^\.(data|bss|tdata|tbss)$/ && $NF !~ /_once$/ { print file, $NF }
       $2 == "O" && $3 ~ /^\.(data|bss|tdata|tbss)$/ && $NF !~ /_once$/ { print file, $NF }
       $4 == "*COM*" || $3 == "*COM*" { print file, $NF }')
[ -z "$writable" ] || {
  printf 'Writable globals (state lives in objects):\n%s\n' "$writable" >&2
  bad=1
}

for so in "$build"/lua/*/epoch/core.so "$build"/lua/*/epoch/core/*.so; do
  exported=$(nm -D --defined-only "$so" | awk '{ print $NF }')
  module=${so#"$build"/lua/*/} module=${module%.so}
  [ "$exported" = "luaopen_$(echo "$module" | tr / _)" ] || {
    printf '%s exports: %s\n' "$so" "$(echo $exported)" >&2
    bad=1
  }
done
exit $bad
