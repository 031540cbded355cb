#!/bin/sh
# What spec/interop can and cannot try on this machine.
set -u
for tool in skopeo docker-registry nginx crane regctl; do
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
distribution=${EPOCH_DISTRIBUTION_BINARY:-$(command -v registry || true)}
case $([ -x "$distribution" ] && "$distribution" --version 2>&1) in
  *' v3.'*) echo "interop: with distribution v3 ($distribution)" ;;
  *) echo "interop: SKIPPED is what needs distribution v3: put its registry into PATH or set EPOCH_DISTRIBUTION_BINARY" ;;
esac
zot=${EPOCH_ZOT_BINARY:-$(command -v zot || true)}
if [ -n "$zot" ] && [ -x "$zot" ]; then
  echo "interop: with zot ($zot)"
else
  echo "interop: SKIPPED is what needs zot: put it into PATH or set EPOCH_ZOT_BINARY"
fi
if [ -n "${EPOCH_REFERENCE_URL:-}" ]; then
  echo "interop: with the reference's server ($EPOCH_REFERENCE_URL)"
else
  echo "interop: SKIPPED is what needs the reference's server: set EPOCH_REFERENCE_URL and EPOCH_REFERENCE_TOKEN to one that runs"
fi
if [ -x "${EPOCH_REFERENCE_BINARY:-}" ]; then
  echo "interop: with the reference's program ($EPOCH_REFERENCE_BINARY)"
else
  echo "interop: SKIPPED is what needs the reference's program: set EPOCH_REFERENCE_BINARY to its path"
fi
[ -n "$(find spec/interop -name '*_spec.lua' 2>/dev/null)" ] || {
  echo "interop: there is no spec under spec/interop" >&2
  exit 1
}
