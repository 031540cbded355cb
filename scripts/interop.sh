#!/bin/sh
# What spec/interop can and cannot try on this machine.
set -u
for tool in skopeo docker-registry nginx crane regctl oras; do
  if where=$(command -v $tool); then
    echo "interop: with $tool ($where)"
  else
    echo "interop: SKIPPED is what needs $tool: it is not in PATH"
  fi
done
cocoon=${EPOCH_COCOON_BINARY:-$(command -v cocoon || true)}
if [ -n "$cocoon" ] && [ -x "$cocoon" ]; then
  echo "interop: with cocoon ($cocoon)"
else
  echo "interop: SKIPPED is what needs the real cocoon: put it into PATH or set EPOCH_COCOON_BINARY"
fi
[ -n "$(find spec/interop -name '*_spec.lua' 2>/dev/null)" ] || {
  echo "interop: there is no spec under spec/interop" >&2
  exit 1
}
