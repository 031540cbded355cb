#!/bin/sh
# usage: run-specs.sh "VM…" [FILE or DIR…]     Without files: every spec but spec/interop, spec/scale.
# Runs busted once for each VM, side by side, for most of a run is waiting; sums up at the end,
# and fails when any run did.
#   EPOCH_BUILD  the build directory whose core is tested (build)
#   EPOCH_WRAP   what the VM runs under (valgrind …), EPOCH_ENV  settings for it alone
#   BUSTED_ARGS  more for busted, such as --filter=pax
#   EPOCH_SHARE=1  the core's specs under every VM, each of the others under one of them
#   EPOCH_MAY_SKIP=1  a run in which every test says why it is skipped is no failure
set -u
vms=$1
shift
[ $# -gt 0 ] || set -- $(find spec -name '*_spec.lua' ! -path 'spec/interop/*' ! -path 'spec/scale/*' | LC_ALL=C sort)
build=${EPOCH_BUILD:-build}
logs=$build/log
mkdir -p "$logs"
busted=$(command -v busted) || {
  echo "busted is not here; install it: apt-get install lua-busted" >&2
  exit 1
}

# share VM FILE…: its part of the files.
share() {
  printf '%s\n' "$@" | awk -v vms="$vms" '
    NR == 1 { n = split(vms, names, " "); for (i = 1; i <= n; i++) if (names[i] == $0) mine = i - 1; next }
    /^spec\/core\// || other++ % n == mine'
}

# run VM FILE…: to the VM's log and to stdout; busted's status goes to a file, which a pipe
# would hide.
run() {
  vm=$1 log=$logs/specs-$1.log status=$logs/specs-$1.status
  shift
  side_by_side=$vms
  if [ -n "${EPOCH_SHARE:-}" ]; then
    # shellcheck disable=SC2046 # a list of words
    set -- $(share "$vm" "$@")
    side_by_side=$vm
  fi
  echo "== specs under $vm ($build)"
  for try in first second; do
    # shellcheck disable=SC2086 # lists of words
    {
      env ${EPOCH_ENV:-} EPOCH_BUILD="$build" EPOCH_VMS="$side_by_side" ${EPOCH_WRAP:-} "$vm" "$busted" \
        --helper=spec/support/helper.lua --output=plainTerminal ${BUSTED_ARGS:-} "$@" </dev/null 2>&1
      echo $? >"$status"
    } | tee "$log"
    # The leak checker's own thread crashes at exit now and then: that says nothing of us.
    grep -a -q 'LeakSanitizer has encountered a fatal error' "$log" || break
    echo "== the leak checker itself crashed in the $try run"
  done
}

# The first one is shown while it runs, the others when it has ended.
first='' others=''
for vm in $vms; do
  rm -f "$logs/specs-$vm.log" "$logs/specs-$vm.status"
  if ! command -v "$vm" >/dev/null; then
    echo "$vm is not here; on Debian: apt-get install lua5.4 luajit2" >&2
  elif [ -z "$first" ]; then
    first=$vm
  else
    run "$vm" "$@" >"$logs/specs-$vm.out" &
    others="$others $vm"
  fi
done
[ -z "$first" ] || run "$first" "$@"
wait
for vm in $others; do
  cat "$logs/specs-$vm.out"
done

failed=0 summary=''
for vm in $vms; do
  log=$logs/specs-$vm.log status=$logs/specs-$vm.status
  [ -f "$log" ] || {
    failed=1 summary="$summary$vm: missing
"
    continue
  }
  line=$(grep -a -E '^[0-9]+ success(es)? / ' "$log" | tail -n 1)
  case $(cat "$status"):$line in
    0:0\ successes*) [ -n "${EPOCH_MAY_SKIP:-}" ] || failed=1 line="$line (no test ran)" ;;
    0:) failed=1 line="${line:-no summary} (no test ran)" ;;
    0:*) ;;
    *) failed=1 line="${line:-no summary} (exit $(cat "$status"))" ;;
  esac
  summary="$summary$vm: $line
"
done
echo "== summary ($build)"
printf %s "$summary"
exit $failed
