#!/bin/sh
# usage: preloaded-vms.sh DIR RUNTIME… -- VM…
# Fills DIR/bin with the VMs under their own names, each with the sanitizer's runtime loaded
# before it: a spec that starts one by its name gets one that can load the core.
set -eu
dir=$1
shift
mkdir -p "$dir/bin"
${CC:-gcc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$dir/preload.so" spec/support/preload.c
libs=''
while [ "$1" != -- ]; do
  libs=$libs$1:
  shift
done
shift
for vm in "$@"; do
  real=$(PATH=$(printf %s "$PATH" | sed "s|$PWD/$dir/bin:||") command -v "$vm") || continue
  printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$libs$PWD/$dir/preload.so" "$real" >"$dir/bin/$vm"
  chmod 755 "$dir/bin/$vm"
done
